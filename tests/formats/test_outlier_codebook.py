import math

import numpy as np
import pytest

from edgeax.formats import EncodedTensor
from edgeax.formats.outlier_codebook import OutlierCodebook, half_width


def normal(*shape, deviation=0.1, seed=0):
    draw = np.random.default_rng(seed).normal(0.0, deviation, size=shape)
    return draw.astype(np.float32)


def encoded(x, format):
    params = format.fit(x)
    return EncodedTensor(format.encode(x, params), format, params)


def density(x, deviation):
    """The normal density of mean 0, spelled out."""
    return math.exp(-((x / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("deviation", [0.02, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("log_density", [-4.0, -6.5])
def test_zeam20_the_ends_are_where_the_density_falls_below_its_limit(deviation, log_density):
    end = half_width(deviation, log_density)
    assert density(end, deviation) == pytest.approx(math.exp(log_density), rel=1e-9)


def test_no_value_lies_away_where_all_are_equal_and_all_do_where_the_density_is_low():
    assert half_width(0.0, -4.0) == 0.0
    assert half_width(30.0, -4.0) == -math.inf  # 1 / (30 sqrt(2 pi)) < exp(-4)


def test_zeam20_a_tenth_of_a_percent_of_normal_weights_are_outliers():
    # Deviation 0.1: ends at 3.281 deviations, beyond which lie 0.103 % of a normal distribution.
    x = normal(1000, 1000)
    tensor = encoded(x, OutlierCodebook())
    assert np.mean(tensor.codes >= 8) == pytest.approx(0.00103, rel=0.1)


def test_zeam20_tails_are_outliers_and_keep_their_values():
    x = normal(200, 200)
    tails = np.random.default_rng(1).choice(x.size, 60, replace=False)
    x.ravel()[tails] = np.random.default_rng(2).uniform(0.6, 2.0, 60) * np.resize([-1, 1], 60)
    tensor = encoded(x, OutlierCodebook())
    values = tensor.decode()
    assert np.all(tensor.codes.ravel()[tails] >= 8)
    assert np.array_equal(values.ravel()[tails], x.ravel()[tails])
    is_outlier = tensor.codes >= 8
    assert 60 <= is_outlier.sum() < 60 + 60
    assert len(np.unique(values[~is_outlier])) == 8
    mean, deviation = np.mean(x, dtype=np.float64), np.std(x, dtype=np.float64)
    expected = [math.log(density(v - mean, deviation)) < -4 for v in x.ravel().astype(np.float64)]
    assert np.array_equal(is_outlier.ravel(), expected)


def test_the_table_starts_with_the_means_of_bins_that_hold_equally_many():
    # Bins {0, 1}, {2, 3}, {4, 5}, {20, 22}: 0.5, 2.5, 4.5, 21. Each value is nearest to its own.
    x = np.float32([5, 0, 3, 22, 1, 4, 20, 2])
    table = OutlierCodebook(2, log_density=-100.0).fit(x)["codebook"]
    assert table.tolist() == [0.5, 2.5, 4.5, 21.0]


@pytest.mark.parametrize(
    "x, table",
    [
        # Bins {0, 0, 0}, {0, 5, 9}: 0 and 14/3, errors 1/3 + 13/3. Then 0 and 7: 2 + 2, and so on.
        ([0, 0, 0, 0, 5, 9], [0.0, 7.0]),
        # Bins {0, 1, 1}, {1, 1, 10}: 2/3 and 4, errors 2/3 + 4/3 + 6. Then 4/5 and 10: 4/5 + 4/5.
        ([0, 1, 1, 1, 1, 10], [0.8, 10.0]),
        # Bins {0, 0, 0}, {4, 6, 20}: 0 and 10, errors 4 + 4 + 10. Then 1 and 13, errors 3 + 3 + 5
        # + 7, which is no less: what was stays.
        ([0, 0, 0, 4, 6, 20], [0.0, 10.0]),
    ],
)
def test_zeam20_entries_move_as_long_as_the_sum_of_absolute_errors_falls(x, table):
    found = OutlierCodebook(1, log_density=-100.0).fit(np.float32(x))["codebook"]
    assert found == pytest.approx(table)


def k_means(values, table):
    """Lloyd's iterations to their fixed point, written out."""
    while True:
        nearest = np.argmin(np.abs(values[:, None] - table), axis=1)
        moved = np.array([values[nearest == code].mean() for code in range(table.size)])
        if np.array_equal(moved, table):
            return table
        table = moved


def absolute_error(values, table):
    return np.min(np.abs(values[:, None] - table), axis=1).sum()


@pytest.mark.parametrize("bits", [2, 3])
@pytest.mark.parametrize("draw", ["normal", "laplace", "standard_t"])
def test_zeam20_error_is_at_most_that_of_k_means(bits, draw):
    rng = np.random.default_rng(3)
    sizes = (5, 4000) if draw == "standard_t" else (0.0, 0.1, 4000)
    x = getattr(rng, draw)(*sizes).astype(np.float32)
    format = OutlierCodebook(bits)
    params = format.fit(x)
    inliers = x[~format.is_outlier(x, params)].astype(np.float64)
    bins = np.array_split(np.sort(inliers), 2**bits)
    fixed_point = k_means(inliers, np.array([part.mean() for part in bins]))
    error = absolute_error(inliers, params["codebook"].astype(np.float64))
    assert error <= absolute_error(inliers, fixed_point)
    assert error < absolute_error(inliers, np.array([part.mean() for part in bins]))


def test_zeam20_a_layer_of_normal_weights_is_about_ten_times_smaller():
    # Deviation 0.1: 3 bits for each, 32 + 20 for one of a thousand: 3.054 bits.
    tensor = encoded(normal(768, 768), OutlierCodebook())
    ratio = 32 * tensor.codes.size / tensor.size_bits
    assert ratio == pytest.approx(32 / (3 + 0.00103 * 52), rel=0.005)
    assert ratio > 9.8


def test_what_is_stored_is_counted():
    x = np.float32([0.1, -0.1, 0.2, 9.0, 0.0, -9.0, 0.1, 9.0, 0.0, 0.1])
    format = OutlierCodebook(1, log_density=-5.0)
    params = format.fit(x)
    params |= {"low": np.float32(-1), "high": np.float32(1)}
    params["outliers"] = format.outliers_of(x, params)
    assert params["outliers"].tolist() == [-9.0, 9.0]  # each value once
    tensor = EncodedTensor(format.encode(x, params), format, params)
    # 10 indices of 1 bit, 3 outliers of 32 bits and a place of 4 bits, 2 entries of 32.
    assert tensor.size_bits == 10 + 3 * (32 + 4) + 2 * 32
    assert tensor.codes.tolist()[3:8] == [3, 0, 2, tensor.codes[6], 3]


def test_a_gain_multiplies_a_channel_and_channels_can_be_taken():
    x = normal(30, 4, deviation=2.0)
    tensor = encoded(x, OutlierCodebook())
    assert (tensor.codes >= 8).any()
    gain = np.float32([1, -2, 0, 4])
    assert np.array_equal(tensor.scaled(gain).decode(), tensor.decode() * gain)
    part = tensor.channels(slice(1, 3))
    assert np.array_equal(part.decode(), tensor.decode()[:, 1:3])
    assert part.size_bits < tensor.size_bits
    scaled = tensor.scaled(np.float32([2, 2, 2, 2]))
    again = scaled.format.encode(2 * x, scaled.params)
    assert np.array_equal(again, tensor.codes)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e-30, 1e20])
def test_weights_that_are_all_equal_have_no_outliers_and_are_exact(value):
    x = np.full((5, 7), value, np.float32)
    tensor = encoded(x, OutlierCodebook())
    assert tensor.codes.max() < 8
    assert np.array_equal(tensor.decode(), x)


def test_fewer_values_than_entries_are_exact():
    x = np.float32([0.3, -0.2, 0.1])
    assert np.array_equal(encoded(x, OutlierCodebook(3, log_density=-100.0)).decode(), x)


def test_weights_of_too_low_a_density_are_all_kept():
    x = normal(20, 20, deviation=40.0)
    tensor = encoded(x, OutlierCodebook())
    assert tensor.codes.min() >= 8 and np.array_equal(tensor.decode(), x)


def test_values_that_were_not_fitted_go_to_what_is_nearest():
    format = OutlierCodebook(1)
    params = {
        "codebook": np.float32([-1, 1]),
        "low": np.float32(-2),
        "high": np.float32(2),
        "outliers": np.float32([-5, 5]),
    }
    x = np.float32([-0.1, 0.0, 0.1, 2.0, 2.1, -4.0])
    assert format.encode(x, params).tolist() == [0, 0, 1, 1, 3, 2]
    assert format.encode(x, params | {"outliers": np.float32([])}).tolist() == [0, 0, 1, 1, 1, 0]


def test_settings_go_round():
    format = OutlierCodebook(4, -5.0)
    assert OutlierCodebook.from_config(format.get_config()) == format
    assert format.per_channel() == format and format.entries == 16


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: OutlierCodebook(0), r"`bits` must be in 1\.\.8.*Received: 0"),
        (lambda: OutlierCodebook(9), r"`bits` must be in 1\.\.8.*Received: 9"),
        (lambda: OutlierCodebook(3, math.nan), "`log_density` must be finite.*nan"),
        (lambda: OutlierCodebook().fit(np.zeros((0, 3))), r"`x` must hold a value.*\(0, 3\)"),
        (lambda: OutlierCodebook().fit(np.float32([1, np.nan])), "`x` must be finite"),
        (
            lambda: OutlierCodebook(1).decode(
                np.int32([3]), {"codebook": np.zeros(2), "outliers": np.zeros(1)}
            ),
            r"`codes` must lie in \[0, 2\].*max=3",
        ),
        (
            lambda: OutlierCodebook(1).decode(
                np.int32([0]), {"codebook": np.zeros(3), "outliers": np.zeros(1)}
            ),
            r"must have shape \(2,\)",
        ),
    ],
)
def test_what_is_impossible_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
