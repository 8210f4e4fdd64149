import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms.assignments import Assignments
from tests.transforms.modes import in_every_mode


def made(every):
    kept = Assignments(every)
    kept.bind("weight", (2, 2))
    return kept


def trained(kept, mode, counts):
    """Returns the first index after each of some steps; at step s the indices are all s."""

    @mode
    def step(number, counts):
        kept.renew(lambda: tf.fill([2, 2], number), counts)
        return kept.current(lambda: tf.fill([2, 2], 99))

    return [int(step(tf.constant(s), tf.constant(c))[0, 0]) for s, c in enumerate(counts)]


@in_every_mode
@pytest.mark.parametrize(
    "every, wanted",
    [(1, [0, 1, 2, 3, 4]), (2, [0, 0, 2, 2, 4]), (3, [0, 0, 0, 3, 3]), (0, [0, 0, 0, 0, 0])],
)
def test_indices_are_found_at_the_first_step_and_every_few(mode, every, wanted):
    assert trained(made(every), mode, [True] * 5) == wanted


@in_every_mode
def test_calls_that_are_no_step_find_nothing_and_do_not_count(mode):
    counts = [False, True, False, True, False, True]
    assert trained(made(2), mode, counts) == [99, 1, 1, 1, 1, 5]


def test_set_indices_are_kept_as_long_as_found_ones():
    kept = made(2)
    kept.set(np.full((2, 2), 7))
    assert trained(kept, lambda function: function, [True] * 4) == [7, 7, 2, 2]


def test_forgotten_indices_are_found_at_the_next_step():
    kept = made(0)
    kept.set(np.full((2, 2), 255))
    assert kept.current(lambda: None).numpy().tolist() == [[255, 255], [255, 255]]
    kept.set(None)
    assert trained(kept, lambda function: function, [False, True, True]) == [99, 1, 1]


@pytest.mark.parametrize("every", [-1, 1.5, True, None])
def test_bad_numbers_of_steps_are_refused(every):
    with pytest.raises(ValueError, match="`every` must be an integer, at least 0"):
        Assignments(every)


def test_settings_are_kept():
    assert Assignments.from_config(Assignments(3).get_config()).every == 3
