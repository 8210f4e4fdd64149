import numpy as np
import pytest

from edgeax.transforms import LearnedTernary
from tests.transforms.bound import value_and_gradients, weight_chain

WEIGHT = np.float32([[2.0, 0.09, -1.0], [-0.1, 0.3, -0.5]])
UPSTREAM = np.float32([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])


def test_zhmd16_all_gradients_are_those_worked_out_by_hand():
    chain = weight_chain(LearnedTernary(0.05), WEIGHT)
    ternary = chain.transforms[0]
    ternary.positive.assign(3.0)
    ternary.negative.assign(5.0)
    # The edge is 0.05 * 2: -0.1 lies on it, which is within.
    value, to_weight, to_positive, to_negative = value_and_gradients(
        chain, WEIGHT, UPSTREAM, [ternary.positive, ternary.negative]
    )
    assert value.tolist() == [[3.0, 0.0, -5.0], [0.0, 3.0, -5.0]]
    assert to_positive == 1.0 + 16.0
    assert to_negative == -(4.0 + 32.0)
    assert to_weight.tolist() == [[3.0, 2.0, 20.0], [8.0, 48.0, 160.0]]


def test_zhmd16_both_values_start_at_one_if_asked_else_at_the_means():
    ternary = weight_chain(LearnedTernary(start=1.0), WEIGHT).transforms[0]
    assert [ternary.positive.numpy(), ternary.negative.numpy()] == [1.0, 1.0]
    ternary = weight_chain(LearnedTernary(), WEIGHT).transforms[0]
    assert [ternary.positive.numpy(), ternary.negative.numpy()] == pytest.approx([1.15, 0.75])
