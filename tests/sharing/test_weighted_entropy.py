import itertools

import numpy as np
import pytest

from edgeax.sharing.weighted_entropy import WeightedEntropy
from tests.sharing.drawn import heavy_tailed


def entropy(magnitudes, codes):
    """`-sum I_n P_n log P_n`, group by group."""
    total = 0.0
    for code in np.unique(codes):
        mine = magnitudes[codes == code]
        share = mine.size / magnitudes.size
        total -= np.mean(mine**2) * share * np.log(share)
    return total


def largest_entropy(magnitudes, count):
    """That of the best of all partitions of the sorted different magnitudes."""
    different, places = np.unique(magnitudes, return_inverse=True)
    best = -np.inf
    for cut in itertools.combinations(range(1, different.size), count - 1):
        codes = np.searchsorted(cut, np.arange(different.size), "right")[places]
        best = max(best, entropy(magnitudes, codes))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_pay17_the_search_reaches_the_largest_entropy_there_is(seed):
    rng = np.random.default_rng(seed)
    draw = (rng.normal, rng.laplace, lambda size: rng.integers(1, 6, size), rng.random)[seed % 4]
    magnitudes = np.abs(np.float64(draw(size=10)))
    for count in range(1, np.unique(magnitudes).size + 1):
        groups = WeightedEntropy().group(magnitudes, None, count)
        wanted = largest_entropy(magnitudes, count)
        assert entropy(magnitudes, groups.codes) == pytest.approx(wanted, rel=1e-12)


def test_pay17_a_group_stands_for_the_root_of_its_mean_square_with_its_sign():
    values = np.array([-3.0, -4.0, 0.5, 2.0, 0.1])
    groups = WeightedEntropy().group(values, None, 2)
    assert groups.codes.tolist() == [0, 0, 1, 1, 1]
    assert groups.centroids == pytest.approx([-np.sqrt(12.5), np.sqrt(4.26 / 3)])


def test_negative_and_other_values_share_the_groups_as_far_as_they_differ():
    values = np.array([-1.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0])
    groups = WeightedEntropy().group(values, None, 5)
    assert np.count_nonzero(groups.centroids < 0) == 1 and groups.centroids.size == 5
    only = WeightedEntropy().group(-values[3:], None, 3)
    assert only.centroids.size == 3 and (only.centroids < 0).all()


def test_large_weights_get_finer_groups_than_small_ones():
    values = np.abs(heavy_tailed(4000))
    groups = WeightedEntropy().group(values, None, 8)
    sizes = np.bincount(groups.codes)
    assert (np.diff(sizes) < 0).all()
    # Where many groups are best, all have the same share of the importance.
    shares = np.bincount(groups.codes, values**2) / np.sum(values**2)
    assert shares.max() < 3 * shares.min()


def test_many_values_are_searched_coarsely_first_and_lose_nothing_to_speak_of():
    values = np.abs(heavy_tailed(3000))
    groups = WeightedEntropy().group(values, None, 3)
    different = np.unique(values)[::50]
    wanted = max(
        entropy(values, np.searchsorted(cut, values, "right"))
        for cut in itertools.combinations(different, 2)
    )
    assert entropy(values, groups.codes) >= wanted
