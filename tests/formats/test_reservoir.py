"""Reservoir: which samples stay, against what the method promises and sequences worked out."""

import numpy as np
import pytest

from edgeax.formats.reservoir import Reservoir


def kept_of(stream, slots, classes, seed=0):
    """Returns the reservoir, and which place of the stream each slot holds at its end."""
    reservoir = Reservoir(slots, classes, seed)
    places = np.full(slots, -1)
    for place, label in enumerate(stream):
        slot = reservoir.offer(label)
        if slot is not None:
            places[slot] = place
    return reservoir, places


def test_free_slots_are_taken_in_order():
    reservoir = Reservoir(3, 2)
    assert [reservoir.offer(label) for label in (1, 0, 1)] == [0, 1, 2]
    assert reservoir.labels.tolist() == [1, 0, 1] and len(reservoir) == 3
    assert reservoir.full.tolist() == [False, True]


def test_a_new_class_takes_from_the_largest_until_they_are_even():
    stream = [0] * 40 + [1] * 40
    for arrived, expected in ((41, [7, 1]), (42, [6, 2]), (44, [4, 4]), (80, [4, 4])):
        assert kept_of(stream[:arrived], 8, 2)[0].counts.tolist() == expected


@pytest.mark.parametrize("slots", [50, 53])
def test_classes_that_arrive_in_turn_share_the_slots(slots):
    reservoir, places = kept_of(np.repeat(range(5), 200), slots, 5)
    assert reservoir.counts.sum() == slots and np.ptp(reservoir.counts) <= 1
    assert np.array_equal(np.repeat(range(5), 200)[places], reservoir.labels)


def test_of_a_rare_class_all_samples_stay():
    stream = np.zeros(500, int)
    stream[[3, 130, 260, 499]] = 1
    reservoir, places = kept_of(stream, 20, 2)
    assert reservoir.counts.tolist() == [16, 4]
    assert {3, 130, 260, 499} <= set(places.tolist())


def test_every_sample_of_a_class_stays_with_the_same_probability():
    """4 of 16 samples, 3,000 seeds: a share of 1/4 with a deviation of 0.008."""
    counts = np.zeros(16)
    for seed in range(3000):
        counts[kept_of([0] * 16, 4, 1, seed)[1]] += 1
    assert np.abs(counts / 3000 - 0.25).max() < 0.032


def test_the_same_seed_chooses_the_same_and_the_arrays_are_all_there_is():
    stream = np.random.default_rng(0).integers(0, 3, 200)
    whole, places = kept_of(stream, 10, 3, seed=5)
    half, _ = kept_of(stream[:100], 10, 3, seed=5)
    rest = Reservoir(10, 3, seed=5)
    rest.labels, rest.seen, rest.full = half.labels, half.seen, half.full
    for label in stream[100:]:
        rest.offer(label)
    assert np.array_equal(rest.labels, whole.labels)
    assert not np.array_equal(kept_of(stream, 10, 3, seed=6)[1], places)


def test_bytes_are_those_of_the_arrays():
    assert Reservoir(100, 10).nbytes == 100 * 2 + 10 * 8 + 10


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((0, 2), "`slots` must be an integer, at least 1. Received: slots=0"),
        ((1, 70_000), "`classes` must be an integer, at least 1 and at most 65535.*=70000"),
        ((1, 2, -1), "`seed` must be an integer, at least 0. Received: seed=-1"),
        ((1, 4.0), "`classes` must be an integer.*Received: classes=4.0"),
        ((True, 4), "`slots` must be an integer.*Received: slots=True"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Reservoir(*arguments)


def test_an_unknown_class_changes_nothing():
    reservoir = Reservoir(2, 2)
    with pytest.raises(ValueError, match=r"\[0, 2\). Received: 2"):
        reservoir.offer(2)
    assert len(reservoir) == 0
