import numpy as np
import pytest

from edgeax.formats import EncodedTensor, Integer, MixedInteger, arrays
from edgeax.formats.integer_form import integer_form
from edgeax.formats.mixed_integer import bits_of_channels
from edgeax.formats.names import format_of
from tests.formats import graph_checks

FORMATS = [MixedInteger(2), MixedInteger(4), MixedInteger(8)]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_the_graph_rounds_as_numpy_does(format, jit):
    graph_checks.assert_graph_equals_numpy(format, jit)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_codes_stand_for_the_rounded_values(format):
    graph_checks.assert_codes_stand_for_the_rounded_values(format)
    graph_checks.assert_a_gain_per_channel_multiplies(format)


def test_bns19_bits_go_by_the_power_of_two_thirds():
    # shares 1, 1, 4, 4 of 10: 4 * 16 levels give 6.4, 6.4, 25.6, 25.6: 2.68 and 4.68 bits
    limits = np.float32([1, 1, 8, 8])
    assert bits_of_channels(limits, 4, arrays).tolist() == [3, 3, 5, 5]
    assert bits_of_channels(np.float32([2, 2, 2]), 5, arrays).tolist() == [5, 5, 5]
    assert bits_of_channels(np.float32([1, 1e6]), 4, arrays).tolist() == [2, 5]
    assert bits_of_channels(np.float32([0, 0]), 4, arrays).tolist() == [4, 4]


def test_bns19_it_errs_less_than_the_same_bits_for_all():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(200, 16)) * 10 ** rng.uniform(-1.5, 0, 16)).astype(np.float32)

    def error(format):
        params = format.fit(x)
        return np.sum(np.square(x - format.decode(format.encode(x, params), params)))

    assert error(MixedInteger(4)) < 0.75 * error(Integer(4, axis=-1))
    bits = MixedInteger(4).size_bits(
        MixedInteger(4).encode(x, MixedInteger(4).fit(x)), MixedInteger(4).fit(x)
    )
    assert bits <= x.size * 4 + 16 * 32


def test_integers_of_the_device_hold_it_exactly():
    x = np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32) * [1, 2, 4, 8, 16]
    format = MixedInteger(3)
    params = format.fit(x)
    encoded = EncodedTensor(format.encode(x, params), format, params)
    form = integer_form(encoded)
    assert form.snr_db == np.inf
    np.testing.assert_allclose(form.decode(), encoded.decode(), rtol=1e-6)


def test_names_and_errors():
    assert format_of("mixed4", axis=-1) == MixedInteger(4) == MixedInteger(4).per_channel()
    for width in (1, 9):
        with pytest.raises(ValueError, match=f"`width` must be in 2..8. Received: {width}"):
            MixedInteger(width)


def test_an_activation_has_one_scale():
    with pytest.raises(ValueError, match="`format` of an activation must have one scale.*'int4'"):
        MixedInteger(4).for_activations()
