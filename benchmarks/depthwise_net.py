"""A small network with depthwise layers, which rounding after training hurts most."""

from __future__ import annotations

from typing import Any

import keras

CLASSES = 10
BLOCKS = ((32, 1), (64, 2), (64, 1))  # channels and stride of each separable block

layers = keras.layers


def network() -> keras.Model:
    """Returns a CNN of 8,448 kernel weights for images `(28, 28, 1)`, whose outputs are logits.

    A convolution, then blocks of a depthwise and a pointwise one, each with batch normalization
    and a ReLU of its own; then the mean over the image and a dense layer.
    """
    given = x = keras.Input((28, 28, 1))

    def normalized(tensor: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(tensor))

    same = {"padding": "same", "use_bias": False}
    x = normalized(layers.Conv2D(16, 3, strides=2, name="conv", **same)(x))
    for place, (filters, stride) in enumerate(BLOCKS):
        x = layers.DepthwiseConv2D(3, strides=stride, name=f"depthwise{place}", **same)(x)
        x = layers.Conv2D(filters, 1, name=f"pointwise{place}", **same)(normalized(x))
        x = normalized(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(CLASSES, name="logits")(x))
