"""A word spotter learns two new words where it is used, from the features of a few clips.

    python demos/learning_words.py --output build/learning_words

Ten classes of Speech Commands are known beforehand; "stop" and "go" come later, in a file of
clips as a microphone's front end would write it. `edgeax.runtime.Trainer` learns them in the stock
interpreter, lot after lot, without TensorFlow: once from the new clips alone, once with a memory of
earlier clips beside them. Features of real clips are bundled (demos/data); `--clips FILE` takes new
ones from another file of the same layout, and `--data FILE` all of them.
"""

import argparse
import pathlib
import zlib

import numpy as np

BUNDLED = pathlib.Path(__file__).parent / "data" / "speech_commands_subset.npz"
BATCH = 8
LOTS = (4, 16, 64)  # clips of each new word that have come, lot after lot
MEMORY_BYTES = 150_000
REACH = 4.0  # standard deviations that the memory holds; what lies beyond is cut off
NEW = ("stop", "go")
TESTED = 4  # one speaker of so many is kept for the test


def load(path):
    """Returns clips, float32 (n, 49, 10, 1), labels, which are tested, and the names of classes.

    The new words are the last classes.
    """
    with np.load(path) as arrays:
        clips, labels = arrays["mfcc"].astype("float32"), arrays["y"].astype("int32")
        found = [str(name) for name in arrays["classes"]]
        speakers = [
            f"{speaker} {i if speaker == 'silence' else ''}"
            for i, speaker in enumerate(arrays["speaker"])
        ]
    names = [*(name for name in found if name not in NEW), *NEW]
    labels = np.array([names.index(name) for name in found], np.int32)[labels]
    tested = np.array([zlib.crc32(name.encode()) % TESTED == 0 for name in speakers])
    mean, deviation = clips[~tested].mean((0, 1)), clips[~tested].std((0, 1))
    clips = np.clip((clips - mean) / deviation, -REACH, REACH)
    return clips[..., None], labels, tested, names


def network(classes):
    """Returns a network of depthwise and pointwise convolutions; its outputs are logits."""
    from keras import Model, layers

    clip = layers.Input((49, 10, 1), name="clip")
    x = layers.Conv2D(32, (10, 4), strides=2, padding="same", use_bias=False, name="front")(clip)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for number in range(3):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"depth{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Conv2D(48, 1, use_bias=False, name=f"point{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return Model(clip, layers.Dense(classes, name="word")(x))


def prepare(path, clips, labels, classes, epochs):
    """Trains on the words that are known and writes the file that learns on."""
    import keras

    import edgeax

    keras.utils.set_random_seed(0)
    model = network(classes)
    steps = epochs * -(-len(clips) // 64)
    rate = keras.optimizers.schedules.CosineDecay(0.003, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(clips, labels, batch_size=64, epochs=epochs, verbose=2)
    train = edgeax.OnDeviceTraining(
        keras.optimizers.SGD(0.01, momentum=0.9),
        trainable=["depth2", "point2", "word"],
        batch_size=BATCH,
    )
    return edgeax.export(model, path, clips[:200], train=train, measure=False)


def learn(path, earlier, arriving, tests, epochs):
    """Learns new words lot after lot; returns a row for each lot.

    Args:
        path: The file.
        earlier: Pair of clips and labels that the memory begins with; None: no memory.
        arriving: Clips and labels of the new words, in their order.
        tests: Clips and labels by name, which accuracies are told of.
        epochs: Of each lot.
    """
    from edgeax.formats.rehearsal import RehearsalBuffer
    from edgeax.runtime import Trainer

    trainer = Trainer(path)
    if earlier is not None:
        clips, labels = earlier
        trainer.rehearsal = RehearsalBuffer(
            MEMORY_BYTES, clips.shape[1:], trainer.signature.classes, span=(-REACH, REACH)
        )
        trainer.rehearsal.add(clips, labels)
    rows, begin = [], 0
    new = np.unique(arriving[1])
    for count in (0, *LOTS):
        places = np.concatenate([np.flatnonzero(arriving[1] == word)[begin:count] for word in new])
        history = {"steps_run": [0.0], "energy_j": [0.0]}
        if len(places):
            history = trainer.fit(
                arriving[0][places], arriving[1][places], epochs=epochs, rehearse=0.8
            )
        begin = count
        rows.append(
            {
                "clips of a word": count,
                **{name: trainer.evaluate(*pair)["accuracy"] for name, pair in tests.items()},
                "steps": int(sum(history["steps_run"])),
                "mJ, modelled": 1e3 * sum(history["energy_j"]),
            }
        )
    return rows, trainer


def show(title, rows):
    print(f"\n{title}")
    print("  ".join(f"{name:>15}" for name in rows[0]))
    for row in rows:
        cells = [f"{v:15.3f}" if isinstance(v, float) else f"{v:15}" for v in row.values()]
        print("  ".join(cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, default="build/learning_words")
    parser.add_argument("--data", type=pathlib.Path, default=BUNDLED, help="all clips")
    parser.add_argument("--clips", type=pathlib.Path, help="clips of new words; of --data without")
    parser.add_argument("--epochs", type=int, default=20, help="of the training beforehand")
    parser.add_argument("--lessons", type=int, default=10, help="epochs of each lot")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    clips, labels, tested, names = load(arguments.data)
    first_new = len(names) - len(NEW)
    old, new = labels < first_new, labels >= first_new
    path = arguments.output / "model.tflite"
    known = clips[old & ~tested], labels[old & ~tested]
    print(f"1. Before: {', '.join(names[:first_new])}")
    print(prepare(path, *known, len(names), arguments.epochs))

    arriving = clips[new & ~tested], labels[new & ~tested]
    if arguments.clips:
        more, more_labels, _, _ = load(arguments.clips)
        arriving = more[more_labels >= first_new], more_labels[more_labels >= first_new]
    tests = {
        name: (clips[part & tested], labels[part & tested])
        for name, part in (("new words", new), ("old words", old))
    }
    print(f"2. On the device: {' and '.join(names[first_new:])}")
    alone, _ = learn(path, None, arriving, tests, arguments.lessons)
    show("from the new clips alone", alone)
    order = np.random.default_rng(0).permutation(len(known[0]))
    earlier = tuple(part[order] for part in known)
    kept, trainer = learn(path, earlier, arriving, tests, arguments.lessons)
    show(f"with a memory of {trainer.memory['rehearsal_bytes']:,} bytes", kept)
    trainer.save(arguments.output / "learned.ckpt")
    trainer.export(arguments.output / "learned.tflite")
    print(f"\nA step takes {trainer.step_ms:.2f} ms. Written: learned.ckpt, learned.tflite")


if __name__ == "__main__":
    main()
