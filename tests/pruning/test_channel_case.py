"""What criteria see of a model."""

import keras
import numpy as np
import pytest

from edgeax.model.channels import channel_groups
from edgeax.pruning.channel_case import ChannelCase, ChannelCriterion, ChannelSelection
from tests.pruning import channel_models

layers = keras.layers


def case_of(model, samples=(), **kwargs):
    groups = [group for group in channel_groups(model) if not group.reason]
    return ChannelCase(model, groups, list(samples), **kwargs)


def test_samples_come_in_batches_with_their_labels():
    case = case_of(
        channel_models.chain(),
        [np.arange(5)],
        labels={"out": np.arange(5) * 10},
        batch_size=2,
    )
    found = [(inputs[0].tolist(), labels["out"].tolist()) for inputs, labels in case.batches()]
    assert found == [([0, 1], [0, 10]), ([2, 3], [20, 30]), ([4], [40])]
    case.labels = None
    assert [labels for _, labels in case.batches()] == [None] * 3
    case.samples = []
    assert not [*case.batches()]


def test_a_weight_has_its_channels_first():
    model = channel_models.chain()
    case = case_of(model)
    kernel = np.asarray(model.get_layer("two").kernel)
    made = next(one for one in case.groups[1].makers if one.weight == "kernel")
    read = case.groups[0].readers[0]
    np.testing.assert_array_equal(case.weight(made)[3], kernel[..., 3].ravel())
    np.testing.assert_array_equal(case.weight(read)[4], kernel[:, :, 4].ravel())


def test_groups_that_cannot_be_seen_are_skipped_with_the_reason():
    model = keras.Sequential(
        [keras.Input((4, 3)), layers.LSTM(5, name="lstm"), layers.Dense(2, name="head")]
    )
    case = case_of(model)
    assert case.seen_groups == []
    assert "recurrent_kernel" in case.skipped["lstm"]


def test_it_counts_multiply_accumulates():
    assert case_of(channel_models.chain()).macs.saved("three", 7).tolist() == [6 + 3] * 7


@pytest.mark.parametrize("make, call", [
    (ChannelCriterion, lambda one: one.scores(None)),
    (ChannelSelection, lambda one: one.chosen(None, 1, None)),
])  # fmt: skip
def test_a_new_criterion_has_to_say_how_it_chooses(make, call):
    with pytest.raises(NotImplementedError):
        call(make())
