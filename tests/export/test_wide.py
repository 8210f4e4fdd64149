import keras
import numpy as np

from edgeax.export.wide import WideActivation, WideConcatenation


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_shapes_are_those_of_keras_own_layers():
    tensors = [keras.Input((2, 3, 4)), keras.Input((2, 3, 5))]
    assert WideConcatenation(3)(tensors).shape == (None, 2, 3, 9)
    assert WideActivation("softmax")(tensors[0]).shape == (None, 2, 3, 4)
    np.testing.assert_array_equal(
        WideConcatenation(1)([normal(2, 3), normal(2, 1)]),
        np.concatenate([normal(2, 3), normal(2, 1)], axis=1),
    )
