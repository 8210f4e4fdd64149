"""Dead channels: what goes without a change of any output, what stays all the same and why."""

import keras
import numpy as np
import pytest

from edgeax.model.channel_rules import Flow
from edgeax.model.channels import Channels
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.dead_channels import Constants, find_dead
from edgeax.model.graph import trace
from edgeax.model.select_channels import remove_channels
from tests.model import small_models

layers, ops = keras.layers, keras.ops
NAN = np.nan


@keras.saving.register_keras_serializable("tests")
def times_zero(tensor):
    """Returns zeros: an activation that is not Keras's own."""
    return tensor * 0.0


def model_of(function, shape=(4, 4, 2), seed=0):
    keras.utils.set_random_seed(seed)
    given = keras.Input(shape)
    model = keras.Model(given, function(given))
    small_models.unsettle(model)
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name == "bias":
                variable.assign(generator.uniform(0.5, 1.0, variable.shape))
    return model


def scale(variable, factors, axis=-1):
    """Multiplies a weight by factors along an axis."""
    shape = [1] * len(variable.shape)
    shape[axis] = -1
    variable.assign(np.asarray(variable) * np.float32(factors).reshape(shape))


def kill(layer, *units, bias=0.0):
    """Gives a layer a kernel of zeros for some units, and a bias."""
    kernel = layer.weights[0]
    transposed = "Transpose" in type(layer).__name__
    axis = -2 if transposed else -1
    scale(kernel, [unit not in units for unit in range(kernel.shape[axis])], axis)
    if layer.bias is not None:
        values = np.asarray(layer.bias).copy()
        values[[*units]] = bias
        layer.bias.assign(values)


def removed(model):
    """Returns what goes by itself, checked not to change the outputs."""
    result = remove_channels(model)
    shape = [size or 3 for size in model.inputs[0].shape]
    given = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    expected = np.asarray(model(given))
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(
        result.model(given), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )
    return {name: units.tolist() for name, units in result.removed.items()}, result


def chain(*between, reader=None, **settings):
    def function(tensor):
        tensor = layers.Conv2D(4, 3, padding="same", name="one", **settings)(tensor)
        for part in between:
            tensor = part(tensor)
        last = reader or layers.Conv2D(2, 3, padding="same", name="two")
        return last(tensor)

    return model_of(function)


def test_channels_without_weights_go():
    model = chain(layers.ReLU(), layers.MaxPooling2D(2))
    kill(model.get_layer("one"), 1, 2)
    gone, result = removed(model)
    assert gone == {"one": [1, 2]}
    assert result.model.get_layer("two").kernel.shape == (3, 3, 2, 2)


def test_channels_that_nobody_reads_go():
    model = chain(layers.Activation("sigmoid"))
    scale(model.get_layer("two").kernel, [1, 1, 0, 1], axis=2)
    assert removed(model)[0] == {"one": [2]}


def test_without_dead_channels_nothing_goes():
    assert removed(chain(layers.ReLU()))[0] == {}


def test_what_is_read_only_by_what_goes_goes_too():
    model = model_of(
        lambda x: layers.Dense(2, name="three")(
            layers.Dense(3, "relu", name="two")(layers.Dense(4, "relu", name="one")(x))
        ),
        (5,),
    )
    kernel = np.asarray(model.get_layer("two").kernel).copy()
    kernel[1, 1:] = 0.0  # unit 1 of `one` is read by unit 0 of `two` alone
    model.get_layer("two").kernel.assign(kernel)
    assert removed(model)[0] == {}
    scale(model.get_layer("three").kernel, [0, 1, 1], axis=0)
    assert removed(model)[0] == {"one": [1], "two": [0]}


def test_what_is_made_of_dead_channels_alone_goes_too():
    model = model_of(
        lambda x: layers.Dense(2, name="three")(
            layers.Dense(3, "relu", name="two")(layers.Dense(4, "relu", name="one")(x))
        ),
        (5,),
    )
    kill(model.get_layer("one"), 0)
    kernel = np.asarray(model.get_layer("two").kernel).copy()
    kernel[1:, 2] = 0.0
    model.get_layer("two").kernel.assign(kernel)
    model.get_layer("two").bias.assign([0.5, 0.5, -1.0])  # behind the ReLU: 0
    assert removed(model)[0] == {"one": [0], "two": [2]}


@pytest.mark.parametrize(
    "reader",
    [
        layers.Conv2D(3, 2, activation="tanh", name="two"),
        layers.Conv2D(3, 2, strides=2, use_bias=False, name="two"),
        layers.Conv2D(3, 1, padding="same", name="two"),
        layers.Dense(3, use_bias=False, name="two"),
    ],
)
@pytest.mark.parametrize("activation", ["sigmoid", "linear", "gelu"])
def test_a_constant_goes_into_the_biases_of_its_readers(reader, activation):
    model = chain(activation=activation, reader=type(reader).from_config(reader.get_config()))
    kill(model.get_layer("one"), 0, 3, bias=0.7)
    gone, result = removed(model)
    assert gone == {"one": [0, 3]}
    assert result.model.get_layer("two").use_bias
    assert [line for line in result.skipped if "'one'" in line] == []


def test_a_constant_behind_a_normalization_is_known():
    model = chain(layers.BatchNormalization(name="norm"), layers.ReLU(), reader=layers.Dense(3))
    kill(model.get_layer("one"), 2)
    assert removed(model)[0] == {"one": [2]}


def test_a_gamma_of_zero_makes_a_channel_constant():
    model = chain(layers.BatchNormalization(name="norm"), layers.ReLU(), reader=layers.Dense(3))
    scale(model.get_layer("norm").gamma, [0, 1, 0, 1])
    assert removed(model)[0] == {"one": [0, 2]}


PADDED = {
    "convolution": (
        [],
        layers.Conv2D(2, 3, padding="same", name="two"),
        "'two' pads with zeros beside the constant",
    ),
    "transposed": (
        [],
        layers.Conv2DTranspose(2, 3, name="two"),
        "'two' (Conv2DTranspose) has no bias that could take the constant",
    ),
}


@pytest.mark.parametrize("kind", PADDED)
def test_a_constant_that_no_bias_can_take_stays_and_is_listed(kind):
    between, reader, why = PADDED[kind]
    model = chain(
        *between, activation="sigmoid", reader=type(reader).from_config(reader.get_config())
    )
    kill(model.get_layer("one"), 1)
    gone, result = removed(model)
    assert gone == {}
    assert f"'one': units [1] are constant but stay, because {why}." in result.skipped


def test_a_constant_that_is_padded_is_none():
    model = chain(layers.ZeroPadding2D(1), activation="sigmoid", reader=layers.Conv2D(2, 3))
    kill(model.get_layer("one"), 1)
    assert removed(model)[0] == {}
    model = chain(layers.ZeroPadding2D(1), reader=layers.Conv2D(2, 3))
    kill(model.get_layer("one"), 1)
    assert removed(model)[0] == {"one": [1]}


def test_a_maximum_that_starts_above_a_constant_keeps_the_channel():
    model = chain(
        layers.ReLU(),
        lambda x: ops.max(x, axis=(1, 2), initial=5.0),
        reader=layers.Dense(2, name="two"),
    )
    kill(model.get_layer("one"), 1)
    assert removed(model)[0] == {}


def test_a_gate_of_zero_closes_and_another_does_not():
    def function(tensor):
        one = layers.Conv2D(4, 1, name="one")(tensor)
        gate = layers.Conv2D(4, 1, name="gate")(tensor)
        return layers.Dense(2)(layers.Multiply()([one, gate]))

    model = model_of(function)
    kill(model.get_layer("gate"), 2)
    kill(model.get_layer("one"), 1, bias=0.5)
    assert list(removed(model)[0].values()) == [[2]]


def test_a_sum_is_dead_where_all_parts_are():
    def function(tensor):
        one = layers.Conv2D(4, 1, name="one")(tensor)
        two = layers.Conv2D(4, 1, name="two")(tensor)
        return layers.Dense(2)(layers.Add()([one, two]))

    model = model_of(function)
    kill(model.get_layer("one"), 0, 1)
    kill(model.get_layer("two"), 1, 2)
    assert list(removed(model)[0].values()) == [[1]]


def test_a_layer_keeps_a_channel_when_all_are_dead():
    model = chain(layers.ReLU())
    kill(model.get_layer("one"), 0, 1, 2, 3, bias=-1.0)
    gone, result = removed(model)
    assert gone == {"one": [1, 2, 3]}
    assert "'one': all that it makes is dead; one channel stays." in result.skipped


def test_a_flattened_channel_is_dead_where_it_is_everywhere():
    def function(tensor):
        tensor = layers.Flatten()(layers.Conv2D(3, 2, name="one")(tensor))
        return layers.Dense(2, name="head")(layers.BatchNormalization(name="norm")(tensor))

    model = model_of(function)
    gamma = np.asarray(model.get_layer("norm").gamma).copy()
    gamma[1::3], gamma[2] = 0.0, 0.0
    model.get_layer("norm").gamma.assign(gamma)
    assert removed(model)[0] == {"one": [1]}


CARRIERS = {
    "depthwise": layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
    "separable": layers.SeparableConv2D(3, 3, depth_multiplier=2),
    "grouped": layers.Conv2D(4, 3, groups=4, use_bias=False),
    "prelu": layers.PReLU(alpha_initializer="ones"),
    "operations": layers.Activation("tanh"),
}


@pytest.mark.parametrize("kind", CARRIERS)
def test_zeros_are_followed_through_what_carries_them(kind):
    part = CARRIERS[kind]
    model = chain(type(part).from_config(part.get_config()))
    kill(model.get_layer("one"), 1)
    assert removed(model)[0] == {"one": [1]}


def test_a_depthwise_bias_makes_a_constant_of_zero():
    model = chain(layers.DepthwiseConv2D(3, name="depthwise"), reader=layers.Dense(2))
    kill(model.get_layer("one"), 1)
    gone, result = removed(model)
    assert gone == {"one": [1]}  # its bias went into that of the reader
    assert result.model.get_layer("depthwise").bias.shape == (3,)


def test_inputs_of_recurrent_layers_go_when_they_are_zero():
    def function(tensor):
        tensor = layers.Dense(4, "relu", name="one")(tensor)
        return layers.Dense(2)(layers.LSTM(3, name="lstm")(tensor))

    model = model_of(function, (5, 2))
    kill(model.get_layer("one"), 0)
    kill(model.get_layer("one"), 3, bias=1.0)
    gone, result = removed(model)
    assert gone == {"one": [0]}
    assert any("units [3] are constant but stay" in line for line in result.skipped)


def test_a_layer_called_on_different_constants_takes_none():
    def function(tensor):
        shared = layers.Dense(2, use_bias=False, name="shared")
        one, two = layers.Dense(3, name="one")(tensor), layers.Dense(3, name="two")(tensor)
        return layers.Add()([shared(one), ops.relu(shared(two))])

    model = model_of(function, (4,))
    kill(model.get_layer("one"), 0, 1, bias=0.5)
    kill(model.get_layer("two"), 0, bias=0.25)
    kill(model.get_layer("two"), 1, bias=0.5)
    assert list(removed(model)[0].values()) == [[1]]


def constants(function, shape=(4, 4, 2), change=lambda model: None):
    model = model_of(function, shape)
    change(model)
    copies = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    graph = trace(skeleton)
    found = Constants(Flow(graph))
    return found.of(keras.tree.flatten(graph.outputs)[0])


def dead_first(*parts):
    def function(tensor):
        tensor = layers.Conv2D(3, 1, name="one")(tensor)
        for part in parts:
            tensor = part(tensor)
        return tensor

    return constants(function, change=lambda model: kill(model.get_layer("one"), 0, bias=2.0))


VALUES = {
    "nothing": ([], [2.0, NAN, NAN]),
    "relu6": ([layers.ReLU(6.0, threshold=3.0)], [0.0, NAN, NAN]),
    "scalars": ([lambda x: (x + 1.0) * 2.0 - 0.5], [5.5, NAN, NAN]),
    "operations": ([lambda x: ops.sqrt(ops.square(-x))], [2.0, NAN, NAN]),
    "rescaling": ([layers.Rescaling(0.5, 1.0)], [2.0, NAN, NAN]),
    "pooling": ([layers.AveragePooling2D(2, padding="same")], [2.0, NAN, NAN]),
    "padding": ([layers.ZeroPadding2D(1)], [NAN, NAN, NAN]),
    "sum": ([lambda x: ops.sum(x, axis=(1, 2))], [NAN, NAN, NAN]),
    "largest": ([lambda x: ops.max(x, axis=(1, 2))], [2.0, NAN, NAN]),
    "largest from 5 up": ([lambda x: ops.max(x, axis=(1, 2), initial=5.0)], [NAN, NAN, NAN]),
    "least from -5 down": ([lambda x: ops.min(x, axis=(1, 2), initial=-5.0)], [NAN, NAN, NAN]),
    "softmax": ([layers.Softmax(axis=1)], [NAN, NAN, NAN]),
    "unknown": ([layers.LayerNormalization()], [NAN, NAN, NAN]),
    "rows": ([layers.Reshape((16, 3)), layers.Flatten()], [2.0, NAN, NAN] * 16),
    "normalized along another axis": ([layers.BatchNormalization(axis=1)], [NAN, NAN, NAN]),
    "no product on the last axis": (
        [layers.EinsumDense("abcd,de->abec", (4, 3, 4)), layers.ReLU()],
        [NAN, NAN, NAN, NAN],
    ),
    "activation of its own": (
        [layers.Conv2D(2, 1, kernel_initializer="zeros", activation=times_zero)],
        [NAN, NAN],
    ),
    "in training": ([lambda x: layers.GaussianNoise(1.0)(x, training=True)], [NAN, NAN, NAN]),
    "itself": ([lambda x: layers.Add()([x, x])], [4.0, NAN, NAN]),
    "zero times": ([lambda x: layers.Multiply()([x, ops.relu(-x)])], [0.0, NAN, NAN]),
    "joined": ([lambda x: ops.concatenate([x, -x], -1)], [2.0, NAN, NAN, -2.0, NAN, NAN]),
}


@pytest.mark.parametrize("name", VALUES)
def test_constants_are_followed(name):
    parts, expected = VALUES[name]
    np.testing.assert_allclose(dead_first(*parts), expected, rtol=1e-6)


def test_columns_of_one_value_in_a_table_are_constant():
    given = keras.Input((3,), dtype="int32")
    model = keras.Model(given, layers.Embedding(4, 2, name="table")(given))
    model.get_layer("table").set_weights([np.float32([[1, 5], [2, 5], [3, 5], [4, 5]])])
    graph = trace(model)
    np.testing.assert_array_equal(Constants(Flow(graph)).of(graph.outputs), [NAN, 5.0])


def test_the_search_names_units_of_the_whole_model():
    model = chain(layers.ReLU())
    kill(model.get_layer("one"), 1, 2)
    channels = Channels(model)
    dead = find_dead(channels)
    one = channels.group_named("one")
    assert dead.units.tolist() == channels.units_of(one)[[1, 2]].tolist()
    assert dead.shifts == {} and dead.kept == []
