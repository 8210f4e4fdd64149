"""Which units go: orders of scores, and how far down to go."""

import numpy as np
import pytest

from edgeax.pruning.channel_choice import (
    removal_order,
    share_of_all,
    share_of_each,
    until_macs,
)
from edgeax.pruning.channel_macs import ChannelMacs

SCORES = {"a": np.float64([5, 1, 3, 9]), "b": np.float64([2, 4])}
SIZES = {"a": 4, "b": 2}


def lists(choice):
    return {name: units.tolist() for name, units in choice.removed.items()}


def steps(*units):
    return [(name, (unit,)) for name, unit in units]


def counter():
    """Returns one in which a unit of `a` takes 10 of 40 and one of `b` takes 30 of 60."""
    return ChannelMacs(
        {"a": 40, "b": 60},
        {("a", "kernel"): (1, 4), ("b", "kernel"): (3, 2)},
        {"a": [("a", "kernel", 1, np.arange(4))], "b": [("b", "kernel", 1, np.arange(2))]},
    )


def test_the_global_order_is_that_of_all_scores():
    order = removal_order(SCORES, "global")
    assert order == steps(("a", 1), ("b", 0), ("a", 2), ("b", 1), ("a", 0), ("a", 3))


def test_the_order_within_layers_takes_equal_shares():
    # Shares 1/4, 2/4, 3/4, 1 of `a` and 1/2, 1 of `b`; of equal ones the first group's.
    order = removal_order(SCORES, "layer")
    assert order == steps(("a", 1), ("a", 2), ("b", 0), ("a", 0), ("a", 3), ("b", 1))


def test_of_equal_scores_the_first_goes_first():
    order = removal_order({"a": np.zeros(2), "b": np.zeros(1)}, "global")
    assert order == steps(("a", 0), ("a", 1), ("b", 0))


def test_a_share_of_all_units_is_one_threshold():
    choice = share_of_all(removal_order(SCORES, "global"), SIZES, 0.5, 1)
    assert lists(choice) == {"a": [1, 2], "b": [0]}
    assert choice.complete and choice.at_least == ()


def test_a_group_at_its_least_is_passed_over_and_named():
    choice = share_of_all(removal_order(SCORES, "global"), SIZES, 4 / 6, 1)
    assert lists(choice) == {"a": [1, 2, 0], "b": [0]}
    assert choice.at_least == ("b",)
    assert choice.complete


def test_a_share_that_leaves_too_few_is_not_complete():
    choice = share_of_all(removal_order(SCORES, "global"), SIZES, 0.9, 2)
    assert lists(choice) == {"a": [1, 2], "b": []}
    assert not choice.complete


def test_a_share_of_each_rounds_for_each_group():
    order = removal_order(SCORES, "layer")
    choice = share_of_each(order, SIZES, {"a": 0.6, "b": 0.5}, 1)
    assert lists(choice) == {"a": [1, 2], "b": [0]}
    choice = share_of_each(order, SIZES, {"a": 0.9, "b": 0.0}, 1)
    assert lists(choice) == {"a": [1, 2, 0], "b": []}
    assert choice.at_least == ("a",) and not choice.complete


@pytest.mark.parametrize(
    "most, expected, left",
    [
        (100, {"a": [], "b": []}, 100),
        (90, {"a": [1], "b": []}, 90),
        (89, {"a": [1, 2], "b": []}, 80),  # one of `b` would take 30
        (60, {"a": [1], "b": [0]}, 60),
        (50, {"a": [1, 2], "b": [0]}, 50),
        (45, {"a": [1, 2, 0], "b": [0]}, 40),
    ],
)
def test_units_go_until_few_enough_multiply_accumulates_are_left(most, expected, left):
    macs = counter()
    choice = until_macs(removal_order(SCORES, "global"), SIZES, macs, most, 1)
    assert lists(choice) == expected and choice.complete
    assert macs.total == 100
    for name, units in choice.removed.items():
        for unit in units:
            macs.remove(name, unit)
    assert macs.total == left


def test_what_cannot_be_reached_is_said():
    choice = until_macs(removal_order(SCORES, "global"), SIZES, counter(), 10, 1)
    assert lists(choice) == {"a": [1, 2, 0], "b": [0]}
    assert not choice.complete and set(choice.at_least) == {"a", "b"}


def test_what_is_left_of_a_group_is_a_multiple():
    scores = {"a": np.float64([5, 1, 3, 9, 7]), "b": np.float64([2, 4, 6])}
    sizes = {"a": 5, "b": 3}
    order = removal_order(scores, "global", 2)
    # The first of `a` and of `b` leave 4 and 2; then pairs go when their second one is due.
    assert order == [("a", (1,)), ("b", (0,)), ("a", (2, 0)), ("b", (1, 2)), ("a", (4, 3))]
    assert lists(share_of_all(order, sizes, 0.3, 1)) == {"a": [1], "b": [0]}
    assert lists(share_of_all(order, sizes, 0.4, 1)) == {"a": [1, 2, 0], "b": [0]}
    assert lists(share_of_each(order, sizes, {"a": 0.4, "b": 0.9}, 1)) == {"a": [1], "b": [0]}
    choice = share_of_all(order, sizes, 0.9, 1)
    assert lists(choice) == {"a": [1, 2, 0], "b": [0]} and choice.at_least == ("b", "a")
