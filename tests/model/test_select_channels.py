"""Channels removed, masked and put in another order: the same outputs, and sizes worked out by
hand, through every kind of coupling and through whole networks.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.channels import channel_groups
from edgeax.model.select_channels import mask_channels, permute_channels, remove_channels
from tests.model import small_models
from tests.rows import kept

layers = keras.layers
IMAGE = (4, 4, 2)


@dataclasses.dataclass(frozen=True)
class Case:
    """A network, what to remove, and by hand what that means.

    Attributes:
        build: Makes the model from the symbolic input.
        remove: The argument `channels`.
        zeros: What reads the removed channels: by `(layer, index of the weight)` the axis and the
            positions that have to be zero for nobody to read them.
        shapes: Shapes of weights of the smaller model.
        shape: Of the input.
        tokens: Whether the input is integers.
    """

    build: Callable[[Any], Any]
    remove: dict[str, list[int]]
    zeros: dict[tuple[str, int], tuple[int, list[int]]]
    shapes: dict[tuple[str, int], tuple[int, ...]]
    shape: tuple[int, ...] = IMAGE
    tokens: bool = False

    def model(self):
        keras.utils.set_random_seed(0)
        given = keras.Input(self.shape, dtype="int32" if self.tokens else "float32")
        model = keras.Model(given, self.build(given), name="model")
        shake(model)
        return model

    def given(self):
        generator = np.random.default_rng(1)
        if self.tokens:
            return generator.integers(0, 5, (3, *self.shape)).astype(np.int32)
        return generator.normal(size=(3, *self.shape)).astype(np.float32)


def shake(model, seed=0):
    """Gives biases, normalizations and PReLU values as after training."""
    small_models.unsettle(model, seed)
    generator = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        for variable in () if isinstance(layer, keras.Model) else layer.weights:
            if variable.name in ("bias", "alpha"):
                variable.assign(generator.normal(size=variable.shape, scale=0.5))


def conv(filters, name, size=3, **settings):
    return layers.Conv2D(filters, size, padding="same", name=name, **settings)


def row(*parts):
    """Returns what calls new layers like these one after the other."""

    def build(tensor):
        for part in parts:
            tensor = type(part).from_config(part.get_config())(tensor)
        return tensor

    return build


def residual(given):
    stem = conv(4, "stem")(given)
    one = layers.Add()([stem, layers.ReLU()(conv(4, "one")(stem))])
    two = layers.Add()([conv(4, "two")(layers.BatchNormalization(name="norm")(one)), one])
    return layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(two))


def joined(given):
    one, two = conv(3, "one")(given), conv(2, "two")(given)
    tensor = layers.BatchNormalization(name="norm")(layers.Concatenate()([one, given, two]))
    return conv(3, "head")(layers.ReLU()(tensor))


def joined_in_time(given):
    one, two = layers.Conv1D(3, 2, name="one")(given), layers.Dense(3, name="two")(given)
    return layers.Dense(2, name="head")(layers.Concatenate(axis=1)([one, two]))


def squeeze_and_excite(given):
    tensor = layers.BatchNormalization(name="norm")(conv(4, "one")(given))
    gate = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(tensor))
    gate = conv(2, "squeeze", 1, activation="relu")(gate)
    gate = conv(4, "excite", 1, activation="sigmoid")(gate)
    return conv(3, "head")(layers.Multiply()([tensor, gate]))


def nested(given):
    inside = keras.Input((None, None, 4))
    tensor = layers.BatchNormalization(name="norm")(conv(5, "conv")(inside))
    block = keras.Model(inside, conv(4, "end")(layers.ReLU()(tensor)), name="block")
    outer = keras.Sequential([keras.Input((None, None, 4)), block, layers.ReLU()], name="outer")
    stem = conv(4, "stem")(given)
    return conv(3, "head")(layers.Add()([stem, outer(stem)]))


def called_twice(given):
    shared = layers.Dense(4, activation="tanh", name="shared")
    one, two = layers.Dense(3, name="one")(given), layers.Dense(3, name="two")(given)
    return layers.Dense(2, name="head")(layers.Concatenate()([shared(one), shared(two)]))


def u_shaped(given):
    one = conv(3, "one", activation="relu")(given)
    tensor = conv(5, "two", activation="relu")(layers.MaxPooling2D()(one))
    tensor = layers.Cropping2D(1)(layers.ZeroPadding2D(1)(layers.UpSampling2D()(tensor)))
    tensor = layers.SpatialDropout2D(0.5)(layers.Concatenate(axis=3)([tensor, one]))
    return conv(2, "head")(tensor)


def operations(given):
    ops = keras.ops
    tensor = layers.Dense(4, name="one")(given)
    tensor = tensor * (ops.relu6(tensor + 3.0) * (1.0 / 6.0))
    tensor = ops.concatenate([tensor, ops.sigmoid(-tensor)], axis=-1)
    tensor = ops.transpose(ops.expand_dims(tensor[:, 1:], 1), (0, 2, 1, 3))
    tensor = ops.max(ops.pad(tensor, ((0, 0), (0, 0), (1, 1), (0, 0))), axis=2)
    return layers.Dense(2, name="head")(ops.mean(ops.reshape(tensor, (-1, 2, 2, 8)), axis=(1, 2)))


CASES = {
    "chain": Case(
        row(
            conv(4, "one", use_bias=False),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            conv(3, "two"),
        ),
        {"one": [1, 3]},
        {("two", 0): (2, [1, 3])},
        {("one", 0): (3, 3, 2, 2), ("norm", 0): (2,), ("norm", 3): (2,), ("two", 0): (3, 3, 2, 3)},
    ),
    "residual": Case(
        residual,
        {"stem": [0, 2]},
        {("one", 0): (2, [0, 2]), ("two", 0): (2, [0, 2]), ("head", 0): (0, [0, 2])},
        {
            ("stem", 0): (3, 3, 2, 2),
            ("one", 0): (3, 3, 2, 2),
            ("two", 1): (2,),
            ("head", 0): (2, 3),
        },
    ),
    "residual, named by another maker": Case(
        residual,
        {"two": [0, 2]},
        {("one", 0): (2, [0, 2]), ("two", 0): (2, [0, 2]), ("head", 0): (0, [0, 2])},
        {("stem", 0): (3, 3, 2, 2), ("one", 0): (3, 3, 2, 2), ("norm", 1): (2,)},
    ),
    "concatenation": Case(
        joined,
        {"one": [1], "two": [0]},
        {("head", 0): (2, [1, 5])},
        {("one", 0): (3, 3, 2, 2), ("two", 1): (1,), ("norm", 2): (5,), ("head", 0): (3, 3, 5, 3)},
    ),
    "concatenation on another axis": Case(
        joined_in_time,
        {"one": [1]},
        {("head", 0): (0, [1])},
        {("one", 0): (2, 2, 2), ("two", 0): (2, 2), ("head", 0): (2, 2)},
        (5, 2),
    ),
    "depthwise": Case(
        row(
            conv(3, "one"),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise"),
            conv(2, "two"),
        ),
        {"one": [1]},
        {("two", 0): (2, [2, 3])},
        {("depthwise", 0): (3, 3, 2, 2), ("depthwise", 1): (4,), ("two", 0): (3, 3, 4, 2)},
    ),
    "depthwise 1D": Case(
        row(
            layers.Conv1D(3, 2, name="one"),
            layers.DepthwiseConv1D(2, depth_multiplier=2, name="depthwise"),
            layers.Conv1D(2, 2, name="two"),
        ),
        {"one": [0, 2]},
        {("two", 0): (1, [0, 1, 4, 5])},
        {("depthwise", 0): (2, 1, 2), ("depthwise", 1): (2,), ("two", 0): (2, 2, 2)},
        (5, 2),
    ),
    "grouped": Case(
        row(conv(4, "one"), conv(6, "grouped", groups=2), conv(2, "two")),
        {"one": [1], "grouped": [0]},  # channels 1 and 3; 0 and 3
        {("grouped", 0): (2, [1]), ("two", 0): (2, [0, 3])},
        {("one", 0): (3, 3, 2, 2), ("grouped", 0): (3, 3, 1, 4), ("two", 0): (3, 3, 4, 2)},
    ),
    "grouped with one input each": Case(
        row(conv(4, "one"), conv(8, "grouped", groups=4), conv(2, "two")),
        {"one": [2]},
        {("two", 0): (2, [4, 5])},
        {("one", 0): (3, 3, 2, 3), ("grouped", 0): (3, 3, 1, 6), ("two", 0): (3, 3, 6, 2)},
    ),
    "transposed": Case(
        row(
            conv(4, "one"),
            layers.Conv2DTranspose(5, 3, strides=2, padding="same", name="up"),
            layers.ReLU(),
            conv(2, "two"),
        ),
        {"one": [0], "up": [4, 2]},
        {("up", 0): (3, [0]), ("two", 0): (2, [2, 4])},
        {("one", 1): (3,), ("up", 0): (3, 3, 3, 3), ("up", 1): (3,), ("two", 0): (3, 3, 3, 2)},
    ),
    "transposed 1D": Case(
        row(
            layers.Dense(3, name="one"),
            layers.Conv1DTranspose(4, 2, name="up"),
            layers.Dense(2, name="two"),
        ),
        {"one": [0], "up": [1]},
        {("up", 0): (2, [0]), ("two", 0): (0, [1])},
        {("one", 0): (2, 2), ("up", 0): (2, 3, 2), ("two", 0): (3, 2)},
        (5, 2),
    ),
    "separable": Case(
        row(
            conv(3, "one"),
            layers.SeparableConv2D(4, 3, depth_multiplier=2, activation="relu", name="separable"),
            conv(2, "two"),
        ),
        {"one": [1], "separable": [0]},
        {("separable", 1): (2, [2, 3]), ("two", 0): (2, [0])},
        {("separable", 0): (3, 3, 2, 2), ("separable", 1): (1, 1, 4, 3), ("separable", 2): (3,)},
    ),
    "flatten": Case(
        row(
            layers.Conv2D(3, 3, name="one"),
            layers.Flatten(),
            layers.BatchNormalization(name="norm"),
            layers.Dense(5, activation="relu", name="two"),
            layers.Dense(2, name="head"),
        ),
        {"one": [1], "two": [0, 4]},
        {("two", 0): (0, [1, 4, 7, 10]), ("head", 0): (0, [0, 4])},
        {("one", 0): (3, 3, 2, 2), ("norm", 0): (8,), ("two", 0): (8, 3), ("head", 0): (3, 2)},
    ),
    "reshape to positions": Case(
        row(
            layers.Flatten(),
            layers.Dense(12, name="one"),
            layers.Reshape((2, 2, 3)),
            layers.BatchNormalization(name="norm"),
            conv(2, "two"),
        ),
        {"one": [1]},  # one unit of three, four channels
        {("two", 0): (2, [1])},
        {("one", 0): (32, 8), ("one", 1): (8,), ("norm", 0): (2,), ("two", 0): (3, 3, 2, 2)},
    ),
    "average pooling": Case(
        row(
            conv(3, "one"),
            layers.AveragePooling2D(2),
            layers.GlobalAveragePooling2D(keepdims=True),
            conv(2, "two", 1),
        ),
        {"one": [0]},
        {("two", 0): (2, [0])},
        {("one", 0): (3, 3, 2, 2), ("two", 0): (1, 1, 2, 2)},
    ),
    "max pooling": Case(
        row(
            conv(3, "one"),
            layers.Dropout(0.5),
            layers.GlobalMaxPooling2D(),
            layers.RepeatVector(2),
            layers.Dense(2, name="two"),
        ),
        {"one": [0]},
        {("two", 0): (0, [0])},
        {("one", 0): (3, 3, 2, 2), ("two", 0): (2, 2)},
    ),
    "squeeze and excite": Case(
        squeeze_and_excite,
        {"one": [3], "squeeze": [0]},
        {("squeeze", 0): (2, [3]), ("excite", 0): (2, [0]), ("head", 0): (2, [3])},
        {("one", 0): (3, 3, 2, 3), ("squeeze", 0): (1, 1, 3, 1), ("excite", 0): (1, 1, 1, 3)},
    ),
    "u-shaped": Case(
        u_shaped,
        {"one": [2], "two": [0, 1]},
        {("two", 0): (2, [2]), ("head", 0): (2, [0, 1, 7])},
        {("one", 0): (3, 3, 2, 2), ("two", 0): (3, 3, 2, 3), ("head", 0): (3, 3, 5, 2)},
    ),
    "prelu": Case(
        row(
            conv(3, "one"),
            layers.PReLU(name="each"),
            layers.PReLU(shared_axes=[1, 2, 3], name="all"),
            layers.LeakyReLU(0.1),
            conv(2, "two"),
        ),
        {"one": [1]},
        {("two", 0): (2, [1])},
        {("each", 0): (4, 4, 2), ("all", 0): (1, 1, 1), ("two", 0): (3, 3, 2, 2)},
    ),
    "called twice": Case(
        called_twice,
        {"one": [1], "shared": [0, 3]},
        {("shared", 0): (0, [1]), ("head", 0): (0, [0, 3, 4, 7])},
        {("one", 0): (2, 2), ("two", 0): (2, 2), ("shared", 0): (2, 2), ("head", 0): (4, 2)},
        (2,),
    ),
    "3D": Case(
        row(
            layers.Conv3D(3, 2, padding="same", name="one"),
            layers.UpSampling3D(),
            layers.Conv3DTranspose(3, 2, name="two"),
            layers.GlobalMaxPooling3D(),
            layers.Dense(2, name="head"),
        ),
        {"one": [1], "two": [0, 1]},
        {("two", 0): (4, [1]), ("head", 0): (0, [0, 1])},
        {("one", 0): (2, 2, 2, 2, 2), ("two", 0): (2, 2, 2, 1, 2), ("head", 0): (1, 2)},
        (3, 3, 3, 2),
    ),
    "einsum": Case(
        row(
            layers.EinsumDense("...x,xy->...y", 4, bias_axes="y", name="one"),
            layers.EinsumDense("abc,cd->abd", (5, 3), activation="relu", name="two"),
            layers.Dense(2, name="head"),
        ),
        {"one": [3], "two": [0]},
        {("two", 0): (0, [3]), ("head", 0): (0, [0])},
        {("one", 0): (2, 3), ("one", 1): (3,), ("two", 0): (3, 2), ("head", 0): (2, 2)},
        (5, 2),
    ),
    "embedding": Case(
        row(
            layers.Embedding(5, 4, mask_zero=True, name="table"),
            layers.LSTM(3, name="lstm"),
            layers.Dense(2, name="head"),
        ),
        {"table": [0, 1]},
        {("lstm", 0): (0, [0, 1])},
        {("table", 0): (5, 2), ("lstm", 0): (2, 12)},
        (6,),
        tokens=True,
    ),
    **{
        kind.__name__: Case(
            row(
                layers.Dense(3, name="one"),
                kind(4, return_sequences=True, name="cell", **settings),
                layers.Dense(2, name="head"),
            ),
            {"one": [1], "cell": [0, 2]},
            {("cell", 0): (0, [1]), ("cell", 1): (0, [0, 2]), ("head", 0): (0, [0, 2])},
            {("cell", 0): (2, 2 * gates), ("cell", 1): (2, 2 * gates), ("cell", 2): bias},
            (5, 2),
        )
        for kind, gates, bias, settings in [
            (layers.LSTM, 4, (8,), {}),
            (layers.GRU, 3, (2, 6), {}),
            (layers.SimpleRNN, 1, (2,), {"activation": "relu"}),
        ]
    },
    "GRU reset before": Case(
        row(layers.GRU(4, reset_after=False, name="cell"), layers.Dense(2, name="head")),
        {"cell": [1, 3]},
        {("cell", 1): (0, [1, 3]), ("head", 0): (0, [1, 3])},
        {("cell", 0): (2, 6), ("cell", 1): (2, 6), ("cell", 2): (6,)},
        (5, 2),
    ),
    "bidirectional": Case(
        row(
            layers.Dense(3, name="one"),
            layers.Bidirectional(layers.GRU(2), name="both"),
            layers.Dense(2, name="head"),
        ),
        {"one": [1]},
        {("both", 0): (0, [1]), ("both", 3): (0, [1])},
        {("one", 0): (2, 2), ("both", 0): (2, 6), ("both", 3): (2, 6)},
        (5, 2),
    ),
    "time distributed": Case(
        row(
            layers.TimeDistributed(layers.Conv2D(3, 2, activation="relu"), name="one"),
            layers.TimeDistributed(layers.Dense(4), name="two"),
            layers.Dense(2, name="head"),
        ),
        {"one": [2], "two": [1, 0]},
        {("two", 0): (0, [2]), ("head", 0): (0, [0, 1])},
        {("one", 0): (2, 2, 2, 2), ("two", 0): (2, 2), ("head", 0): (2, 2)},
        (3, *IMAGE),
    ),
    "operations": Case(
        operations,
        {"one": [1]},
        {("head", 0): (0, [1, 5])},
        {("one", 0): (2, 3), ("head", 0): (6, 2)},
        (5, 2),
    ),
    "nested": Case(
        nested,
        {"stem": [0, 3], "outer/block/conv": [1]},
        {
            ("outer/block/conv", 0): (2, [0, 3]),
            ("outer/block/end", 0): (2, [1]),
            ("head", 0): (2, [0, 3]),
        },
        {
            ("outer_block_conv", 0): (3, 3, 2, 4),
            ("outer_block_norm", 0): (4,),
            ("outer_block_end", 0): (3, 3, 4, 2),
            ("head", 0): (3, 3, 2, 3),
        },
    ),
}


def close(one, other, most=1e-5):
    for left, right in zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True):
        left, right = np.asarray(left), np.asarray(right)
        assert left.shape == right.shape
        assert np.abs(left - right).max() <= most * np.abs(right).max()


def layer_at(model, path):
    for name in path.split("/"):
        model = model.get_layer(name)
    return model


def zeroed(model, zeros):
    """Returns a copy of a model with zeros along axes of weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for (path, index), (axis, positions) in zeros.items():
        variable = layer_at(copy, path).weights[index]
        values = np.moveaxis(np.asarray(variable).copy(), axis, 0)
        values[positions] = 0.0
        variable.assign(np.moveaxis(values, 0, axis))
    return copy


@pytest.mark.parametrize("name", CASES)
def test_nobody_reads_what_is_removed_and_all_that_goes_with_it_goes(name):
    case = CASES[name]
    model, given = case.model(), case.given()
    before, weights = np.asarray(model(given)), model.get_weights()
    expected = np.asarray(zeroed(model, case.zeros)(given))
    assert np.abs(expected - before).max() > 1e-3 * np.abs(before).max()
    result = remove_channels(model, case.remove)
    close(result.model(given), expected)
    close(mask_channels(model, case.remove)(given), expected)
    for (layer, index), shape in case.shapes.items():
        assert tuple(result.model.get_layer(layer).weights[index].shape) == shape
    assert result.parameters_after == result.model.count_params() < result.parameters_before
    assert all(map(np.array_equal, weights, model.get_weights()))
    np.testing.assert_array_equal(model(given), before)


@pytest.mark.parametrize(
    "name",
    [
        *("residual", "grouped with one input each", "reshape to positions", "separable", "einsum"),
        *("embedding", "GRU", "bidirectional", "time distributed", "operations", "nested"),
    ],
)
def test_the_smaller_model_is_saved_loaded_and_trained(name, tmp_path):
    case = CASES[name]
    model, given = case.model(), case.given()
    model.compile("sgd", "mse")
    small = remove_channels(model, case.remove).model
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(loaded(given), small(given))
    before = small.get_weights()
    small.fit(given, np.zeros_like(small(given)), verbose=0)
    assert not all(map(np.array_equal, before, small.get_weights()))


def test_a_mask_changes_nothing_but_what_is_read():
    model = CASES["depthwise"].model()
    masked = mask_channels(model, {"one": [1]})
    changed = {
        layer.name
        for layer, other in zip(model.layers, masked.layers, strict=True)
        if not all(map(np.array_equal, layer.get_weights(), other.get_weights()))
    }
    assert changed == {"two"}


@pytest.mark.parametrize("name", CASES)
def test_another_order_of_channels_computes_the_same(name):
    case = CASES[name]
    model, given = case.model(), case.given()
    generator = np.random.default_rng(2)
    orders = {
        group.name: np.roll(generator.permutation(group.size), 1)
        for group in channel_groups(model)
        if not group.reason
    }
    other = permute_channels(model, orders)
    close(other(given), model(given))
    assert not all(map(np.array_equal, model.get_weights(), other.get_weights()))
    assert [v.shape for v in model.weights] == [v.shape for v in other.weights]


def test_the_first_unit_named_comes_first():
    case = CASES["chain"]
    model = case.model()
    other = permute_channels(model, {"one": [2, 0, 3, 1]})
    for layer, index, axis in [("one", 0, 3), ("norm", 0, 0), ("two", 0, 2)]:
        old, new = (m.get_layer(layer).get_weights()[index] for m in (model, other))
        np.testing.assert_array_equal(new, np.take(old, [2, 0, 3, 1], axis))


def test_what_is_kept_keeps_its_weights_and_order():
    model = CASES["residual"].model()
    small = remove_channels(model, {"stem": [2, 0]}).model
    old, new = (np.asarray(m.get_layer("one").kernel) for m in (model, small))
    np.testing.assert_array_equal(new, old[:, :, [1, 3]][..., [1, 3]])


def test_several_inputs_and_outputs_keep_their_structure():
    keras.utils.set_random_seed(0)
    one, two = keras.Input((9, 3), name="a"), keras.Input((4,), name="b")
    tensor = layers.Conv1D(5, 3, padding="causal", activation="relu", name="conv")(one)
    tensor = layers.Concatenate()([layers.GlobalAveragePooling1D()(tensor), two])
    tensor = layers.Dense(6, activation="relu", name="dense")(tensor)
    outputs = {"y": layers.Dense(2, name="y")(tensor), "z": [layers.Dense(1, name="z")(tensor)]}
    model = keras.Model({"a": one, "b": two}, outputs)
    shake(model)
    generator = np.random.default_rng(0)
    given = {"a": generator.normal(size=(4, 9, 3)), "b": generator.normal(size=(4, 4))}
    given = {name: value.astype(np.float32) for name, value in given.items()}
    result = remove_channels(model, {"conv": [0, 4], "dense": [1, 2, 3]})
    expected = zeroed(model, {("dense", 0): (0, [0, 4]), ("y", 0): (0, [1, 2, 3])})
    expected = zeroed(expected, {("z", 0): (0, [1, 2, 3])})(given)
    close(result.model(given), expected)
    assert set(result.model(given)) == {"y", "z"}
    assert result.model.get_layer("dense").kernel.shape == (7, 3)
    assert sorted(result.skipped) == [
        "'y': its channels are an output of the model.",
        "'z': its channels are an output of the model.",
    ]


def test_frozen_layers_stay_frozen_and_the_model_stays_compiled():
    model = CASES["nested"].model()
    layer_at(model, "outer/block/conv").trainable = False
    model.compile("adam", "mse", metrics=["mae"])
    small = remove_channels(model, {"stem": [0]}).model
    assert small.compiled and small.loss == "mse" and small.name == "model"
    trained = {layer.name: layer.trainable for layer in small.layers}
    assert not trained["outer_block_conv"] and trained["outer_block_end"]
    assert mask_channels(model, {"stem": [0]}).compiled


def test_a_frozen_model_stays_frozen():
    model = CASES["nested"].model()
    model.trainable = False
    model.compile("sgd", "mse")
    small = remove_channels(model, {"stem": [0]}).model
    assert not small.trainable and small.compiled
    assert remove_channels(CASES["nested"].model(), {"stem": [0]}).model.trainable


def test_names_stay_apart_when_nested_models_are_opened():
    keras.utils.set_random_seed(0)
    given, inside = keras.Input(IMAGE), keras.Input((4, 4, 3))
    block = keras.Model(inside, conv(4, "b")(inside), name="a")
    model = keras.Model(given, conv(2, "head")(block(conv(3, "a_b")(given))))
    small = remove_channels(model, {"a/b": [0]}).model
    assert small.get_layer("a_b").filters == 3 and small.get_layer("a_b_1").filters == 3
    images = CASES["nested"].given()
    close(small(images), mask_channels(model, {"a/b": [0]})(images))


def two_heads(head):
    """Returns a model of the outputs of a nested model and of a layer."""
    keras.utils.set_random_seed(0)
    given = keras.Input((5,))
    tensor = layers.Dense(6, activation="relu", name="stem")(given)
    results = keras.tree.flatten([head(tensor), layers.Dense(1, name="reg")(tensor)])
    return keras.Model(given, results)


def test_losses_by_names_of_outputs_hold_where_a_nested_model_is_one(tmp_path):
    parts = [keras.Input((6,)), layers.Dense(4, name="hidden"), layers.Dense(2, name="cls")]
    model = two_heads(keras.Sequential(parts, name="head"))
    model.compile(
        "sgd",
        {"head": "mse", "reg": "mae"},
        metrics={"head": ["mae"]},
        loss_weights={"head": 0.5, "reg": 1.0},
    )
    small = remove_channels(model, {"stem": [0], "head/hidden": [1]}).model
    small.save(tmp_path / "small.keras")
    truth = {"head": np.ones((3, 2)), "reg": np.ones((3, 1))}
    for copy in (small, keras.models.load_model(tmp_path / "small.keras")):
        logs = copy.fit(np.ones((3, 5)), truth, verbose=0).history
        assert {"loss", "head_loss", "reg_loss", "head_mae"} == {*logs}


def test_losses_by_names_of_outputs_that_are_lost_leave_the_model_uncompiled_with_a_warning():
    inside = keras.Input((6,))
    both = [layers.Dense(2, name="left")(inside), layers.Dense(3, name="right")(inside)]
    model = two_heads(keras.Model(inside, both, name="head"))
    model.compile("sgd", {"head": "mse", "reg": "mae"})
    with pytest.warns(
        UserWarning, match=r"\['head_left', 'head_right', 'reg'\], not \['head', 'he"
    ):
        small = remove_channels(model, {"stem": [0]}).model
    assert not small.compiled
    model.compile("sgd", ["mse", "mse", "mae"])
    assert remove_channels(model, {"stem": [0]}).model.compiled


def constant(*values):
    return keras.initializers.Constant(np.float32(values))


@keras.saving.register_keras_serializable("tests")
class OneShape(keras.initializers.Initializer):
    """An initializer of the user's own, that knows one shape."""

    def __call__(self, shape, dtype=None):
        return keras.ops.reshape(keras.ops.arange(18, dtype=dtype), shape)


def test_initial_values_of_single_channels_go_with_them(tmp_path):
    parts = [
        layers.Conv2D(3, 1, kernel_initializer=OneShape(), name="one"),
        layers.DepthwiseConv2D(1, depthwise_initializer=constant([1], [2], [3]), name="two"),
        layers.BatchNormalization(beta_initializer=constant(1, 2, 3), name="norm"),
        layers.TimeDistributed(
            layers.Dense(4, bias_initializer=constant(1, 2, 3, 4)), name="three"
        ),
        layers.Reshape((16, 4)),
        layers.LSTM(2, unit_forget_bias=False, bias_initializer=constant(*range(8)), name="four"),
        layers.Dense(
            2, bias_initializer=constant(1, 2), kernel_initializer=constant([1, 2], [3, 4])
        ),
    ]
    model = keras.Sequential([keras.Input((4, 4, 6)), *parts])
    shake(model)
    gone = {"one": [1], "three": [0, 2], "four": [0]}
    small = remove_channels(model, gone).model
    given = np.random.default_rng(0).normal(size=(3, 4, 4, 6)).astype(np.float32)
    close(small(given), mask_channels(model, gone)(given))
    small.save(tmp_path / "small.keras")
    close(keras.models.load_model(tmp_path / "small.keras")(given), small(given))
    fresh = {layer.name: layer.weights for layer in keras.models.clone_model(small).layers}
    np.testing.assert_array_equal(fresh["norm"][1], [1, 3])
    np.testing.assert_array_equal(fresh["one"][0], np.arange(18).reshape(1, 1, 6, 3)[..., [0, 2]])
    np.testing.assert_array_equal(np.ravel(fresh["two"][0]), [1, 3])
    np.testing.assert_array_equal(fresh["three"][1], [2, 4])
    np.testing.assert_array_equal(fresh["four"][2], [1, 3, 5, 7])
    np.testing.assert_array_equal(fresh[parts[-1].name][0], [[3, 4]])


def test_a_layer_that_cannot_be_built_smaller_is_named():
    parts = [
        layers.Dense(4, name="one"),
        layers.Bidirectional(
            layers.LSTM(2, kernel_initializer=constant(*[[1] * 8] * 4)), name="two"
        ),
    ]
    model = keras.Sequential([keras.Input((3, 5)), *parts])
    with pytest.raises(ValueError, match="built smaller.*'two' of type Bidirectional"):
        remove_channels(model, {"one": [1]})


def test_a_result_says_what_was_gained_and_what_stays():
    model = CASES["flatten"].model()
    result = remove_channels(model, {"one": [1], "two": [0, 4]})
    # 3 * 3 * 2 * 3 at 4 positions, 12 * 5, 5 * 2; then 3 * 3 * 2 * 2 at 4, 8 * 3, 3 * 2
    assert (result.macs_before, result.macs_after) == (216 + 60 + 10, 144 + 24 + 6)
    # kernels, biases 3 5 2, four of the normalization
    assert result.parameters_before == 54 + 60 + 10 + 3 + 5 + 2 + 4 * 12
    assert result.parameters_after == 36 + 24 + 6 + 2 + 3 + 2 + 4 * 8
    assert {name: units.tolist() for name, units in result.removed.items()} == {
        "one": [1],
        "two": [0, 4],
    }
    text = str(result)
    assert "3 units of channels removed from 2 groups of 'model'" in text
    assert "MACs: 286 -> 174 (39.2% less)" in text and "parameters: 182 -> 105" in text
    assert "left: 'head': its channels are an output of the model." in text


def test_multiply_accumulates_of_unknown_sizes_are_left_out():
    given = keras.Input((None, None, 2))
    model = keras.Model(given, conv(2, "two")(conv(4, "one")(given)))
    result = remove_channels(model, {"one": [0]})
    assert result.macs_before is None and result.macs_after is None and "MACs" not in str(result)
    assert result.model.get_layer("one").filters == 3


def test_nothing_named_is_nothing_removed():
    case = CASES["chain"]
    model, given = case.model(), case.given()
    result = remove_channels(model, {})
    np.testing.assert_array_equal(result.model(given), model(given))
    assert result.removed == {} and result.parameters_after == result.parameters_before


def test_dead_channels_go_by_themselves():
    model, given = CASES["residual"].model(), CASES["residual"].given()
    for name in ("stem", "one", "two"):
        kernel, bias = model.get_layer(name).weights
        kernel.assign(np.asarray(kernel) * np.float32([0, 1, 1, 1]))
        bias.assign(np.asarray(bias) * np.float32([0, 1, 1, 1]))
    for variable in model.get_layer("norm").weights[1:3]:  # beta and mean
        variable.assign(np.asarray(variable) * np.float32([0, 1, 1, 1]))
    result = remove_channels(model)
    assert {name: units.tolist() for name, units in result.removed.items()} == {"stem": [0]}
    assert result.model.get_layer("two").kernel.shape == (3, 3, 3, 3)
    close(result.model(given), model(given))


FAILURES = [
    ("chain", {"onne": [0]}, r"must name groups.*Received: 'onne'. Did you mean 'one'\?"),
    ("chain", {"one": [4]}, r"`channels\['one'\]` must be different integers from 0 to 3"),
    ("chain", {"one": [-1]}, r"from 0 to 3. Received: \[-1\]"),
    ("chain", {"one": [1, 1]}, r"must be different integers.*Received: \[1, 1\]"),
    ("chain", {"one": [0.5]}, r"must be different integers"),
    ("chain", {"one": 1}, r"must be different integers"),
    ("chain", ["one"], r"`channels` must map names.*Received: list"),
    ("chain", {"one": [0, 1, 2, 3]}, r"must leave each layer a channel.*would empty layer 'one'"),
    ("chain", {"two": [0]}, r"Received: 'two', where its channels are an output of the model"),
    ("concatenation", {"norm": [3]}, r"Received: 3, where its channels are an input of the model"),
    ("bidirectional", {"both": [0]}, r"'both' \(Bidirectional\) has layers for two directions"),
    ("grouped", {"one": [2]}, r"from 0 to 1"),
]


@pytest.mark.parametrize("name, channels, message", FAILURES)
@pytest.mark.parametrize("function", [remove_channels, mask_channels])
def test_what_cannot_be_removed_is_refused(name, channels, message, function):
    with pytest.raises(ValueError, match=message):
        function(CASES[name].model(), channels)


def test_orders_that_are_none_are_refused():
    model = CASES["chain"].model()
    for order in ([0, 1, 2], [0, 0, 1, 2], [1, 2, 3, 4]):
        with pytest.raises(ValueError, match=r"`orders\['one'\]` must.*Received"):
            permute_channels(model, {"one": order})
    with pytest.raises(ValueError, match="`orders` must name channels that can go.*output"):
        permute_channels(model, {"two": [2, 1, 0]})
    with pytest.raises(ValueError, match="`orders` must name groups.*Did you mean 'one'"):
        permute_channels(model, {"on": [2, 1, 0]})


def test_units_of_different_numbers_of_channels_keep_their_places():
    given = keras.Input((4,))
    one, two = layers.Dense(2, name="one")(given), layers.Dense(2, name="two")(given)
    wide = layers.Dense(6, name="wide")(given)  # its units: 0 1 0 1 2 3
    tensor = layers.Add()([wide, layers.Concatenate()([one, one, two])])
    model = keras.Model(given, layers.Dense(2)(tensor))
    with pytest.raises(
        ValueError, match="equally many channels. Received: units of 1 and of 0 in 'one'"
    ):
        permute_channels(model, {"one": [2, 1, 0, 3]})
    permute_channels(model, {"one": [1, 0, 3, 2]})


def test_models_without_a_graph_and_compressed_ones_are_refused():
    class Own(keras.Model):
        pass

    for function in (lambda m: remove_channels(m), lambda m: mask_channels(m, {})):
        with pytest.raises(ValueError, match="must be a Sequential or functional Keras model"):
            function(Own())
        with pytest.raises(ValueError, match="must be a plain model"):
            function(edgeax.compress(CASES["chain"].model(), "static_wi8_ai8"))


NETWORKS = {
    "MobileNetV2": (32, {}),
    "MobileNetV3Small": (32, {"include_preprocessing": False}),
    "EfficientNetB0": (32, {}),
    "ResNet50V2": (32, {}),
    "DenseNet121": (32, {}),
}


@pytest.mark.parametrize("name", kept(NETWORKS, "MobileNetV3Small", "ResNet50V2", "DenseNet121"))
def test_a_third_of_all_channels_of_a_known_network_goes(name):
    size, settings = NETWORKS[name]
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        weights=None,
        input_shape=(size, size, 3),
        classes=10,
        classifier_activation=None,
        **settings,
    )
    generator = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            for variable, (low, high) in zip(
                layer.weights, [(0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 2.0)], strict=True
            ):
                variable.assign(generator.uniform(low, high, variable.shape))
    groups = [group for group in channel_groups(model) if not group.reason]
    channels = {
        group.name: generator.choice(
            group.size, int(group.size * generator.uniform(1 / 3, 1 / 2)), replace=False
        )
        for group in groups
    }
    result = remove_channels(model, channels)
    given = generator.normal(size=(2, size, size, 3)).astype(np.float32)
    expected = np.asarray(mask_channels(model, channels)(given))
    assert 1e-3 < np.abs(expected).max() < 1e3
    assert np.abs(np.asarray(model(given)) - expected).max() > 0.05 * np.abs(expected).max()
    close(result.model(given), expected)
    assert result.parameters_after < 0.45 * result.parameters_before  # (1 - 5 / 12) ** 2 = 0.34
    assert result.macs_after < 0.45 * result.macs_before
    assert len(result.skipped) == 1 and "output of the model" in result.skipped[0]
