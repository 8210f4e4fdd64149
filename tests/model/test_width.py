"""widen: more channels, same inputs and outputs."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.layers import PaddedConv2D
from tests.model import small_models

layers = keras.layers


def macs_of(model):
    return {row.path: row.macs for row in edgeax.summary(model).rows}


def test_mncm17_cost_grows_as_the_square_of_width():
    given = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="first")(given)
    x = layers.Conv2D(6, 3, padding="same", name="middle")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    model = keras.Model(given, layers.Conv2D(5, 1, name="last")(x))
    plain = macs_of(model)
    for factor in (2, 3):
        wide = macs_of(edgeax.widen(model, factor))
        assert wide["middle"] == factor**2 * plain["middle"]
        # One side of these is fixed: the image, each channel on its own, the classes.
        for name in ("first", "depthwise", "last"):
            assert wide[name] == factor * plain[name]
    # By hand: 8 * 8 positions, 3 * 3 * 12 inputs of each of 18 filters.
    assert macs_of(edgeax.widen(model, 3))["middle"] == 64 * 9 * 12 * 18


def test_a_sequential_model_stays_one_with_new_weights_and_the_same_ends():
    model = small_models.convolutional()
    before = model.get_weights()
    wide = edgeax.widen(model, 2)
    assert isinstance(wide, keras.Sequential) and wide.name == model.name
    assert (wide.input_shape, wide.output_shape) == (model.input_shape, model.output_shape)
    assert [layer.name for layer in wide.layers] == [layer.name for layer in model.layers]
    assert [tuple(v.shape) for v in wide.weights if v.path.endswith("/kernel")] == [
        (3, 3, 2, 8),
        (3, 3, 8, 1),
        (8, 3),
    ]
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    wide.compile("sgd", "sparse_categorical_crossentropy")
    wide.fit(small_models.images(), small_models.labels(), verbose=0)


def test_nested_models_are_opened_and_layers_called_twice_stay_shared():
    wide = edgeax.widen(small_models.nested(), 2)
    assert wide.output_shape == (None, 3)
    names = [layer.name for layer in wide.layers]
    assert "shallow_conv" in names and names.count("shallow_conv") == 1
    assert wide.get_layer("shallow_conv").filters == 8


def test_sequences_attention_and_embeddings_are_widened():
    given = keras.Input((6,), dtype="int32")
    x = layers.Embedding(10, 8, name="words")(given)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4, name="attention")(x, x)])
    x = layers.LayerNormalization()(x)
    x = layers.GRU(5, name="gru")(x)
    wide = edgeax.widen(keras.Model(given, layers.Dense(3, name="head")(x)), 2)
    assert wide.get_layer("words").output_dim == 16 and wide.get_layer("gru").units == 10
    assert wide.get_layer("attention").key_dim == 8
    assert wide(np.zeros((1, 6))).shape == (1, 3)


def test_layers_that_reach_an_output_otherwise_keep_their_width():
    given = keras.Input((4,))
    x = layers.Dense(4, name="first")(given)
    y = layers.Dense(4, name="inside")(x)
    model = keras.Model(given, layers.Add()([x, layers.Dense(4, name="second")(y)]))
    wide = edgeax.widen(model, 2)
    assert [wide.get_layer(n).units for n in ("first", "inside", "second")] == [4, 8, 4]


def test_groups_of_one_channel_stay_so():
    model = keras.Sequential(
        [keras.Input((5, 5, 3)), layers.Conv2D(4, 1), layers.Conv2D(8, 3, groups=4, name="each")]
        + [layers.Conv2D(2, 1)]
    )
    each = edgeax.widen(model, 2).get_layer("each")
    assert (each.groups, each.filters, tuple(each.kernel.shape)) == (8, 16, (3, 3, 1, 16))


def test_a_factor_below_1_thins_and_leaves_at_least_one_channel():
    model = edgeax.widen(small_models.convolutional(), 0.1)
    assert model.get_layer("conv").filters == 1 and model.output_shape == (None, 3)


def reshaped(*shape, size=24):
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(size),
            layers.Reshape(shape, name="again"),
            layers.Conv1D(2, 1),
            layers.GlobalAveragePooling1D(),
        ]
    )


@pytest.mark.parametrize("shape", [(4, 6), (-1, 6)])
def test_a_fixed_number_of_channels_cannot_be_widened_and_is_named(shape):
    with pytest.raises(ValueError, match="'again' of type Reshape.*a last size of -1"):
        edgeax.widen(reshaped(*shape), 2)


def test_a_reshape_that_leaves_the_channels_open_can():
    assert edgeax.widen(reshaped(4, -1), 2).get_layer("again").output.shape == (None, 4, 12)


def test_the_inputs_cannot_be_added_to_more_channels():
    given = keras.Input((4,), name="given")
    added = layers.Add(name="skip")([given, layers.Dense(4, name="wide")(given)])
    model = keras.Model(given, layers.Dense(2)(added))
    with pytest.raises(ValueError, match="'skip' of type Add"):
        edgeax.widen(model, 2)


@keras.saving.register_keras_serializable("tests")
class OwnKernel(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 4))

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.kernel)


@pytest.mark.parametrize(
    "make, factor, message",
    [
        (lambda: keras.Sequential([layers.Dense(3)]), 2, "`model` must be built"),
        (lambda: 3, 2, "`model` must be a Sequential or functional"),
        (small_models.convolutional, 0, "`factor` must be above 0.*factor=0"),
        (small_models.convolutional, float("nan"), "`factor` must be above 0"),
        (
            lambda: edgeax.compress(small_models.convolutional(), "static_wi8_ai8"),
            2,
            "must be a plain model.*Widen first",
        ),
        (
            lambda: keras.Sequential([keras.Input((4,)), OwnKernel(name="own"), layers.Dense(2)]),
            2,
            "'own' of type OwnKernel.*only the settings of",
        ),
        (
            lambda: keras.Sequential([keras.Input((4,)), layers.Embedding(3, 4), layers.Flatten()]),
            2,
            None,
        ),
    ],
)
def test_what_cannot_be_widened_is_refused(make, factor, message):
    if message is None:  # the only layer closes the model: nothing to widen
        assert edgeax.widen(make(), factor).output_shape == make().output_shape
        return
    with pytest.raises(ValueError, match=message):
        edgeax.widen(make(), factor)


def test_a_convolution_that_pads_with_a_value_is_widened_too():
    conv = PaddedConv2D(4, 3, padding="same", pad_values=1.0, name="conv")
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), conv, keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    wide = edgeax.widen(model, 2)
    assert wide.get_layer("conv").filters == 8 and wide.get_layer("conv").pad_values == 1.0


def test_a_nested_layer_whose_path_is_taken_gets_another_name():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="b")], name="a")
    given = keras.Input((4,))
    model = keras.Model(
        given, keras.layers.Dense(3)(keras.layers.Dense(4, name="a_b")(inner(given)))
    )
    assert {"a_b", "a_b_1"} <= {layer.name for layer in edgeax.widen(model, 2).layers}
