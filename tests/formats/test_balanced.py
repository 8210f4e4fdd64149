import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import Balanced, EncodedTensor, Integer, arrays
from edgeax.formats.names import format_of
from tests.formats import graph_checks

FORMATS = [Balanced(1), Balanced(2), Balanced(8)]


def recursive_medians(x, bits):
    """Returns the bounds of the bins by splitting at medians, as the paper says."""
    if bits == 0:
        return []
    middle = np.median(x)
    below = recursive_medians(x[x < middle], bits - 1)
    return [*below, middle, *recursive_medians(x[x >= middle], bits - 1)]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_the_graph_rounds_as_numpy_does(format, jit):
    graph_checks.assert_graph_equals_numpy(format, jit)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_activations_of_any_batch_size_are_rounded(format):
    graph_checks.assert_activations_of_any_batch_size_are_rounded(format)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_codes_stand_for_the_rounded_values(format):
    graph_checks.assert_codes_stand_for_the_rounded_values(format)
    graph_checks.assert_a_gain_per_channel_multiplies(format)


@pytest.mark.parametrize("size", [100, 257, 1000, 1023])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6])
def test_zww17_every_level_holds_as_many_values(bits, size):
    x = np.random.default_rng(size).laplace(size=(size, 1)).astype(np.float32)
    format = Balanced(bits)
    counts = np.bincount(format.encode(x, format.fit(x)).ravel(), minlength=2**bits)
    assert np.all(np.abs(counts - size / 2**bits) <= 1)


def test_zww17_neighboring_floats_are_told_apart():
    x = np.float32([1, np.nextafter(np.float32(1), np.float32(2))])
    assert Balanced(1).encode(x, Balanced(1).fit(x)).tolist() == [0, 1]


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_zww17_the_bins_are_those_of_recursive_medians(bits):
    x = np.random.default_rng(2).normal(size=4096).astype(np.float32)
    format = Balanced(bits)
    bounds = recursive_medians(x, bits)
    expected = np.searchsorted(bounds, x, side="right")
    np.testing.assert_array_equal(format.encode(x, format.fit(x)), expected)


def test_zww17_levels_are_evenly_spaced_up_to_the_largest_value():
    x = np.float32([-1, -3, 0.5, 0.1, 2, 0.3, 0.2, -0.1])
    assert Balanced(2).fit(x)["level"].tolist() == [-3, -1, 1, 3]
    assert Balanced(2).fit(np.abs(x))["level"].tolist() == [0, 1, 2, 3]
    # Sorted -3, -1, -0.1, 0.1, 0.2, 0.3, 0.5, 2: two to a level.
    values = Balanced(2).rounded(x, Balanced(2).fit(x), arrays)
    assert values.tolist() == [-3, -3, 3, -1, 3, 1, 1, -1]


def test_a_range_is_split_evenly():
    params = Balanced(2).found(tf.stack([0.0, 6.0]), keras.ops)
    assert np.asarray(params["level"]).tolist() == [0, 2, 4, 6]
    assert np.asarray(params["boundary"]).tolist() == [1.5, 3, 4.5]


def test_hwz16_peaked_recurrent_weights_use_all_their_bits():
    # A few far weights leave a plain 2-bit grid with one level for nearly all.
    x = np.random.default_rng(3).standard_t(2, (2048, 1)).astype(np.float32)

    def entropy(format):
        codes = format.encode(x, format.fit(x)).astype(np.int64)
        share = np.bincount((codes - codes.min()).ravel()) / codes.size
        share = share[share > 0]
        return float(-np.sum(share * np.log2(share)))

    assert entropy(Balanced(2)) == pytest.approx(2, abs=1e-3)
    assert entropy(Integer(2)) < 0.2


def test_noise_rounds_to_the_neighboring_levels_right_on_average():
    params = {"level": np.float32([-3, -1, 1, 3]), "boundary": np.float32([-0.1, 0, 0.1])}
    mean, values = graph_checks.mean_of_stochastic(Balanced(2), 1.5, params)
    assert values == [1, 3] and abs(mean - 1.5) < 5 * 2 / 400


def test_the_table_is_stored_and_the_bounds_are_not():
    x = np.random.default_rng(4).normal(size=(64, 2)).astype(np.float32)
    format = Balanced(3)
    params = format.fit(x)
    encoded = EncodedTensor(format.encode(x, params), format, params)
    assert encoded.size_bits == 128 * 3 + 8 * 32


def test_the_name_gives_the_bits():
    assert format_of("balanced2", axis=-1) == Balanced(2)


def test_what_is_impossible_is_refused():
    with pytest.raises(ValueError, match=r"`bits` must be in 1\.\.8. Received: 9"):
        Balanced(9)
    with pytest.raises(ValueError, match=r"`codes` must lie in \[0, 1\].*max=2"):
        Balanced(1).decode(np.uint8([2]), {"level": np.float32([-1, 1])})
