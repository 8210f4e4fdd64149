import numpy as np
import pytest

from edgeax.transforms import LearnedPoints
from tests.transforms.bound import value_and_gradients, weight_chain

WEIGHT = np.float32([[-1.0, -0.8, 0.1], [0.2, 0.9, 1.1]])
UPSTREAM = np.float32([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])


@pytest.mark.parametrize("train_weights", [False, True])
def test_ppa18_a_point_gets_the_sum_of_its_members_gradients(train_weights):
    chain = weight_chain(LearnedPoints(1, train_weights=train_weights), WEIGHT)
    points = chain.transforms[0].points
    points.assign([-1.0, 1.0])
    value, to_weight, to_points = value_and_gradients(chain, WEIGHT, UPSTREAM, [points])
    assert value.tolist() == [[-1.0, -1.0, 1.0], [1.0, 1.0, 1.0]]
    assert to_points.tolist() == [3.0, 60.0]
    assert np.array_equal(to_weight, UPSTREAM if train_weights else np.zeros_like(UPSTREAM))


def test_points_start_evenly_over_the_range_if_asked():
    chain = weight_chain(LearnedPoints(2, start="linear"), WEIGHT)
    assert chain.transforms[0].points.numpy() == pytest.approx([-1.0, -0.3, 0.4, 1.1])


def test_points_start_at_even_quantiles_of_the_weights_by_default():
    weight = np.float32([[0.0, 1.0, 2.0, 3.0, 100.0]]).T
    points = weight_chain(LearnedPoints(1), weight).transforms[0].points.numpy()
    linear = weight_chain(LearnedPoints(1, start="linear"), weight).transforms[0].points.numpy()
    assert linear.tolist() == [0.0, 100.0]
    assert points[1] < 50.0  # where the weights are, not where their range ends
