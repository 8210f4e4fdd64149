"""Readings taken from models that are pruned group by group."""

import keras
import numpy as np
import pytest

from edgeax.model.select_channels import mask_channels
from edgeax.pruning.channel_readings import Pruning
from tests.pruning import channel_models
from tests.pruning.test_channel_case import case_of

layers = keras.layers


def generator():
    return np.random.default_rng(0)


def chain(places=1000):
    model, images = channel_models.chain(), channel_models.images_for_chain()
    case = case_of(model, [images], batch_size=7)
    return model, images, case, Pruning(case, places)


def test_before_pruning_the_kernel_gives_the_targets_from_the_inputs():
    _, _, case, pruning = chain()
    for group in case.groups:
        reading = pruning.reading(group, generator())
        np.testing.assert_allclose(reading.inputs @ reading.kernel, reading.targets, atol=1e-5)
        np.testing.assert_array_equal(reading.wanted, reading.targets)
        assert reading.size == group.size


def test_targets_are_what_the_layer_gives_without_its_bias():
    model, images, case, pruning = chain()
    reading = pruning.reading(case.groups[0], generator())
    before = model.get_layer("one")(images)
    layer = model.get_layer("two")
    given = keras.ops.conv(before, layer.kernel, padding="same")
    np.testing.assert_allclose(reading.targets, np.asarray(given).reshape(-1, 6), atol=1e-5)


def test_inputs_are_those_of_the_pruned_model_and_targets_those_of_the_original():
    model, images, case, pruning = chain()
    one_group, two_group, _ = case.groups
    before = pruning.reading(two_group, generator())
    pruning.keep(one_group, np.array([0, 3]))
    after = pruning.reading(two_group, generator())
    np.testing.assert_array_equal(before.targets, after.targets)
    masked = mask_channels(model, {"one": [1, 2, 4]})
    one, two, pool, *_ = masked.layers
    pooled = pool(two(one(images)))
    np.testing.assert_allclose(after.inputs, pooled, atol=1e-5)
    assert np.abs(after.inputs - before.inputs).max() > 1e-3


def test_a_kernel_that_was_set_is_read_with():
    model, images, case, pruning = chain()
    one, two, _ = case.groups
    reading = pruning.reading(one, generator())
    pruning.set_kernel(one, 2.0 * reading.kernel)
    kernel = np.asarray(model.get_layer("two").kernel)
    np.testing.assert_allclose(pruning.kernels["two"], 2.0 * kernel, rtol=1e-6)
    np.testing.assert_allclose(pruning.reading(one, generator()).kernel, 2.0 * reading.kernel)
    np.testing.assert_array_equal(pruning.reading(one, generator()).targets, reading.targets)
    assert not np.allclose(
        pruning.reading(two, generator()).inputs @ pruning.reading(two, generator()).kernel,
        pruning.reading(two, generator()).targets,
    )


def test_so_many_places_of_each_sample_are_drawn():
    _, images, case, pruning = chain(places=4)
    reading = pruning.reading(case.groups[0], generator())
    assert reading.inputs.shape == (len(images) * 4, 9 * 5)
    every = chain()[3].reading(case.groups[0], generator()).inputs
    found = [set(map(tuple, every[36 * n : 36 * (n + 1)])) for n in range(len(images))]
    for row in range(len(reading.inputs)):
        assert tuple(reading.inputs[row]) in found[row // 4]
    assert len(set(map(tuple, reading.inputs))) == len(reading.inputs)


def test_a_flattening_gives_each_unit_all_its_positions():
    model = channel_models.trained()
    images, _ = channel_models.separable(6)
    case = case_of(model, [images])
    pruning = Pruning(case, 10)
    down = next(group for group in case.groups if group.name == "down")
    reading = pruning.reading(down, generator())
    assert np.bincount(reading.units).tolist() == [9] * 10
    np.testing.assert_allclose(reading.inputs @ reading.kernel, reading.targets, atol=1e-4)


def test_groups_come_in_the_order_in_which_they_are_read():
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    late, early = layers.Dense(3, name="late")(given), layers.Dense(3, name="early")(given)
    early = layers.Dense(3, name="middle")(early)
    joined = layers.Concatenate()([layers.Dense(2, name="reader")(early), late])
    model = keras.Model(given, layers.Dense(2, name="last")(joined))
    order = [group.name for group in Pruning(case_of(model), 1).in_order()]
    assert order.index("early") < order.index("middle") < order.index("late")


def test_another_input_of_the_reader_is_left_out_of_what_is_wanted():
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    parts = [layers.Dense(3, activation="relu", name=name)(given) for name in ("left", "right")]
    model = keras.Model(given, layers.Dense(2, name="last")(layers.Concatenate()(parts)))
    samples = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    case = case_of(model, [samples])
    pruning = Pruning(case, 1)
    left = next(group for group in case.groups if group.name == "left")
    reading = pruning.reading(left, generator())
    assert reading.units.tolist() == [0, 1, 2, -1, -1, -1]
    expected = reading.inputs[:, :3] @ np.asarray(model.get_layer("last").kernel)[:3]
    np.testing.assert_allclose(reading.wanted, expected, atol=1e-5)


def test_what_cannot_be_read_is_said():
    model = channel_models.trained()
    case = case_of(model)
    pruning = Pruning(case, 1)
    reasons = {group.name: pruning.why_not(group) for group in case.groups}
    assert reasons["stem"] == "2 layers read it, inner, down."
    assert reasons["inner"] == reasons["down"] == reasons["hidden"] == ""


@pytest.mark.parametrize("layer", [
    layers.Conv2DTranspose(2, 3, name="reader"),
    layers.SeparableConv2D(2, 3, name="reader"),
])  # fmt: skip
def test_a_reader_that_is_no_matrix_is_said(layer):
    model = keras.Sequential([keras.Input((5, 5, 2)), layers.Conv2D(4, 1, name="one"), layer])
    model = keras.Sequential([*model.layers, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    model.build((None, 5, 5, 2))
    case = case_of(model)
    first = next(group for group in case.groups if group.name == "one")
    assert type(layer).__name__ in Pruning(case, 1).why_not(first)
