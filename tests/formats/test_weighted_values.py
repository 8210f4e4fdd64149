import numpy as np
import pytest

from edgeax.formats.weighted_values import WeightedValues, codes_of, lloyd


def test_equal_values_are_one_and_their_weights_add_up():
    points, places = WeightedValues.of([3.0, 1.0, 3.0, 2.0])
    assert points.values.tolist() == [1.0, 2.0, 3.0]
    assert points.weights.tolist() == [1.0, 1.0, 2.0]
    assert places.tolist() == [2, 0, 2, 1]
    weighted, _ = WeightedValues.of([3.0, 1.0, 3.0, 2.0], [2.0, 4.0, 1.0, 0.0])
    assert weighted.weights == pytest.approx([1.0, 1e-9, 0.75])  # parts of the largest
    nothing, _ = WeightedValues.of([3.0, 1.0], [0.0, 0.0])
    assert nothing.weights.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("shift", [0.0, 1e7])
def test_means_and_errors_of_intervals_are_those_worked_out_one_by_one(shift):
    rng = np.random.default_rng(0)
    values, weights = np.sort(rng.normal(size=50)) + shift, rng.random(50) + 0.1
    points = WeightedValues.sorted(values, weights)
    edges = np.array([0, 7, 7, 30, 50])
    means = points.means(edges, np.array([0.0, 5.0, 0.0, 0.0]))
    assert means[1] == 5.0  # an empty one keeps what was there
    errors = points.errors(edges, means - 0.5)
    for place in (0, 2, 3):
        part = slice(edges[place], edges[place + 1])
        mean = np.average(values[part], weights=weights[part])
        wanted = weights[part] @ (values[part] - mean + 0.5) ** 2
        assert means[place] == pytest.approx(mean, abs=1e-8)
        assert errors[place] == pytest.approx(wanted, rel=1e-7)
    assert errors[1] == 0.0


def test_a_value_halfway_goes_to_the_lower_centroid():
    points = WeightedValues.sorted(np.array([0.0, 1.0, 2.0, 3.0]), np.ones(4))
    edges = points.edges_of(np.array([0.0, 2.0, 9.0]))
    assert edges.tolist() == [0, 2, 4, 4]
    assert codes_of(edges).tolist() == [0, 0, 1, 1]


def test_llo82_a_round_goes_to_the_nearest_and_then_to_the_means():
    points = WeightedValues.sorted(np.array([0.0, 1.0, 5.0, 6.0, 7.0]), np.ones(5))
    # 0 and 1 go to 1, the others to 10; then 0.5 and 6, where all stay.
    assert lloyd(points, np.array([1.0, 10.0])).tolist() == [0.5, 6.0]


def test_lloyd_ends_where_each_centroid_is_the_weighted_mean_of_its_nearest_values():
    rng = np.random.default_rng(1)
    values, weights = np.sort(rng.laplace(size=400)), rng.gamma(0.5, size=400) + 1e-3
    found = lloyd(WeightedValues.sorted(values, weights), np.linspace(-3, 3, 7))
    nearest = np.abs(np.subtract.outer(values, found)).argmin(axis=1)
    for code in range(7):
        mine = nearest == code
        assert found[code] == pytest.approx(np.average(values[mine], weights=weights[mine]))
