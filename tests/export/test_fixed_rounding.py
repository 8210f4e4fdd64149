"""Fixed rounding: what is rounded, in which order, and on which grids."""

import keras
import numpy as np
import pytest

from edgeax.export.freeze import freeze
from edgeax.export.rounding import FixedRange
from tests.export.networks import normal, roundings

layers = keras.layers


def test_every_result_that_the_device_rounds_is_rounded_and_in_the_order_in_which_they_run(frozen):
    assert [point.path for point in frozen.points] == [
        "image",
        "stem",
        "left",
        "add",
        "average_pool",  # in the range of what it averages
        "channels",
        "global_pool",
        "features",
        "head",
        "head",
    ]


def test_values_that_are_all_zero_take_the_step_of_what_they_come_from():
    given = keras.Input((6,), name="given")
    dead = layers.ReLU()(layers.BatchNormalization()(layers.Dense(6, name="dead")(given)))
    second = layers.Dense(6, name="second", use_bias=False)(dead)
    both = layers.Add(name="both")([given, second])
    model = keras.Model(given, [both, layers.Add(name="zeros")([dead, second])])
    model.get_layer("dead").kernel.assign(np.zeros((6, 6)))
    found = roundings(freeze(model, [normal(8, 6)], integer=True))
    step = found["given"].grid.step
    assert step > 0.01
    for path in ("dead", "second", "zeros"):
        assert found[path].grid.step == pytest.approx(step), path
        assert found[path].grid.extremes[0] == 0.0
    nothing = freeze(model, [np.zeros((8, 6), np.float32)], integer=True)
    assert [point.grid.step for point in nothing.points] == pytest.approx([1 / 255] * 5)


def test_values_that_are_only_moved_stay_on_their_grid(frozen):
    again = [
        layer
        for layer in frozen.model.layers
        if isinstance(layer, FixedRange) and not layer.name.startswith("range_")
    ]
    grids = roundings(frozen)
    moved = {"stem": 1, "average_pool": 1}  # the max pool, the flatten
    for path, count in moved.items():
        low, high = grids[path].grid.extremes
        assert sum((layer.low, layer.high) == (low, high) for layer in again) == count
    assert len(again) == 2
    assert grids["average_pool"].grid == grids["add"].grid
