"""Spoken words: clips, a small network of depthwise and pointwise convolutions, its training."""

import pathlib
import zlib

import keras
import numpy as np

BUNDLED = pathlib.Path(__file__).parents[1] / "data" / "speech_commands_subset.npz"
BATCH = 64
TESTED = 4  # one speaker of so many is kept for the test


class Clips:
    """Clips of a second, 49 windows of 10 coefficients each, split by speaker.

    Attributes:
        train, test: Pairs of clips, float32 of shape (n, 49, 10, 1), and labels.
        classes: Names of the labels.
        mean, deviation: Of each coefficient in the training part, before they became 0 and 1.
    """

    def __init__(self, path):
        with np.load(path) as arrays:
            clips, labels = arrays["mfcc"].astype("float32"), arrays["y"].astype("int32")
            speakers = arrays["speaker"]
            self.classes = [str(name) for name in arrays["classes"]]
        tested = np.array([is_tested(name, i) for i, name in enumerate(speakers)])
        self.mean, self.deviation = clips[~tested].mean((0, 1)), clips[~tested].std((0, 1))
        clips = ((clips - self.mean) / self.deviation)[..., None]
        order = np.random.default_rng(1).permutation(len(clips))  # the file has word after word
        self.train, self.test = (
            (clips[order[part]], labels[order[part]]) for part in (~tested[order], tested[order])
        )


def is_tested(speaker, number):
    """Returns whether a clip belongs to the test; silence has no speaker and goes by its number."""
    who = f"silence {number}" if speaker == "silence" else str(speaker)
    return zlib.crc32(who.encode()) % TESTED == 0


def build_network(classes, filters=64, blocks=4):
    """Returns MLPerf Tiny's keyword network: 23,000 parameters, 2.7 million products a clip."""
    layers = keras.layers
    clip = x = keras.Input((49, 10, 1), name="clip")
    x = layers.Conv2D(filters, (10, 4), strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for _ in range(blocks):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)
    return keras.Model(clip, layers.Dense(classes, activation="softmax")(x))


def train(network, data, epochs, learning_rate, callbacks=()):
    """Trains with a learning rate that falls to zero, on clips that start earlier or later."""
    clips, labels = data
    batches = Shifted(clips, labels)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    network.compile(
        keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    network.fit(batches, epochs=epochs, callbacks=list(callbacks), verbose=2)


class Shifted(keras.utils.PyDataset):
    """Batches in an order that changes; each clip starts up to four windows earlier or later."""

    def __init__(self, clips, labels, most=4, seed=1):
        super().__init__()
        self.clips, self.labels, self.most = clips, labels, most
        self.generator = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.clips) // BATCH)

    def __getitem__(self, number):
        chosen = self.order[number * BATCH : (number + 1) * BATCH]
        clips = self.clips[chosen]
        padded = np.pad(clips, ((0, 0), (self.most, self.most), (0, 0), (0, 0)), mode="edge")
        starts = self.generator.integers(0, 2 * self.most + 1, len(clips))
        windows = clips.shape[1]
        return np.stack(
            [clip[start : start + windows] for clip, start in zip(padded, starts, strict=True)]
        ), self.labels[chosen]

    def on_epoch_end(self):
        self.order = self.generator.permutation(len(self.clips))
