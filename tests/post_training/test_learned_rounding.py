"""AdaRound."""

import itertools

import numpy as np
import pytest

from edgeax.post_training.kernels import error
from edgeax.post_training.learned_rounding import LearnedRounding
from tests.post_training import cases
from tests.post_training.test_admm import gram_and_matrix


@pytest.mark.parametrize("seed", range(3))
def test_adaround_comes_near_the_best_of_all_roundings(seed):
    gram, target = gram_and_matrix(seed, size=10, outputs=1)
    target *= 2.0  # in steps
    below = np.floor(target)
    errors = [
        error(below + np.float64(ups).reshape(target.shape), target, gram)
        for ups in itertools.product([0, 1], repeat=10)
    ]
    found = error(LearnedRounding(600).codes(gram, target, 100), target, gram)
    plain = error(np.rint(target), target, gram)
    assert min(errors) - 1e-9 <= found
    assert found - min(errors) < 0.25 * (plain - min(errors))


def test_codes_stay_within_the_grid():
    gram, target = gram_and_matrix()
    codes = LearnedRounding(50).codes(gram, 5.0 * target, 3)
    assert np.abs(codes).max() <= 3 and np.array_equal(codes, np.rint(codes))


def test_a_whole_model_keeps_its_outputs_better():
    model, samples = cases.dense_pair()
    case = cases.case_of(model, samples)
    before = cases.output_error(case)
    LearnedRounding(300).correct(case)
    assert cases.output_error(case) < 0.5 * before


@pytest.mark.parametrize("kwargs", [{"steps": 0}, {"learning_rate": 0.0}])
def test_what_is_out_of_range_is_refused(kwargs):
    with pytest.raises(ValueError, match="`steps` must be at least 1 and `learning_rate` above 0"):
        LearnedRounding(**kwargs)
