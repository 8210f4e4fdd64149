"""Residual networks with blocks that can be skipped, small ones: what several tests share."""

import keras

from edgeax.training.selection_gate import SelectionGate
from edgeax.training.selective_block import SelectiveBlock
from tests.training.small_models import Counting

layers = keras.layers


def dense_block(width=4, name=None, **kwargs):
    """`x + dense(x)`, normalized; counts its forward passes."""
    given = keras.Input((width,))
    inner = layers.BatchNormalization(name="norm")(Counting(name="count")(given))
    inner = layers.Dense(width, name="dense", **kwargs)(inner)
    return keras.Model(given, layers.Add()([given, inner]), name=name)


def network(gate, blocks=3, width=4, **kwargs):
    """A first layer, blocks that a gate decides on, and a head of one output."""
    given = keras.Input((width,))
    x = layers.Dense(width, name="first")(given)
    for i in range(blocks):
        decided = gate if isinstance(gate, SelectionGate) else float(gate)
        x = SelectiveBlock(dense_block(width, **kwargs), decided, seed=i, name=f"block{i}")(x)
    return keras.Model(given, layers.Dense(1, name="head")(x))


def blocks_of(model):
    return [layer for layer in model.layers if isinstance(layer, SelectiveBlock)]
