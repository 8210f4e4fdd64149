"""Placement: where values are rounded."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax import Compressed, Quantize, Recipe, Rule
from edgeax.model import placement
from edgeax.model.copying import clone, compressed_layers, fresh_copy
from edgeax.model.graph import trace
from tests.model import small_models

layers = keras.layers


def rounded_behind(model, recipe="static_wi8_ai8"):
    """Returns the names of the layers whose output is rounded, and of those rounded before their
    activation.
    """
    compressed = list(compressed_layers(edgeax.compress(model, recipe)))
    return tuple(
        sorted(layer.name for layer in compressed if layer.slots.templates[slot])
        for slot in ("output", "before_activation")
    )


def functional(build, shape=(6, 6, 2)):
    given = keras.Input(shape)
    return keras.Model(given, build(given))


def test_conv_batch_norm_and_relu_are_rounded_once_behind_the_relu():
    behind, before = rounded_behind(small_models.convolutional())
    assert behind == ["depthwise", "pool", "relu"]
    assert before == ["head"]


def test_a_rule_on_the_convolution_acts_behind_what_follows_it():
    recipe = Recipe([Rule("^conv$", output=Quantize("int8"))])
    assert rounded_behind(small_models.convolutional(), recipe) == (["relu"], [])


def test_without_a_relu_the_rounding_is_behind_the_batch_normalization():
    def build(x):
        return layers.BatchNormalization(name="norm")(layers.Conv2D(3, 1, name="conv")(x))

    assert rounded_behind(functional(build)) == (["norm"], [])


def test_a_sum_is_rounded_behind_its_relu_and_its_terms_each():
    def build(x):
        a = layers.Conv2D(3, 1, name="a")(x)
        b = layers.BatchNormalization(name="norm")(layers.Conv2D(3, 1, name="b")(x))
        return layers.ReLU(name="relu")(layers.Add(name="add")([a, b]))

    assert rounded_behind(functional(build)) == (["a", "norm", "relu"], [])


def test_only_what_can_apply_a_relu_itself_is_rounded_behind_it():
    def build(x):
        x = layers.ReLU(name="first")(layers.GlobalAveragePooling2D(name="mean")(x))
        return layers.ReLU(name="second")(layers.Concatenate(name="joined")([x, x]))

    assert rounded_behind(functional(build)) == (["first", "joined", "mean", "second"], [])


def test_a_sum_by_a_raw_operator_is_rounded_behind_its_relu():
    def build(x):
        return layers.ReLU(name="relu")(layers.Conv2D(2, 1, name="conv")(x) + x)

    model = functional(build)
    graph = trace(clone(model, fresh_copy, {}))
    assert placement.last_of_group(graph, graph.calls[1]) is graph.calls[2]
    assert rounded_behind(model) == (["conv", "relu"], [])


def test_a_result_with_two_users_is_rounded_before_both():
    def build(x):
        x = layers.Conv2D(3, 1, name="conv")(x)
        return layers.Add(name="add")([x, layers.ReLU(name="relu")(x)])

    assert rounded_behind(functional(build)) == (["add", "conv", "relu"], [])


def test_a_model_output_is_rounded_where_it_leaves():
    def build(x):
        x = layers.Conv2D(3, 1, name="conv")(x)
        return [x, layers.ReLU(name="relu")(x)]

    assert rounded_behind(functional(build)) == (["conv", "relu"], [])


def test_each_use_of_a_shared_layer_is_rounded_behind_its_own_relu():
    conv = layers.Conv2D(2, 3, padding="same", name="conv")

    def build(x):
        x = layers.ReLU(name="first")(conv(x))
        return layers.ReLU(name="second")(layers.BatchNormalization(name="norm")(conv(x)))

    assert rounded_behind(functional(build)) == (["first", "second"], [])


def test_layers_that_only_move_values_are_not_rounded():
    def build(x):
        x = layers.MaxPooling2D(2, name="pool")(x)
        x = layers.Dropout(0.5, name="dropout")(layers.Flatten(name="flatten")(x))
        return layers.Dense(3, name="dense")(x)

    model = edgeax.compress(functional(build), "static_wi8_ai8")
    slots = {layer.name: layer.slots.templates for layer in compressed_layers(model)}
    assert sorted(slots) == ["dense", "pool"]
    assert [slot for slot, members in slots["pool"].items() if members] == ["input"]


def test_only_the_models_inputs_are_rounded_as_inputs():
    model = edgeax.compress(small_models.convolutional(), "static_wi8_ai8")
    with_input = [layer.name for layer in compressed_layers(model) if layer.quantizer("input")]
    assert with_input == ["conv"]


def test_of_several_inputs_only_the_models_are_rounded_each_by_its_own_range():
    first, second = keras.Input((3,), name="first"), keras.Input((3,), name="second")
    inner = layers.Dense(3, name="inner")(first)
    joined = layers.Concatenate(name="joined")([inner, second])
    model = keras.Model([first, second], layers.Dense(2)(joined))
    compressed = edgeax.compress(model, "static_wi8_ai8")
    assert compressed.get_layer("joined").input_places == (1,)
    values = np.float32([[1, 2, 3], [-1, 0, 1]])
    compressed([values, 50 * values], training=True)
    wrapper = compressed.get_layer("joined")
    assert wrapper.quantizer("input", 0) is None
    assert wrapper.quantizer("input", 1).extremes == (-50.0, 150.0)
    assert compressed.get_layer("inner").quantizer("input").extremes == (-1.0, 3.0)


def test_a_layer_called_on_an_input_and_on_what_comes_from_within_rounds_neither():
    given = keras.Input((3,), name="given")
    shared = layers.Dense(3, name="shared")
    model = keras.Model(given, layers.Dense(2)(shared(layers.ReLU()(shared(given)))))
    recipe = Recipe([Rule(".*", input=Quantize("int8"), output=Quantize("int8"))])
    assert edgeax.compress(model, recipe).get_layer("shared").quantizer("input") is None


def test_softmax_at_the_output_is_not_rounded_in_training():
    model = small_models.convolutional()
    model.layers[-1].kernel.assign(40.0 * model.layers[-1].kernel)
    compressed = edgeax.compress(model, "static_wi8_ai8")
    images = small_models.images(64)
    compressed(images, training=True)  # so that all ranges are known
    probabilities = compressed(images).numpy()
    assert len(np.unique(probabilities)) > 64  # more values than a grid of steps of 1/256 shows
    assert 0.0 < probabilities.min() < 1 / 512
    assert np.allclose(probabilities.sum(axis=1), 1.0)


def test_softmax_and_its_like_elsewhere_get_the_range_that_the_device_prescribes():
    def build(x):
        x = layers.Dense(3, activation="softmax", name="softmax")(layers.Flatten()(x))
        x = layers.Dense(3, activation="tanh", name="tanh")(x)
        x = layers.Dense(3, activation="sigmoid", name="sigmoid")(x)
        return layers.Dense(3, activation="gelu", name="gelu")(x)

    recipe = Recipe([Rule(".*", output=Quantize("int8", begin_step=7))])
    compressed = edgeax.compress(functional(build), recipe)
    ends = {layer.name: layer.quantizer("output") for layer in compressed_layers(compressed)}
    assert ends["softmax"].fixed_range == ends["sigmoid"].fixed_range == (0.0, 255 / 256)
    assert ends["tanh"].fixed_range == (-1.0, 127 / 128)
    assert ends["gelu"].fixed_range is None
    assert {end.begin_step for end in ends.values()} == {7}
    before = {layer.quantizer("before_activation") for layer in compressed_layers(compressed)}
    assert len(before) == 4 and None not in before


def test_only_behind_a_relu_is_the_smallest_value_not_looked_for():
    def build(x):
        x = layers.Dense(3, activation="relu", name="within")(layers.Flatten()(x))
        x = layers.ReLU(6.0, name="relu6")(layers.Dense(3, name="dense")(x))
        x = layers.LeakyReLU(name="leaky")(layers.Dense(3, name="before")(x))
        return layers.Dense(3, name="end")(x)

    compressed = edgeax.compress(functional(build), "static_wi8_ai8")
    ends = {layer.name: layer.quantizer("output") for layer in compressed_layers(compressed)}
    known = {name: end.nonnegative for name, end in ends.items() if end is not None}
    below_zero = ("before", "leaky", "end")
    assert known == {"within": True, "relu6": True} | dict.fromkeys(below_zero, False)


def test_results_that_are_no_floats_or_several_are_not_rounded():
    def build(x):
        sequence = layers.Reshape((6, 12))(x)
        outputs, state, _ = layers.LSTM(3, return_state=True, name="lstm")(sequence)
        indices = keras.ops.cast(keras.ops.argmax(outputs, axis=-1), "int32")
        return layers.Add(name="add")([layers.Embedding(4, 3, name="table")(indices), state])

    model = edgeax.compress(functional(build), "static_wi8_ai8")
    rounded = [layer.name for layer in compressed_layers(model) if layer.quantizer("output")]
    assert rounded == ["table", "add"]
    assert np.isfinite(model(small_models.images())).all()


def relu(x):
    """A function with the name of one of Keras's."""
    return keras.ops.maximum(x, -1.0)


class Block(layers.Layer):
    """A layer of the user's, whose activation does not come last."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.relu

    def call(self, inputs):
        return -self.activation(inputs)


def test_a_layer_of_the_users_is_not_taken_for_its_activation():
    model = functional(lambda x: layers.Flatten()(Block()(x)))
    images = small_models.images(16)[:, :6, :6, :2]
    compressed = edgeax.compress(model, "static_wi8_ai8")
    compressed(images, training=True)
    assert np.abs(compressed(images) - model(images)).max() < 0.02 * np.ptp(model(images))


@pytest.mark.parametrize(
    "layer, name",
    [
        (layers.Dense(1, activation="relu"), "relu"),
        (layers.Dense(1), "linear"),
        (layers.Flatten(), "linear"),
        (layers.ReLU(), "relu"),
        (layers.ReLU(max_value=6.0), "relu6"),
        (layers.ReLU(max_value=1.0), "leaky_relu"),
        (layers.ReLU(negative_slope=0.1), "leaky_relu"),
        (layers.ReLU(threshold=0.1), "leaky_relu"),
        (layers.Softmax(), "softmax"),
        (layers.Activation("tanh"), "tanh"),
        (layers.Conv3D(1, 1, activation="relu"), "relu"),
        (layers.Dense(1, activation=relu), "unknown"),
        (layers.Dense(1, activation=layers.LeakyReLU()), "unknown"),
        (layers.LSTM(1), "linear"),
        (Block(), "linear"),
        (Compressed(Block()), "linear"),
        (Compressed(layers.Dense(1, activation="relu")), "relu"),
        (Compressed(layers.Dense(1), activation="tanh"), "tanh"),
        (keras.ops.add, "linear"),
    ],
)
def test_the_activation_that_comes_last(layer, name):
    assert placement.activation_name(layer) == name


@pytest.mark.parametrize(
    "layer, fused, splits",
    [
        (layers.ReLU(), True, False),
        (layers.Activation("relu6"), True, False),
        (layers.Activation("tanh"), False, False),
        (layers.ReLU(negative_slope=0.1), False, False),
        (layers.Dense(1, activation="relu"), False, False),
        (layers.Dense(1, activation="tanh"), False, True),
        (Compressed(layers.Dense(1), activation="tanh"), False, True),
        (layers.SimpleRNN(1), False, False),
    ],
)
def test_what_is_fused_and_what_splits(layer, fused, splits):
    assert placement.is_fused_activation(layer) is fused
    assert placement.splits_activation(layer) is splits


@pytest.mark.parametrize(
    "layer, is_relu",
    [
        (layers.ReLU(), True),
        (layers.Activation("relu"), True),
        (Compressed(layers.ReLU()), True),
        (layers.ReLU(6.0), False),
        (layers.ReLU(threshold=0.1), False),
        (layers.Activation("linear"), False),
        (layers.Dense(1, activation="relu"), False),
    ],
)
def test_what_is_but_a_relu(layer, is_relu):
    assert placement.is_relu(layer) is is_relu


@pytest.mark.parametrize(
    "layer, shape, axis, folds",
    [
        (layers.Conv2D(3, 1), (4, 4, 2), -1, True),
        (layers.Conv2D(3, 1), (4, 4, 2), 3, True),
        (layers.Conv2D(4, 1), (4, 4, 2), 1, False),
        (layers.Conv2D(4, 1, activation="relu"), (4, 4, 2), -1, False),
        (layers.Dense(3), (2,), 1, True),
        (layers.Dense(3), (4, 2), 2, True),
        (layers.MaxPooling2D(1), (4, 4, 2), -1, False),
        (layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), (4, 2), -1, True),
        (layers.EinsumDense("abc,dc->abd", (None, 3)), (4, 2), -1, True),
        (layers.EinsumDense("...c,cd->...d", 3), (4, 2), -1, True),
        (layers.EinsumDense("ac...,cd->ad...", (3, 4)), (2, 4), -1, False),
        (layers.EinsumDense("abc,cde->abde", (None, 3, 2)), (4, 2), -1, False),
        (layers.EinsumDense("abc,cd->adb", (3, 4)), (4, 2), -1, False),
        (layers.EinsumDense("abc,cd->abd", (4, 3), bias_axes="bd"), (4, 2), -1, False),
        (Compressed(layers.Dense(3), kernel=Quantize("int8")), (2,), -1, True),
    ],
)
def test_a_batch_normalization_folds_where_its_axis_is_the_kernels_channels(
    layer, shape, axis, folds
):
    model = functional(lambda x: layers.BatchNormalization(axis=axis)(layer(x)), shape)
    graph = trace(clone(model, fresh_copy, {}))
    after = placement.folded_normalization(graph, graph.calls[0])
    assert (after is graph.calls[1]) is folds


@keras.saving.register_keras_serializable("tests")
class Noted(Quantize):
    """A user's Quantize with a setting more."""

    def __init__(self, note="", **kwargs):
        super().__init__(**kwargs)
        self.note = note

    def get_config(self):
        return {**super().get_config(), "note": self.note}


def test_behind_a_relu_a_users_quantize_stays_what_it_is():
    recipe = Recipe([Rule(".*", output=Noted("kept"))])
    model = functional(lambda x: layers.Dense(3, activation="relu", name="relu")(x))
    end = edgeax.compress(model, recipe).get_layer("relu").quantizer("output")
    assert isinstance(end, Noted) and end.note == "kept" and end.nonnegative
