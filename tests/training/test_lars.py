"""LARS: the trust ratio by hand."""

import numpy as np
import pytest

from edgeax.optimizers import LARS
from tests.training.optimizer_checks import (
    check_modes_of_fit,
    check_resuming,
    check_serialization,
    steps,
)


def test_jsh18_two_steps_worked_out_by_hand():
    optimizer = LARS(2.0, momentum=0.5, weight_decay=0.1, trust=0.01)
    found = steps(optimizer, [[3.0, 4.0]], [[[0.0, 2.0]], [[0.0, 0.0]]])
    # |w| = 5, |g| = 2: ratio 0.01 * 5 / (2 + 0.5) = 0.02, step 2 * 0.02 * (0.3, 2.4).
    first = np.array([[0.012, 0.096]])
    after = np.array([[3.0, 4.0]]) - first
    # No gradient: ratio 1, only the decay.
    second = 0.5 * first + 2.0 * 0.1 * after
    np.testing.assert_allclose(found, [after, after - second], rtol=1e-6)


def test_jsh18_the_step_is_a_share_of_the_weights_whatever_the_gradient():
    start = np.float32([[3.0, 4.0]])
    for scale in (1e-4, 1.0, 1e4):
        (found,) = steps(
            LARS(1.0, weight_decay=None, trust=0.1), start, [[[scale * 0.6, scale * 0.8]]]
        )
        np.testing.assert_allclose(found, start - 0.5 * np.array([[0.6, 0.8]]), rtol=1e-6)


def test_vectors_are_moved_as_by_plain_momentum():
    found = steps(LARS(0.5, momentum=0.5, weight_decay=0.1), [2.0], [[1.0], [1.0]])
    np.testing.assert_allclose(np.concatenate(found), [1.5, 0.75], rtol=1e-6)


def test_it_serializes():
    check_serialization(LARS(0.3, trust=0.02, weight_decay=None, global_clipnorm=1.0))


def test_all_modes_of_fit_give_the_same_weights():
    check_modes_of_fit(lambda: LARS(0.1, trust=0.02))


def test_an_interrupted_run_ends_as_a_whole_one(tmp_path):
    check_resuming(lambda: LARS(0.1, trust=0.02), tmp_path / "backup")


@pytest.mark.parametrize(
    "settings, message",
    [({"trust": 0.0}, "trust=0.0"), ({"momentum": 1.0}, "momentum"), ({"weight_decay": -1}, "-1")]
    + [({"trust": float("nan")}, "`trust`.*nan"), ({"weight_decay": float("nan")}, "decay.*nan")],
)
def test_bad_arguments_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        LARS(**settings)
