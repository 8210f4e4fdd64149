"""Networks that benchmarks build on every side, whatever Keras generation the side runs on."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def fashion_cnn(keras: ModuleType) -> Any:
    """Builds the small image classifier that the training benchmarks share.

    Convolution, batch normalization, ReLU and Dense: what users of Keras 2 and Keras 3 write alike.

    Args:
        keras: `keras` (Keras 3) or `tf_keras` (Keras 2).
    Returns:
        An uncompiled functional model with 233,110 parameters. Input: float32 `(batch, 28, 28, 1)`
        in 0..1; output: logits `(batch, 10)`.
    """
    layers = keras.layers
    inputs = x = keras.Input((28, 28, 1))
    for block, filters in enumerate((32, 64)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{block}")(x)
        x = layers.BatchNormalization(name=f"norm{block}")(x)
        x = layers.ReLU(name=f"relu{block}")(x)
        x = layers.MaxPooling2D(name=f"pool{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(68, name="hidden")(x)
    x = layers.ReLU(name="relu_hidden")(x)
    return keras.Model(inputs, layers.Dense(10, name="logits")(x))


def lenet_300_100(keras: ModuleType) -> Any:
    """Builds LeNet-300-100 of 266,610 parameters; input as above, output: logits `(batch, 10)`."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(300, activation="relu", name="ip1"),
            layers.Dense(100, activation="relu", name="ip2"),
            layers.Dense(10, name="ip3"),
        ]
    )


def lenet_5(keras: ModuleType) -> Any:
    """Builds Caffe's LeNet-5 of 431,080 parameters; input and output are those of the others."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(20, 5, name="conv1"),
            layers.MaxPooling2D(),
            layers.Conv2D(50, 5, name="conv2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(500, activation="relu", name="ip1"),
            layers.Dense(10, name="ip2"),
        ]
    )
