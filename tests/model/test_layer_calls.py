"""A wrapped layer that does nothing is called, masked and trained exactly as the plain one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax import Compressed, Prune, Quantize
from edgeax.model.copying import compressed_layers

layers = keras.layers

COUNT, LENGTH = 4, 5


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


X, Y, Z = values(COUNT, LENGTH, 3), values(COUNT, 6, 2, seed=1), values(COUNT, 6, 4, seed=2)
SQUARE = np.random.default_rng(3).random((COUNT, LENGTH, LENGTH)) < 0.6
OBLONG = np.random.default_rng(4).random((COUNT, LENGTH, 6)) < 0.6
STEPS = np.arange(LENGTH)[None] < np.array([[5], [3], [1], [4]])
STATE = values(COUNT, 2, seed=5)


def attention(**arguments):
    return lambda: layers.MultiHeadAttention(2, 3, **arguments)


def recurrent(kind, **arguments):
    return lambda: kind(2, return_sequences=True, **arguments)


# A layer and the arguments that it is called with.
CALLS = {
    "query, value": (attention(), (X, Y), {}),
    "query, value, key": (attention(), (X, Y, Z), {}),
    "all by name": (attention(value_dim=2), (), {"key": Z, "value": Y, "query": X}),
    "attention mask": (attention(), (X, Y), {"attention_mask": OBLONG}),
    "causal mask": (attention(), (X, X), {"use_causal_mask": True}),
    "both masks": (attention(), (X, X), {"use_causal_mask": True, "attention_mask": SQUARE}),
    "attention scores": (attention(), (X, Y), {"return_attention_scores": True}),
    "attention over an axis": (attention(attention_axes=1, output_shape=5), (X, X), {}),
    "grouped attention": (lambda: layers.GroupQueryAttention(2, 4, 2), (X, X), {}),
    "additive attention": (lambda: layers.AdditiveAttention(), ([X, X],), {}),
    "state by name": (recurrent(layers.GRU), (X,), {"initial_state": STATE}),
    "states in a list": (recurrent(layers.LSTM), (X,), {"initial_state": [STATE, 2 * STATE]}),
    "returned states": (recurrent(layers.LSTM, return_state=True), (X,), {}),
    "mask of steps": (recurrent(layers.LSTM), (X,), {"mask": STEPS}),
    "backwards": (recurrent(layers.SimpleRNN, go_backwards=True), (X,), {"mask": STEPS}),
    "unrolled": (recurrent(layers.GRU, unroll=True), (X,), {}),
    "a cell": (lambda: layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)]), (X,), {}),
    "both directions": (
        lambda: layers.Bidirectional(layers.LSTM(2, return_sequences=True, return_state=True)),
        (X,),
        {"mask": STEPS},
    ),
    "two layers for two directions": (
        lambda: layers.Bidirectional(
            layers.GRU(2), backward_layer=layers.LSTM(2, go_backwards=True), merge_mode="mul"
        ),
        (X,),
        {},
    ),
    "each step with a mask": (
        lambda: layers.TimeDistributed(layers.Dense(2)),
        (X,),
        {"mask": STEPS},
    ),
    "convolution in time": (lambda: layers.ConvLSTM1D(2, 2), (values(COUNT, 3, 4, 2),), {}),
    "several inputs": (lambda: layers.Dot(axes=-1), ([X, X],), {}),
    "regularizers": (
        recurrent(layers.LSTM, activity_regularizer="l2", recurrent_regularizer="l1"),
        (X,),
        {},
    ),
    "seeded dropout": (
        recurrent(layers.LSTM, dropout=0.5, recurrent_dropout=0.5, seed=1),
        (X,),
        {},
    ),
}


def pair(make, args, kwargs):
    """Returns a built layer, and one of the same weights in a wrapper without an effect."""
    keras.utils.set_random_seed(0)
    plain, inner = make(), make()
    wrapper = Compressed(inner, kernel=Prune(0.0))
    for layer in (plain, wrapper):
        layer(*args, **kwargs)
    inner.set_weights(plain.get_weights())
    return plain, wrapper


def step(layer, args, kwargs):
    """Returns outputs, masks, losses, gradients and the state after a step of training."""
    with tf.GradientTape() as tape:
        outputs = layer(*args, **kwargs, training=True)
        flat = keras.tree.flatten(outputs)
        loss = sum(tf.reduce_sum(output**2) for output in flat) + sum(layer.losses)
    variables = layer.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    masks = [getattr(output, "_keras_mask", None) for output in flat]
    return [
        *flat,
        loss,
        *(mask for mask in masks if mask is not None),
        *(tf.convert_to_tensor(gradient) for gradient in gradients),
    ]


def assert_same(ours, theirs, tolerance=0.0):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert np.allclose(one, other, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("name", CALLS)
def test_outputs_masks_losses_gradients_and_state_are_the_plain_layers(name):
    make, args, kwargs = CALLS[name]
    plain, wrapper = pair(make, args, kwargs)
    tolerance = 1e-6 if name == "regularizers" else 0.0  # gradients are summed in another order
    for _ in range(2):
        assert_same(step(wrapper, args, kwargs), step(plain, args, kwargs), tolerance)
        assert_same(wrapper.layer.get_weights(), plain.get_weights())
    ours, theirs = (keras.tree.flatten(layer(*args, **kwargs)) for layer in (wrapper, plain))
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", CALLS)
def test_in_a_functional_model_compress_and_files_keep_the_call(name, tmp_path):
    make, args, kwargs = CALLS[name]
    keras.utils.set_random_seed(0)

    def is_array(value):
        return isinstance(value, np.ndarray)

    given = [leaf for leaf in keras.tree.flatten((args, kwargs)) if is_array(leaf)]
    inputs = [keras.Input(leaf.shape[1:], dtype=str(leaf.dtype)) for leaf in given]
    waiting = iter(inputs)
    symbolic = keras.tree.map_structure(
        lambda v: next(waiting) if is_array(v) else v, (args, kwargs)
    )
    layer = make()
    outputs = layer(*symbolic[0], **symbolic[1])
    flat = keras.tree.flatten(outputs)
    head = layers.Dense(2, name="head")(layers.Flatten()(flat[0]))
    model = keras.Model(inputs, [head, *flat[1:]])
    copy = edgeax.compress(model, [Prune(0.0)])
    if any("kernel" in variable.name for variable in layer.weights):
        assert [wrapper.name for wrapper in compressed_layers(copy)] == [layer.name, "head"]
    assert_same(keras.tree.flatten(copy(given)), keras.tree.flatten(model(given)))
    copy.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same(keras.tree.flatten(loaded(given)), keras.tree.flatten(model(given)))
    assert_same(keras.tree.flatten(edgeax.strip(copy)(given)), keras.tree.flatten(model(given)))


def test_masks_of_embeddings_reach_every_argument_of_an_attention():
    keras.utils.set_random_seed(0)
    tokens, memory = keras.Input((LENGTH,), dtype="int32"), keras.Input((6,), dtype="int32")
    embedding = layers.Embedding(9, 4, mask_zero=True, name="embedding")
    attention = layers.MultiHeadAttention(2, 3, name="attention")
    tensor = attention(embedding(tokens), embedding(memory))
    model = keras.Model([tokens, memory], layers.LSTM(2, name="recurrent")(tensor))
    copy = edgeax.compress(model, [Prune(0.0)])
    assert len(list(compressed_layers(copy))) == 3
    generator = np.random.default_rng(0)
    given = [generator.integers(1, 9, (COUNT, 5)), generator.integers(1, 9, (COUNT, 6))]
    given[0][:, 3:], given[1][:, 2:] = 0, 0
    assert np.array_equal(copy(given), model(given))
    for place in range(2):  # what is masked has no effect, and would have one if it were not
        other = [values.copy() for values in given]
        other[place][:, -1] = 5
        unmasked = np.asarray(copy(other))
        assert np.array_equal(unmasked, model(other))
        assert not np.array_equal(unmasked, copy(given))


def test_a_weight_that_its_layer_assigns_cannot_be_transformed_and_says_so():
    layer = layers.SpectralNormalization(layers.Dense(2), name="norm")
    wrapper = Compressed(layer, kernel=Quantize("int8"))
    wrapper(X)
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"must not assign a weight.*kernel'.*Rule\('norm'"):
        wrapper(X, training=True)
    assert_same(layer.get_weights(), before)


class ByNameOnly(layers.Layer):
    """Takes its tensor by name only."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def build(self, tensor_shape):
        self.dense.build(tensor_shape)

    def call(self, *, tensor):
        return self.dense(tensor)

    def compute_output_shape(self, tensor_shape):
        return (*tensor_shape[:-1], 2)


def with_odd_layer():
    keras.utils.set_random_seed(0)
    given = keras.Input((3,))
    tensor = ByNameOnly(name="odd")(tensor=layers.Dense(3, name="first")(given))
    return keras.Model(given, layers.Dense(2, name="head")(tensor))


REASON = "its call takes no tensor as its first positional argument"


def test_a_layer_that_cannot_be_wrapped_is_listed_stays_float_and_is_trained():
    model = with_odd_layer()
    copy = edgeax.compress(model, "static_wi8_ai8")
    assert [wrapper.name for wrapper in compressed_layers(copy)] == ["first", "head"]
    for summary in (edgeax.summary(copy), edgeax.summary(model)):
        rows = {row.path: row for row in summary.rows}
        assert (rows["odd"].weight_bits, rows["odd"].stays_float) == (32, REASON)
    assert REASON in str(edgeax.summary(copy))
    copy.compile("sgd", "mse")
    before = copy.get_layer("odd").get_weights()
    copy.fit(values(COUNT, 3), values(COUNT, 2), verbose=0)
    assert not np.array_equal(copy.get_layer("odd").get_weights()[0], before[0])


def test_strict_names_a_layer_that_cannot_be_wrapped():
    with pytest.raises(ValueError, match=rf"`strict`.*'odd \({REASON}\)'"):
        edgeax.compress(with_odd_layer(), "static_wi8_ai8", strict=True)


def test_a_wrapper_by_hand_refuses_such_a_layer():
    with pytest.raises(ValueError, match=f"`layer` must be.*'odd' of type ByNameOnly; {REASON}"):
        Compressed(ByNameOnly(name="odd"), kernel=Prune(0.5))
