"""Groups of channels: who belongs together, by which weights, and how units are numbered."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.channels import Channels, channel_groups, check_indices, values_of
from tests.model import small_models

layers = keras.layers


def block():
    """Returns a residual block with a concatenation behind it."""
    keras.utils.set_random_seed(0)
    given = keras.Input((4, 4, 2))
    stem = layers.Conv2D(4, 1, name="stem")(given)
    tensor = layers.Conv2D(6, 3, padding="same", use_bias=False, name="wide")(stem)
    tensor = layers.BatchNormalization(name="norm")(tensor)
    tensor = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(tensor)
    tensor = layers.Add()([stem, layers.Conv2D(4, 1, name="narrow")(tensor)])
    side = layers.Conv2D(3, 1, name="side")(given)
    tensor = layers.BatchNormalization(name="all")(layers.Concatenate()([side, tensor]))
    return keras.Model(given, layers.Dense(2, name="head")(layers.Flatten()(tensor)))


def by_name(model):
    return {group.name: group for group in channel_groups(model)}


def listed(pieces):
    return [(piece.path, piece.weight, piece.axis) for piece in pieces]


def test_groups_are_what_can_be_worked_out_from_the_graph():
    groups = channel_groups(block())
    assert {(group.name, group.size) for group in groups} == {
        *(("stem", 4), ("wide", 6), ("side", 3), ("head", 2)),
    }
    assert [group.name for group in groups if group.reason] == ["head"]
    assert by_name(block())["head"].reason == "its channels are an output of the model."


def test_a_group_lists_who_makes_carries_and_reads_it():
    groups = by_name(block())
    assert listed(groups["wide"].makers) == [
        ("wide", "kernel", 3),
        *(("norm", name, 0) for name in ("gamma", "beta", "moving_mean", "moving_variance")),
        ("depthwise", "kernel", 2),
        ("depthwise", "bias", 0),
    ]
    assert listed(groups["wide"].readers) == [("narrow", "kernel", 2)]
    assert groups["stem"].maker_paths == ("stem", "narrow", "all")
    assert groups["stem"].reader_paths == ("wide", "head")
    assert groups["head"].readers == ()


def test_units_say_where_a_group_lies_among_others():
    groups = by_name(block())
    (gamma,) = [p for p in groups["stem"].makers if (p.path, p.weight) == ("all", "gamma")]
    assert gamma.units.tolist() == [-1, -1, -1, 0, 1, 2, 3]
    (kernel,) = groups["side"].readers
    assert (kernel.path, kernel.axis) == ("head", 0)
    assert kernel.units.tolist() == [0, 1, 2, -1, -1, -1, -1] * 16


@pytest.mark.parametrize("build", [block, small_models.nested, small_models.convolutional])
def test_values_have_the_axis_of_the_channels_first(build):
    model = build()
    for group in channel_groups(model):
        for piece in (*group.makers, *group.readers):
            values = values_of(model, piece)
            assert len(values) == piece.units.size
            assert set(piece.units.tolist()) - {-1} == set(range(group.size))


def test_values_are_those_of_the_model():
    model = block()
    (kernel,) = by_name(model)["wide"].readers
    expected = np.transpose(np.asarray(model.get_layer("narrow").kernel), (2, 0, 1, 3))
    np.testing.assert_array_equal(values_of(model, kernel), expected)


def test_values_of_another_model_are_refused():
    (kernel,) = by_name(block())["wide"].readers
    with pytest.raises(ValueError, match="`piece` must be a slice.*'kernel' of 'narrow'"):
        values_of(small_models.convolutional(), kernel)


def test_units_are_numbered_as_the_first_maker_has_them():
    given = keras.Input((3,))
    one, two = layers.Dense(2, name="one")(given), layers.Dense(3, name="two")(given)
    tensor = layers.Add()([layers.Concatenate()([two, one]), layers.Dense(5, name="sum")(given)])
    (group, _) = channel_groups(keras.Model(given, layers.Dense(2, name="head")(tensor)))
    assert group.size == 5 and set(group.maker_paths) == {"one", "two", "sum"}
    units = {piece.path: piece.units.tolist() for piece in group.makers if piece.weight == "kernel"}
    assert units[group.name] == list(range(len(units[group.name])))
    assert units["sum"] == units["two"] + units["one"]


def test_channels_of_which_some_stay_are_two_groups():
    given = keras.Input((3,))
    one = layers.Dense(4, name="one")(given)
    tensor = layers.Add()([layers.Concatenate()([given, one]), layers.Dense(7, name="two")(given)])
    groups = channel_groups(keras.Model(given, layers.Dense(2, name="head")(tensor)))
    found = {(group.size, group.reason) for group in groups}
    assert (4, "") in found and (3, "its channels are an input of the model.") in found
    (free,) = [group for group in groups if not group.reason]
    kernels = {p.path: p.units.tolist() for p in free.makers if p.weight == "kernel"}
    assert kernels == {"one": [0, 1, 2, 3], "two": [-1, -1, -1, 0, 1, 2, 3]}


def test_grouped_convolutions_make_few_units():
    given = keras.Input((4, 4, 2))
    tensor = layers.Conv2D(6, 1, name="one")(given)
    tensor = layers.Conv2D(4, 1, groups=2, name="two")(tensor)
    groups = by_name(keras.Model(given, layers.Conv2D(2, 1, name="head")(tensor)))
    assert (groups["one"].size, groups["two"].size) == (3, 2)
    assert groups["one"].makers[0].units.tolist() == [0, 1, 2, 0, 1, 2]
    assert groups["one"].readers[0].units.tolist() == [0, 1, 2]
    assert groups["two"].makers[0].units.tolist() == [0, 1, 0, 1]


def test_channels_that_can_go_only_all_together_stay():
    given = keras.Input((4,))
    tensor = layers.Reshape((4, 1))(layers.Dense(4, name="one")(given))
    model = keras.Model(given, layers.Dense(2, name="head")(tensor))
    assert by_name(model)["one"].reason == "the channels of 'one' can go only all together."


def test_nested_layers_go_by_their_paths_and_repeated_names_by_their_ends():
    groups = by_name(small_models.nested())
    assert groups["stem"].maker_paths[:2] == ("stem", "deep/inner/conv")
    given = keras.Input((5, 2))
    tensor = layers.Dense(3, name="one")(given)
    tensor = layers.Bidirectional(layers.LSTM(2, name="lstm"), name="both")(tensor)
    model = keras.Model(given, layers.Dense(2)(tensor))
    pieces = by_name(model)["one"].readers
    assert [piece.weight for piece in pieces] == [
        "forward_lstm/lstm_cell/kernel",
        "backward_lstm/lstm_cell/kernel",
    ]
    for piece, index in zip(pieces, (0, 3), strict=True):
        expected = np.asarray(model.get_layer("both").weights[index])
        np.testing.assert_array_equal(values_of(model, piece), expected)


def test_names_and_indices_choose_units():
    channels = Channels(block())
    stem = channels.group_named("stem")
    first, _, third, _ = channels.units_of(stem).tolist()
    assert channels.chosen({"stem": [0, 2]}).tolist() == [first, third]
    assert channels.chosen({"narrow": [2]}).tolist() == [third]
    assert channels.chosen({"all": [5, 3], "stem": [0]}).tolist() == [first, third]
    assert channels.chosen({}).size == 0


@pytest.mark.parametrize("given", [[0, 3], [-1], [1, 1], [0.5], [[0]], 2, ["0"]])
def test_indices_have_to_be_different_and_in_range(given):
    with pytest.raises(ValueError, match="`some` must be different integers from 0 to 2. Received"):
        check_indices("some", given, 3)


@pytest.mark.parametrize("given", [[2, 0], np.array([2, 0]), range(2, -1, -2), (2, 0)])
def test_indices_may_be_any_integers(given):
    assert check_indices("some", given, 3).tolist() == [2, 0]


def test_compressed_models_are_refused():
    with pytest.raises(ValueError, match="must be a plain model"):
        channel_groups(edgeax.compress(small_models.convolutional(), "static_wi8_ai8"))


def test_the_model_is_not_touched():
    model = block()
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    channel_groups(model)
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
