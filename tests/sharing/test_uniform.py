import numpy as np

from edgeax.sharing.kmeans import KMeans
from edgeax.sharing.uniform import Uniform
from tests.sharing.drawn import heavy_tailed


def test_cel16_bins_of_one_width_get_their_means():
    # Four bins of width 2: [0, 2], (2, 4], (4, 6] without a value, (6, 8].
    values = np.array([0.0, 1.0, 2.0, 3.0, 8.0])
    groups = Uniform().group(values, None, 4)
    assert groups.centroids.tolist() == [1.0, 3.0, 8.0]
    assert groups.codes.tolist() == [0, 0, 0, 1, 2]
    weighted = Uniform().group(values, [1.0, 1.0, 2.0, 1.0, 1.0], 4)
    assert weighted.centroids.tolist() == [1.25, 3.0, 8.0]


def test_no_value_lies_farther_than_a_bin_from_its_centroid():
    values = heavy_tailed(2000)
    groups = Uniform().group(values, None, 64)
    assert np.abs(values - groups.values).max() <= np.ptp(values) / 64 * (1 + 1e-12)


def test_its_codes_need_fewer_bits_than_those_of_equal_shares():
    values = heavy_tailed(5000)
    groups = Uniform().group(values, None, 64)
    shares = KMeans("density").group(values, None, 64)
    assert groups.entropy_bits < 4.8 < 5.4 < shares.entropy_bits
