import numpy as np
import pytest
import tensorflow as tf

from edgeax.export.slice_gradients import pad_slice_gradients
from edgeax.formats.flatbuffer import Model
from edgeax.runtime import Interpreter

X = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
SLICES = {
    "ends": lambda x: x[:, 1:-1, :2],
    "an axis that is taken away": lambda x: x[:, -1],
    "two of them": lambda x: x[1, :, -2],
    "beyond the ends": lambda x: x[-9:3, 2:99],
}


def file_of(*slices):
    """A file of the gradients of sums of slices, weighted unequally."""

    @tf.function(input_signature=[tf.TensorSpec(X.shape, tf.float32)])
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = sum(tf.reduce_sum(one(x) ** 3) for one in slices)
        return tape.gradient(total, x)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([gradients.get_concrete_function()])
    converter.allow_custom_ops = True
    return Model.from_bytes(converter.convert()), gradients


def names(file):
    return {operator.name for operator in file.subgraphs[0].operators}


def test_gradients_of_slices_are_those_of_tensorflow():
    file, gradients = file_of(*SLICES.values())
    assert "StridedSliceGrad" in names(file)
    pad_slice_gradients(file)
    assert "PAD" in names(file) and "StridedSliceGrad" not in names(file)
    found = Interpreter(model_content=file.to_bytes()).run(X)
    np.testing.assert_allclose(found, gradients(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stays", [lambda x: x[::2], lambda x: x[..., 1:]])
def test_slices_with_steps_or_an_ellipsis_stay(stays):
    file, _ = file_of(stays)
    pad_slice_gradients(file)
    assert "StridedSliceGrad" in names(file)
