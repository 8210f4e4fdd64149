import keras
import numpy as np
import pytest

import edgeax
from edgeax.pruning.skipped_macs import skipped_macs
from edgeax.transforms.near_zero import NearZero
from tests.model import small_models
from tests.pruning import nets

layers = keras.layers


def test_hqy16_hqy17_skips_are_those_counted_by_hand():
    model = nets.dense(3, 2, inputs=4)
    model.layers[0].kernel.assign(np.eye(4, 3))
    model.layers[0].bias.assign([0.0, -1.5, 0.0])
    x = np.float32([[1.0, 2.0, 0.0, 0.05], [0.0, 1.0, -3.0, 0.2]])
    # Hidden: relu of (1, 0.5, 0) and of (0, -0.5, -3).
    found = skipped_macs(model, x, threshold=0.1)
    first, second = found.rows
    assert (first.path, first.macs, first.skipped) == ("first", 12, (2 + 1) * 3 / 2)
    assert (second.path, second.macs, second.skipped) == ("second", 6, (1 + 3) * 2 / 2)
    assert found.share == pytest.approx((4.5 + 4) / 18)
    assert [row.skipped for row in skipped_macs(model, x).rows] == [(1 + 1) * 3 / 2, 4]


def test_a_convolution_meets_an_input_once_for_each_weight():
    model = keras.Sequential(
        [
            keras.Input((3, 3, 2)),
            layers.Conv2D(5, 2, name="conv"),
            layers.Reshape((2, 2, 5)),
            layers.DepthwiseConv2D(2, padding="same", name="depthwise"),
        ]
    )
    image = np.ones((1, 3, 3, 2), np.float32)
    image[0, 1, 1, 0] = 0.0  # in the middle: all four windows see it
    image[0, 0, 0, 1] = 0.0  # in a corner: one does
    conv, depthwise = skipped_macs(model, image).rows
    assert (conv.macs, conv.skipped) == (2 * 2 * 2 * 2 * 2 * 5, (4 + 1) * 5)
    # Padding: of 2 x 2 windows of 2 x 2, one is whole, two are half, one a quarter.
    assert (depthwise.macs, depthwise.skipped) == (2 * 2 * 4 * 5, (0 + 2 + 2 + 3) * 5)
    summary = {row.path: row.macs for row in edgeax.summary(model).rows}
    assert summary == {"conv": conv.macs, "depthwise": depthwise.macs}


def test_what_near_zero_makes_zero_is_skipped_behind_it():
    model = small_models.convolutional()
    images = small_models.images(16)
    recipe = edgeax.Recipe(
        [
            edgeax.Rule(".*", kernel=edgeax.Prune(0.0)),
            edgeax.Rule("depthwise", input=NearZero(0.5)),
        ]
    )
    small = edgeax.compress(model, recipe)
    plain, with_it = (
        {row.path: row.share for row in skipped_macs(one, images).rows} for one in (model, small)
    )
    assert with_it["depthwise"] > plain["depthwise"] + 0.1
    expected = {row.path: row.share for row in skipped_macs(model, images, threshold=0.5).rows}
    assert with_it["depthwise"] == expected["depthwise"]
    assert with_it["conv"] == plain["conv"] < expected["conv"]


def test_layers_that_are_no_matrix_are_named_and_the_table_ends_with_the_total():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2DTranspose(2, 2, name="up"),
            layers.Flatten(),
            layers.Dense(3, name="head"),
        ]
    )
    found = skipped_macs(model, np.ones((2, 4, 4, 2), np.float32))
    assert [row.path for row in found.rows] == ["head"]
    text = str(found)
    assert "total" in text and "not counted: up: it is a Conv2DTranspose" in text


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`threshold` must be at least 0.*-1"):
        skipped_macs(nets.dense(3), nets.data()[0], -1)
