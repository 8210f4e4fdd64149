"""Prepare: trains the network on shapes that nobody drew, and writes the file that learns on.

This is done once, where TensorFlow is; the device needs what it writes and no more.
"""

import pathlib

import drawings
import numpy as np

CLASSES = 16  # outputs; those without a name yet are for what is taught
MODEL, BASE = "model.tflite", "base.npz"


def network():
    """Returns the network, from images (28, 28, 1) to logits."""
    from keras import Model, layers

    image = layers.Input((drawings.SIZE, drawings.SIZE, 1), name="image")
    x = layers.Conv2D(12, 5, strides=2, padding="same", activation="relu", name="edges")(image)
    x = layers.Conv2D(24, 3, strides=2, padding="same", activation="relu", name="corners")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="around")(x)
    x = layers.Conv2D(32, 1, activation="relu", name="parts")(x)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Dense(48, activation="relu", name="shape")(layers.Flatten()(x))
    return Model(image, layers.Dense(CLASSES, name="class")(x))


def write(folder, images=4000, epochs=6):
    """Trains and exports into a folder; returns what was written and the accuracy.

    The last four layers go on learning. Some drawings of each shape come along, so that the first
    new class makes the network forget none of them.
    """
    import keras

    import edgeax

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    model = network()
    x, y = drawings.samples(images)
    x_test, y_test = drawings.samples(max(100, images // 10), seed=1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    accuracy = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
    train = edgeax.OnDeviceTraining(
        keras.optimizers.SGD(0.02, momentum=0.9),
        trainable=["around", "parts", "shape", "class"],
        batch_size=8,
    )
    receipt = edgeax.export(model, folder / MODEL, x[:200], train=train, measure=False)
    codes = np.round(x[: 20 * len(drawings.SHAPES)] * 255).astype(np.uint8)
    np.savez_compressed(
        folder / BASE, images=codes, labels=y[: len(codes)], names=[*drawings.SHAPES]
    )
    return receipt, accuracy
