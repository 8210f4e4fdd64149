"""Residual networks whose blocks pass in bits that a gate chooses, small ones."""

import keras

from edgeax.training.fractional_block import FractionalBlock

layers = keras.layers


def block(width=4):
    """`x + relu(norm(dense(x)))`."""
    given = keras.Input((width,))
    inner = layers.Dense(width, name="dense")(given)
    inner = layers.ReLU()(layers.BatchNormalization(name="norm")(inner))
    return keras.Model(given, layers.Add()([given, inner]))


def network(gate, blocks=3, width=4):
    """A first layer, blocks that the gate chooses bits for, and a head of one output."""
    given = keras.Input((width,))
    x = layers.Dense(width, name="first")(given)
    for i in range(blocks):
        x = FractionalBlock(block(width), gate, name=f"block{i}")(x)
    return keras.Model(given, layers.Dense(1, name="head")(x))


def blocks_of(model):
    return [layer for layer in model.layers if isinstance(layer, FractionalBlock)]
