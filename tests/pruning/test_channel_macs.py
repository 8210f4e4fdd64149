"""Multiply-accumulates that are left as channels go."""

import numpy as np
import pytest

from edgeax.model.channels import channel_groups
from edgeax.model.macs import macs
from edgeax.model.select_channels import remove_channels
from edgeax.pruning.channel_macs import ChannelMacs
from tests.model import small_models
from tests.pruning import channel_models

ALL = np.arange


def test_a_unit_takes_its_share_of_makers_and_readers():
    """A 3x3 convolution of 2 to 4 channels at 10 places, and a dense layer of 4 to 5."""
    counter = ChannelMacs(
        {"conv": 10 * 9 * 2 * 4, "dense": 4 * 5, "other": 7},
        {("conv", "kernel"): (3, 3, 2, 4), ("dense", "kernel"): (4, 5)},
        {"conv": [("conv", "kernel", 3, ALL(4)), ("dense", "kernel", 0, ALL(4))]},
    )
    assert counter.total == 747
    assert counter.saved("conv", 4).tolist() == [10 * 9 * 2 + 5] * 4
    counter.remove("conv", 1)
    counter.remove("conv", 3)
    assert counter.total == 10 * 9 * 2 * 2 + 2 * 5 + 7


def test_two_groups_of_one_kernel_multiply():
    counter = ChannelMacs(
        {"mid": 6 * 8},
        {("mid", "kernel"): (6, 8)},
        {"before": [("mid", "kernel", 0, ALL(6))], "mid": [("mid", "kernel", -1, ALL(8))]},
    )
    counter.remove("before", 0)
    copy = counter.copy()
    copy.remove("mid", 2)
    assert (counter.total, copy.total) == (5 * 8, 5 * 7)


def test_a_unit_of_several_positions_takes_them_all():
    units = np.array([0, 1, 0, 1, -1])
    counter = ChannelMacs(
        {"dense": 50}, {("dense", "kernel"): (5, 10)}, {"conv": [("dense", "kernel", 0, units)]}
    )
    counter.remove("conv", 1)
    assert counter.total == 30


def test_what_a_layer_without_kernel_needs_stays():
    counter = ChannelMacs({"one": 5}, {}, {"one": [("norm", "gamma", 0, ALL(4))]})
    counter.remove("one", 0)
    assert counter.total == 5


@pytest.mark.parametrize(
    "make", [channel_models.residual, channel_models.chain, small_models.convolutional]
)
def test_the_count_equals_that_of_the_smaller_model(make):
    model = make()
    groups = [group for group in channel_groups(model) if not group.reason]
    counter = ChannelMacs.of(model, groups)
    assert counter.total == sum(macs(model).values())
    gone = {group.name: [0, group.size - 2] for group in groups}
    for name, units in gone.items():
        for unit in units:
            counter.remove(name, unit)
    assert counter.total == remove_channels(model, gone).macs_after
