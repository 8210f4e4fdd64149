import numpy as np
import pytest

from edgeax.formats import EncodedTensor, Integer, ValueAware, arrays
from edgeax.formats.names import format_of
from tests.formats import graph_checks

FORMATS = [ValueAware(), ValueAware(4, large=0.25), ValueAware(8, large=0.0)]


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


def test_pyv18_steps_and_codes_are_those_worked_out_by_hand():
    # A quarter of 8 values is large: 10 and -20. The others reach 3: 3 bits, steps of 1.
    x = np.float32([3, -1.2, 10, 0.4, -20, 2.5, 1.5, 0])
    format = ValueAware(3, large=0.25)
    params = format.fit(x)
    assert params["step"] == 1 and params["threshold"] == 3
    # 16 bits: 32767 codes, three of them for the small values.
    assert params["large_step"] == np.float32(20 / 32764)
    assert format.encode(x, params).tolist() == [3, -1, 16382 + 3, 0, -32767, 2, 2, 0]
    values = format.rounded(x, params, arrays)
    assert values[[0, 1, 3, 5, 6, 7]].tolist() == [3, -1, 0, 2, 2, 0]
    np.testing.assert_allclose(values[[2, 4]], [10, -20], rtol=1e-6)


def test_pyv18_the_range_shrinks_to_a_quantile():
    x = np.random.default_rng(0).standard_t(3, 1000).astype(np.float32)
    params = ValueAware(4, large=0.03).fit(x)
    size = np.sort(np.abs(x))
    assert params["threshold"] == size[969]  # 970 small, 30 large
    codes = ValueAware(4, large=0.03).encode(x, params)
    assert np.sum(np.abs(codes) > 7) == 30


@pytest.mark.parametrize("bits", [3, 4])
def test_pyv18_the_error_is_below_that_of_plain_integers(bits):
    x = np.random.default_rng(1).normal(size=(5000, 1)).astype(np.float32)

    def error(format):
        away = format.decode(format.encode(x, format.fit(x)), format.fit(x)) - x
        return float(np.mean(np.square(away)))

    plain = error(Integer(bits))
    few, more = error(ValueAware(bits, large=0.01)), error(ValueAware(bits, large=0.03))
    assert more < few < plain
    assert error(ValueAware(bits, large=0.0)) == pytest.approx(plain, rel=1e-5)


def test_pyv18_large_values_are_counted_with_their_places():
    x = np.random.default_rng(2).normal(size=(1000, 1)).astype(np.float32)
    format = ValueAware(3, large=0.02)
    params = format.fit(x)
    encoded = EncodedTensor(format.encode(x, params), format, params)
    # 3 bits for all, 16 + 10 (2**10 > 1000) for each of 20, two steps.
    assert encoded.size_bits == 1000 * 3 + 20 * 26 + 2 * 32


def test_every_code_round_trips():
    format = ValueAware(4)
    params = {"step": np.float32(0.5), "threshold": np.float32(3.5)}
    params["large_step"] = np.float32(2.0**-7)
    small = np.arange(-7, 8)
    far = np.arange(3.5 * 2**7 + 1, 32761)  # beyond the threshold
    codes = np.concatenate([small, far + 7, -far - 7]).astype(np.int16)
    values = format.decode(codes, params)
    expected = np.concatenate([small * 0.5, far * 2.0**-7, -far * 2.0**-7])
    assert values.tolist() == expected.tolist()
    np.testing.assert_array_equal(format.encode(values, params), codes)


def test_stochastic_rounding_is_right_on_average():
    params = {"step": np.float32(1), "large_step": np.float32(0.25), "threshold": np.float32(3)}
    for value, neighbors in [(1.3, [1, 2]), (-2.1, [-3, -2]), (7.1, [7, 7.25])]:
        mean, values = graph_checks.mean_of_stochastic(ValueAware(3), value, params)
        assert values == neighbors and abs(mean - value) < 5 / 400


def test_the_name_gives_the_bits():
    assert format_of("vquant3", axis=-1) == ValueAware(3)


@pytest.mark.parametrize(
    "args, match",
    [
        ((1,), r"`bits` must be in 2\.\.8. Received: 1"),
        ((9,), r"`bits` must be in 2\.\.8. Received: 9"),
        ((4, 0.5), r"`large` must be in \[0, 0.5\). Received: 0.5"),
    ],
)
def test_an_impossible_format_is_refused(args, match):
    with pytest.raises(ValueError, match=match):
        ValueAware(*args)
    with pytest.raises(ValueError, match="`codes` must lie in"):
        ValueAware().decode(np.int16([-32768]), ValueAware().fit(np.float32([1])))
