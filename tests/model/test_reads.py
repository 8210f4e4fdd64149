"""Weights that are read where they do not belong are found before they are copied."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.graph import trace
from edgeax.model.reads import check_reads, variables_read

layers = keras.layers


def test_the_variables_that_a_call_reads_are_noted():
    given = keras.Input((3,))
    model = keras.Model(given, layers.Dense(2, name="dense")(given))
    (call,) = trace(model).calls
    assert [variable.name for variable in variables_read(call)] == ["kernel", "bias"]


def tied(function):
    """Returns a model whose last layer is a Lambda that `function` makes from an embedding."""
    keras.utils.set_random_seed(0)
    given = keras.Input((3,), dtype="int32")
    embedding = layers.Embedding(5, 4, name="embedding")
    tensor = layers.Dense(4, name="dense")(embedding(given))
    return keras.Model(given, layers.Lambda(function(embedding), name="tied")(tensor))


@pytest.mark.parametrize(
    "function",
    [
        lambda embedding: lambda x: keras.ops.matmul(x, keras.ops.transpose(embedding.embeddings)),
        lambda embedding: lambda x: embedding(keras.ops.cast(x[..., 0] > 0.0, "int32")),
    ],
)
def test_a_function_that_holds_a_layer_is_refused_because_its_copy_would_not_train(function):
    model = tied(function)
    with pytest.raises(ValueError, match="'tied', which reads 'embedding/embeddings'.*subclassed"):
        edgeax.compress(model, "static_wi8_ai8")


def test_a_function_that_reads_no_weights_is_fine():
    model = tied(lambda embedding: lambda x: x * embedding.input_dim)
    copy = edgeax.compress(model, "static_wi8_ai8")
    tokens = np.int32([[0, 1, 2]])
    assert np.allclose(copy(tokens), model(tokens), atol=0.1)


class Shift(layers.Layer):
    """Adds a weight of its own, or of somebody else."""

    def __init__(self, of=None, **kwargs):
        super().__init__(**kwargs)
        self.reader = lambda: of.kernel if of is not None else self.shift

    def build(self, input_shape):
        self.shift = self.add_weight(shape=(2,), name="shift")

    def call(self, inputs):
        return inputs + self.reader()

    def compute_output_shape(self, input_shape):
        return input_shape


def test_a_layer_of_the_users_may_read_what_it_has():
    given = keras.Input((2,))
    check_reads(trace(keras.Model(given, Shift()(given))))
    dense = layers.Dense(2, name="dense")
    tensor = Shift(of=dense, name="shift")(dense(given))
    with pytest.raises(ValueError, match="'shift', which reads 'dense/kernel' of another layer"):
        check_reads(trace(keras.Model(given, tensor)))
