"""Small models and data that the tests of the model room and of training share."""

import keras
import numpy as np

layers = keras.layers


def images(count=8, size=6, channels=2, seed=0):
    """Returns float32 images `(count, size, size, channels)`."""
    shape = (count, size, size, channels)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def labels(count=8, classes=3, seed=0):
    """Returns int32 classes `(count,)`."""
    return np.random.default_rng(seed).integers(0, classes, count).astype(np.int32)


def convolutional(size=6, channels=2, classes=3, seed=0):
    """Returns a Sequential model: conv, batch norm, ReLU, depthwise, pooling, dense softmax."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((size, size, channels)),
            layers.Conv2D(4, 3, padding="same", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.DepthwiseConv2D(3, activation="relu", name="depthwise"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(classes, activation="softmax", name="head"),
        ],
        name="convolutional",
    )
    unsettle(model, seed)
    return model


def block(name, channels=4, seed=0):
    """Returns a functional model to nest: conv, batch norm, ReLU, with names every block has."""
    keras.utils.set_random_seed(seed)
    given = keras.Input((None, None, channels))
    x = layers.Conv2D(channels, 3, padding="same", name="conv")(given)
    x = layers.BatchNormalization(name="norm")(x)
    model = keras.Model(given, layers.ReLU(name="relu")(x), name=name)
    unsettle(model, seed)
    return model


def nested(seed=0):
    """Returns a functional model with two blocks of equal layer names, one block inside a block,
    and one block that is called twice.
    """
    deep = keras.Sequential([block("inner", seed=seed + 1)], name="deep")
    shallow = block("shallow", seed=seed + 2)
    given = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(4, 1, name="stem")(given)
    x = layers.Add(name="add")([deep(x), shallow(x)])
    x = layers.Flatten(name="flatten")(shallow(x))
    return keras.Model(given, layers.Dense(3, activation="softmax", name="head")(x), name="nested")


def unsettle(model, seed=0):
    """Gives batch normalizations statistics and factors as after training, gamma of both signs."""
    generator = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.weights:
                low, high = (0.5, 2.0) if "variance" in variable.name else (-1.0, 1.0)
                variable.assign(generator.uniform(low, high, variable.shape))


def two_normalizations():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 6, 2))])
    for place in range(2):
        model.add(layers.Conv2D(4, 3, use_bias=False, name=f"conv{place}"))
        model.add(layers.BatchNormalization(name=f"norm{place}"))
        model.add(layers.ReLU())
    return model
