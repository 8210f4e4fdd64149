from fractions import Fraction

import numpy as np
import pytest

from edgeax.formats import AdaptivFloat, EncodedTensor, arrays
from edgeax.formats.names import format_of
from tests.formats.in_graph import (
    assert_every_code_returns,
    assert_graph_rounds_as_numpy,
    assert_noise_is_unbiased,
)

SPLITS = [(n, e) for n in range(3, 11) for e in range(1, min(6, n - 1) + 1)]


def test_tyw20_the_papers_4_by_4_example():
    w = np.float32(
        [
            [-1.17, 2.71, -1.60, 0.43],
            [-1.14, 2.05, 1.01, 0.07],
            [0.16, -0.03, -0.89, -0.87],
            [-0.04, -0.39, 0.64, -2.89],
        ]
    )
    format = AdaptivFloat(4, 2)
    params = format.fit(w)
    # Bias -2: the largest of 4 exponents is 1, of |-2.89|.
    assert params["scale"] == 2.0
    values = format.decode(format.encode(w, params), params)
    assert values.tolist() == [
        [-1, 3, -1.5, 0.375],
        [-1, 2, 1, 0],
        [0, 0, -1, -0.75],
        [0, -0.375, 0.75, -3],
    ]


@pytest.mark.parametrize("width, exponent_bits", SPLITS)
def test_every_code_is_the_definition_in_fractions(width, exponent_bits):
    format = AdaptivFloat(width, exponent_bits)
    mantissa_bits = width - 1 - exponent_bits
    bias = 3 - (2**exponent_bits - 1)  # the largest exponent is 3
    exact = []
    for code in range(2 ** (width - 1)):
        exponent, mantissa = divmod(code, 2**mantissa_bits)
        significand = 1 + Fraction(mantissa, 2**mantissa_bits)
        exact.append(float(significand * Fraction(2) ** (bias + exponent)))
    exact[0] = 0.0
    params = format.fit(np.float32([-8.3, 1.0]))
    codes = np.arange(2**width).astype(np.uint8 if width <= 8 else np.uint16)
    values = format.decode(codes, params)
    minus_zero = 2 ** (width - 1)
    assert np.isnan(values[minus_zero])
    assert values[:minus_zero].tolist() == exact
    assert (-values[minus_zero + 1 :]).tolist() == exact[1:]
    assert_every_code_returns(format, params, np.delete(codes, minus_zero))


def test_half_of_the_least_magnitude_goes_to_it_and_less_to_zero():
    # <4,2> with bias -2: the least magnitude is 0.375.
    half = np.float32(0.1875)
    below = np.nextafter(half, np.float32(0))
    params = {"scale": np.float32(2)}
    rounded = AdaptivFloat(4, 2).rounded(np.float32([half, -half, below, -below]), params, arrays)
    assert rounded.tolist() == [0.375, -0.375, 0, 0]


def test_halves_of_the_mantissa_go_to_even_and_large_values_are_clipped():
    # <4,2> with bias -2: 1, 1.5, 2, 3.
    x = np.float32([1.25, 1.75, 2.5, -2.5, 9.0, -1e30])
    rounded = AdaptivFloat(4, 2).rounded(x, {"scale": np.float32(2)}, arrays)
    assert rounded.tolist() == [1.0, 2.0, 2.0, -2.0, 3.0, -3.0]


@pytest.mark.parametrize(
    "format", [AdaptivFloat(4, 2), AdaptivFloat(8, 3, axis=-1), AdaptivFloat(10, 6)], ids=str
)
def test_the_graph_rounds_as_numpy_does(format):
    assert_graph_rounds_as_numpy(format)


def test_random_rounding_is_unbiased():
    assert_noise_is_unbiased(
        AdaptivFloat(4, 2), [1.1, -2.8, 0.1, 0.4], {"scale": np.float32(2)}, 0.03
    )


def test_each_channel_has_its_own_range():
    x = np.float32([[1.0, -100.0], [0.5, 3.0]])
    format = AdaptivFloat(4, 2).per_channel()
    assert format.fit(x)["scale"].tolist() == [1.0, 64.0]
    encoded = EncodedTensor(format.encode(x, format.fit(x)), format, format.fit(x))
    assert encoded.decode().tolist() == [[1.0, -96.0], [0.5, 0.0]]
    assert encoded.scaled(np.float32([-2, 0.5])).decode().tolist() == [[-2.0, -48.0], [-1.0, 0.0]]


def test_a_name_is_a_format():
    assert format_of("adaptivfloat6_e3", axis=-1) == AdaptivFloat(6, 3, axis=-1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((2, 1), "`width` must be in 3..16. Received: 2"),
        ((4, 0), "`exponent_bits` must be in 1..3 when width=4. Received: 0"),
        ((4, 4), "`exponent_bits` must be in 1..3 when width=4. Received: 4"),
        ((8, 3, 0), "`axis` must be None"),
    ],
)
def test_settings_out_of_range_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdaptivFloat(*arguments)
