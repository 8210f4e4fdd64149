import numpy as np
import pytest

from edgeax.sharing.cells import EqualCells, WeightedCells, cells_of


def by_trying_all(values, weights, centroids, costs):
    """The least cost of each value."""
    away = np.square(np.subtract.outer(values, centroids))
    return (weights[:, np.newaxis] * away + costs).min(axis=1)


def drawn(seed):
    rng = np.random.default_rng(seed)
    values, centroids = rng.normal(size=300), np.sort(rng.normal(size=12))
    return rng, values, centroids, rng.gamma(1.0, size=12) * 10.0 ** rng.integers(-4, 1)


def cost_of(codes, values, weights, centroids, costs):
    return weights * np.square(values - centroids[codes]) + costs[codes]


def test_a_dear_centroid_gives_values_to_its_neighbors_and_may_lose_all():
    kept, limits = cells_of(np.array([0.0, 1.0, 2.0]), np.zeros(3))
    assert kept.tolist() == [0, 1, 2] and limits.tolist() == [0.5, 1.5]
    # x**2 = (x - 1)**2 + 0.5 at 0.75, and the same seen from 2.
    kept, limits = cells_of(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 0.0]))
    assert kept.tolist() == [0, 1, 2] and limits.tolist() == [0.75, 1.25]
    # At 1 itself both others cost 1.
    kept, limits = cells_of(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0]))
    assert kept.tolist() == [0, 2] and limits.tolist() == [1.0]


def test_of_two_equal_centroids_the_cheaper_one_gets_all():
    values, centroids = np.array([-5.0, 1.0, 9.0]), np.array([1.0, 1.0])
    for costs, code in (([0.5, 0.2], 1), ([0.2, 0.5], 0)):
        for cells in (EqualCells(values), WeightedCells(values, np.ones(3))):
            assert cells.codes(centroids, np.array(costs)).tolist() == [code] * 3


@pytest.mark.parametrize("seed", range(12))
def test_each_value_goes_where_it_costs_least(seed):
    rng, values, centroids, costs = drawn(seed)
    equal = np.ones(values.size)
    uneven = rng.gamma(0.2, size=values.size) * (rng.random(values.size) < 0.9)
    for weights, cells in ((equal, EqualCells(values)), (uneven, WeightedCells(values, uneven))):
        found = cost_of(cells.codes(centroids, costs), values, weights, centroids, costs)
        assert np.allclose(found, by_trying_all(values, weights, centroids, costs), rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_sizes_means_and_error_are_those_of_the_codes(seed):
    rng, values, centroids, costs = drawn(seed)
    values[:50] = values[50:100]  # some occur twice
    weights = rng.random(values.size)
    for counted, cells in (
        (np.ones(values.size), EqualCells(values)),
        (weights, WeightedCells(values, weights)),
    ):
        sizes, means, error = cells.assigned(centroids, costs)
        codes = cells.codes(centroids, costs)
        assert np.array_equal(sizes, np.bincount(codes, minlength=12))
        wanted = centroids.copy()
        for code in np.unique(codes):
            mine = codes == code
            wanted[code] = np.average(values[mine], weights=counted[mine])
        assert np.allclose(means, wanted)
        assert error == pytest.approx(float(counted @ np.square(values - wanted[codes])))


def test_equal_weights_give_the_same_cells_either_way():
    _, values, centroids, costs = drawn(3)
    found = WeightedCells(values, np.ones(values.size)).codes(centroids, costs)
    assert np.array_equal(found, EqualCells(values).codes(centroids, costs))
