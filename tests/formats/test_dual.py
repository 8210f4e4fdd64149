import numpy as np
import pytest

from edgeax.formats import DualInteger, Integer, arrays
from edgeax.formats.names import format_of
from tests.formats import graph_checks
from tests.rows import soaked

FORMATS = [DualInteger(2), DualInteger(4), DualInteger(3, axis=-1)]


@pytest.mark.parametrize(
    "format, jit",
    [
        *((FORMATS[0], jit) for jit in (False, True)),
        (FORMATS[2], True),
        *(soaked(FORMATS[1], jit) for jit in (False, True)),
        soaked(FORMATS[2], False),
    ],
    ids=str,
)
def test_the_graph_rounds_as_numpy_does(format, jit):
    graph_checks.assert_graph_equals_numpy(format, jit)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_codes_stand_for_the_rounded_values(format):
    graph_checks.assert_codes_stand_for_the_rounded_values(format)
    graph_checks.assert_a_gain_per_channel_multiplies(format)


def squared_error(format, x):
    params = format.fit(x)
    return float(np.sum(np.square(x - format.decode(format.encode(x, params), params))))


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("axis", [None, -1])
def test_ckyk19_two_tensors_err_less_than_one(bits, axis):
    x = np.random.default_rng(bits).standard_t(5, size=(50, 6)).astype(np.float32)
    single = squared_error(Integer(bits, axis=axis), x)
    assert squared_error(DualInteger(bits, axis), x) < single / 2 ** (2 * (bits - 1))


def test_a_code_holds_both_in_twos_complement():
    # steps 1 and 0.25: 2.5 = 2 * 1 + 2 * 0.25, -0.75 = -1 * 1 + 1 * 0.25
    params = {"step": np.float32([1.0, 0.25])}
    format = DualInteger(4)
    codes = format.encode(np.float32([2.5, -0.75, 0.0]), params)
    assert codes.tolist() == [0x22, 0xF1, 0x00]
    assert format.decode(codes, params).tolist() == [2.5, -0.75, 0.0]


def test_an_activation_is_one_tensor():
    with pytest.raises(ValueError, match="`format` of an activation must be one tensor.*'int8'"):
        DualInteger(4).for_activations()


def test_names_bits_and_sizes():
    assert format_of("dual4", axis=-1) == DualInteger(4, axis=-1)
    assert DualInteger(3).bits == 6 and DualInteger(3).per_channel().axis == -1


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DualInteger(5), "`width` must be in 2..4. Received: 5"),
        (lambda: DualInteger(4, axis=0), "`axis` must be None"),
        (lambda: DualInteger(2).decode(np.uint8([16]), {}), r"`codes` must lie in \[0, 15\]"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_rounded_is_the_sum_of_both():
    x = np.float32([[0.9, -0.3], [0.1, 0.7]])
    params = DualInteger(4).fit(x)
    step = params["step"].astype(np.float64)
    expected = [
        min(
            (step[0] * a + step[1] * b for a in range(-7, 8) for b in range(-7, 8)),
            key=lambda value: abs(value - one),
        )
        for one in x.reshape(-1)
    ]
    found = DualInteger(4).rounded(x, params, arrays).reshape(-1)
    assert np.abs(found - x.reshape(-1)).max() <= 1.01 * max(
        np.abs(np.float64(expected) - x.reshape(-1)).max(), step[1] / 2
    )
