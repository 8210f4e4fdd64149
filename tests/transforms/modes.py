"""The ways in which Keras runs a computation. Results must not depend on it."""

import pytest
import tensorflow as tf


def eager(function):
    return function


def graph(function):
    return tf.function(function, autograph=False)


def compiled(function):
    return tf.function(function, autograph=False, jit_compile=True)


in_every_mode = pytest.mark.parametrize(
    "mode", [eager, graph, compiled], ids=lambda mode: mode.__name__
)
