import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms.ranges import Range
from tests.transforms.modes import eager, in_every_mode


def bound(*args, **kwargs):
    followed = Range(*args, **kwargs)
    followed.bind("activation", ())
    return followed


def extremes_after(followed, batches, mode=eager):
    observe = mode(followed.observe)
    for batch in batches:
        observe(tf.constant(batch, tf.float32))
    return float(followed.low.value), float(followed.high.value), int(followed.seen.value)


@in_every_mode
def test_min_max_keeps_the_extremes_of_all_batches(mode):
    batches = [[0.5, 2.0], [-1.0, 1.0], [0.0, 3.0], [0.1, 0.2]]
    assert extremes_after(bound("min_max"), batches, mode) == (-1.0, 3.0, 1)


@in_every_mode
def test_jkc18_the_moving_average_of_each_batch_is_that_worked_out_by_hand(mode):
    # It starts with the first batch: low 1, 0.75 * 1 + 0.25 * -3 = 0, 0.75 * 0 + 0.25 * -2 = -0.5;
    # high 2, 0.75 * 2 + 0.25 * 10 = 4, 0.75 * 4 + 0.25 * 0 = 3.
    batches = [[1.0, 2.0], [-3.0, 10.0], [-2.0, 0.0]]
    followed = bound("moving_average", momentum=0.75)
    assert extremes_after(followed, batches, mode) == (-0.5, 3.0, 1)


def test_nothing_is_seen_at_first():
    assert extremes_after(bound(), []) == (0.0, 0.0, 0)


def test_without_memory_the_last_batch_counts():
    assert extremes_after(bound(momentum=0.0), [[-9.0, 9.0], [1.0, 2.0]]) == (1.0, 2.0, 1)


@pytest.mark.parametrize("kind", ["min_max", "moving_average"])
@pytest.mark.parametrize("bad", [[np.inf, 1.0], [-np.inf, 1.0], [np.nan] * 9, []])
def test_a_batch_that_is_not_finite_is_passed_over(bad, kind):
    # One overflow in float16 must not spoil the range for good.
    assert extremes_after(bound(kind), [bad]) == (0.0, 0.0, 0)
    assert extremes_after(bound(kind), [[-1.0, 2.0], bad]) == (-1.0, 2.0, 1)


@in_every_mode
def test_nan_is_passed_over(mode):
    batches = [[-1.0] * 9, [np.nan] * 9, [2.0] * 9]
    assert extremes_after(bound("min_max"), batches, mode) == (-1.0, 2.0, 1)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"kind": "minmax"}, r"`range` must be one of .*'min_max'.*range='minmax'"),
        ({"momentum": 1.0}, r"`momentum` must lie in \[0, 1\).*momentum=1.0"),
        ({"momentum": -0.1}, r"`momentum` must lie in \[0, 1\).*momentum=-0.1"),
    ],
)
def test_bad_settings_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        Range(**kwargs)


@in_every_mode
@pytest.mark.parametrize("kind", ["min_max", "moving_average"])
def test_of_nonnegative_values_only_the_largest_is_followed(kind, mode):
    batches = [[0.5, 2.0], [1.0, 6.0]]
    plain, cheap = bound(kind, momentum=0.5), bound(kind, momentum=0.5, nonnegative=True)
    _, high, seen = extremes_after(plain, batches, mode)
    assert extremes_after(cheap, batches, mode) == (0.0, high, seen)


@pytest.mark.parametrize("bad", [[np.inf, 1.0], [np.nan] * 9, []])
def test_a_nonnegative_batch_that_is_not_finite_is_passed_over(bad):
    assert extremes_after(bound(nonnegative=True), [[2.0], bad]) == (0.0, 2.0, 1)


def test_settings_survive_json():
    settings = {"kind": "min_max", "momentum": 0.5, "nonnegative": True}
    text = json.dumps(keras.saving.serialize_keras_object(Range(**settings)))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == settings
