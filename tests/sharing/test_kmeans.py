import numpy as np
import pytest

from edgeax.formats.weighted_values import WeightedValues
from edgeax.sharing.kmeans import INITIALIZATIONS, KMeans, density, linear, plus_plus
from tests.sharing.drawn import heavy_tailed


def points_of(values, weights=None):
    return WeightedValues.of(values, weights)[0]


def test_sh16_starts_lie_evenly_or_at_equal_shares_of_the_weight():
    # Figure 3 of the paper: the smallest weight is -1.08, the largest 2.12.
    found = linear(points_of([2.09, -1.08, 2.12, 0.0]), 4)
    assert found == pytest.approx([-1.08, -1.08 + 3.2 / 3, -1.08 + 6.4 / 3, 2.12])
    assert density(points_of([0.0, 1.0, 4.0, 9.0]), 2).tolist() == [1.0, 9.0]
    # Half of the weight lies at 0: one of two shares.
    assert density(points_of([0.0, 1.0, 2.0], [1.0, 0.5, 0.5]), 2).tolist() == [0.0, 2.0]


def test_plus_plus_draws_different_values_and_far_ones_more_often():
    points = points_of([0.0, 1.0, 3.0], [1.0, 1e-9, 1e-9])  # the first draw is 0
    drawn = np.array([plus_plus(points, 2, seed)[1] for seed in range(400)])
    # 3 is drawn nine times as often as 1: 360 of 400, with a deviation of 6.
    assert 336 <= np.count_nonzero(drawn == 3.0) <= 384
    values = heavy_tailed(50)
    assert set(plus_plus(points_of(values), 50, 0)) == set(values)


def test_plus_plus_draws_by_weight_too():
    points = points_of([0.0, 1.0, -1.0], [1.0, 3e-6, 1e-6])
    drawn = np.array([plus_plus(points, 2, seed) for seed in range(400)])
    # 1 weighs three times as much as -1: 300 of 400, with a deviation of 8.7.
    assert 265 <= np.count_nonzero(drawn[:, 1] == 1.0) <= 335


@pytest.mark.parametrize("initialization", INITIALIZATIONS)
def test_it_ends_at_weighted_means_of_the_nearest_values(initialization):
    values, weights = heavy_tailed(500), np.random.default_rng(1).random(500)
    groups = KMeans(initialization).group(values, weights, 9, seed=4)
    nearest = np.abs(np.subtract.outer(values, groups.centroids)).argmin(axis=1)
    assert np.array_equal(groups.codes, nearest)
    for code, centroid in enumerate(groups.centroids):
        mine = groups.codes == code
        assert centroid == pytest.approx(np.average(values[mine], weights=weights[mine]))


def test_another_seed_may_end_elsewhere():
    values = heavy_tailed(500)
    found = [KMeans("kmeans++").group(values, None, 12, seed).error(values) for seed in range(5)]
    assert len({round(error, 9) for error in found}) > 1


def test_an_unknown_start_is_refused():
    with pytest.raises(ValueError, match="`initialization` must be one of.*'linear'.*'random'"):
        KMeans("random")


@pytest.mark.parametrize("initialization", INITIALIZATIONS)
def test_cel16_with_a_constant_hessian_it_is_plain_k_means(initialization):
    values = heavy_tailed(700)
    one, other = (
        KMeans(initialization).group(values, given, 11, seed=1)
        for given in (None, np.full(700, 3.0))
    )
    assert np.array_equal(one.codes, other.codes)
    assert one.centroids == pytest.approx(other.centroids, rel=1e-12)


def test_cel16_what_counts_more_lies_nearer_to_its_centroid():
    groups = KMeans().group([0.0, 1.0, 9.0, 10.0], [9.0, 1.0, 1.0, 9.0], 2)
    assert groups.centroids == pytest.approx([0.1, 9.9])  # sum h w / sum h
