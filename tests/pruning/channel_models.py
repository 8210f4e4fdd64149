"""Small networks and data that the tests of channel pruning share."""

import functools

import keras
import numpy as np

layers = keras.layers


def separable(count=192, classes=3, size=8, seed=0):
    """Returns float32 images `(count, size, size, 3)` whose mean colour tells the class, int32."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count).astype(np.int32)
    colours = np.eye(3)[labels % 3][:, None, None, :]
    images = colours + 0.7 * rng.normal(size=(count, size, size, 3))
    return images.astype(np.float32), labels


def residual(seed=0):
    """Returns an untrained net with a residual connection, batch norms, and a flattening."""
    keras.utils.set_random_seed(seed)
    given = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(given)
    x = layers.ReLU()(layers.BatchNormalization(name="stem_norm")(x))
    y = layers.Conv2D(12, 3, padding="same", use_bias=False, name="inner")(x)
    y = layers.ReLU()(layers.BatchNormalization(name="inner_norm")(y))
    y = layers.Conv2D(8, 3, padding="same", name="back")(y)
    y = layers.BatchNormalization(name="back_norm")(y)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Conv2D(10, 3, strides=2, activation="relu", name="down")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    x = layers.Dense(3, activation="softmax", name="head")(x)
    model = keras.Model(given, x, name="residual")
    # Tracing a graph takes longer than these tests train it.
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    return model


@functools.cache
def _trained_weights():
    model = residual()
    images, labels = separable()
    model.fit(images, labels, epochs=4, verbose=0)
    return model.get_weights()


def trained():
    """Returns `residual` trained on `separable`: a new model, the same each time."""
    model = residual()
    model.set_weights(_trained_weights())
    return model


def chain(seed=0):
    """Returns a net without batch norms: conv, conv, pooling, dense, dense, biases of all sizes."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(5, 3, padding="same", activation="relu", name="one"),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="two"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7, activation="relu", name="three"),
            layers.Dense(3, name="four"),
        ],
        name="chain",
    )
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(0.3 * rng.normal(size=layer.bias.shape))
    return model


def images_for_chain(count=24, seed=0):
    """Returns float32 `(count, 6, 6, 2)`."""
    return np.random.default_rng(seed).normal(size=(count, 6, 6, 2)).astype(np.float32)
