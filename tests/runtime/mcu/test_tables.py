import numpy as np
import pytest

from edgeax.runtime.mcu import tables
from edgeax.runtime.mcu.tables import Codes


def codes(scale: float, zero_point: int) -> Codes:
    return Codes(np.float32(scale), zero_point)


def real(table: np.ndarray, out: Codes) -> np.ndarray:
    return float(out.scale) * (table.astype(int) - out.zero_point)


def test_the_byte_of_a_code_is_its_place() -> None:
    table = tables.bytewise(tables.CODES)
    assert table.dtype == np.int8
    assert [table[np.uint8(code & 255)] for code in (0, 127, -128, -1)] == [0, 127, -128, -1]


@pytest.mark.parametrize("scale", [0.01, 0.0625, 0.3])
def test_both_logistics_are_within_a_code_of_the_function(scale: float) -> None:
    into, out = codes(scale, -20), codes(2**-8, -128)
    exact = 1 / (1 + np.exp(-scale * (tables.CODES + 20.0)))
    for table in (tables.micro_logistic(into), tables.of_reals(tables.logistic, into, out)):
        assert np.abs(real(table, out) - exact).max() <= 2**-8


@pytest.mark.parametrize("scale", [0.01, 0.0625, 0.3])
def test_both_tanhs_are_within_a_code_of_the_function(scale: float) -> None:
    into, out = codes(scale, 11), codes(2**-7, 0)
    exact = np.tanh(scale * (tables.CODES - 11.0))
    for table in (tables.micro_tanh(into), tables.of_reals(tables.tanh, into, out)):
        assert np.abs(real(table, out) - exact).max() <= 2**-7


def test_hard_swish_is_within_two_codes_of_the_function() -> None:
    into, out = codes(0.05, -5), codes(0.03, -100)
    x = 0.05 * (tables.CODES + 5.0)
    exact = x * np.clip(x + 3, 0, 6) / 6
    error = np.abs(real(tables.hard_swish(into, out), out) - np.minimum(exact, 0.03 * 227))
    assert error.max() <= 2 * 0.03


def test_two_pieces_worked_out_by_hand() -> None:
    into, out = codes(0.1, 10), codes(0.2, -3)
    table = tables.rescaled(into, out, 0.5, -0.25, limits=(-3, 40))
    by_code = dict(zip(tables.CODES.tolist(), table.tolist(), strict=True))
    # 5 halves go away from zero: to 3; 2 quarters of -2: 0.5 to 1.
    assert [by_code[code] for code in (10, 15, 8, 100)] == [-3, 0, -2, 40]
    table = tables.rescaled_by_256ths(into, out, np.float32(0.5), np.float32(0.5))
    by_code = dict(zip(tables.CODES.tolist(), table.tolist(), strict=True))
    assert [by_code[code] for code in (10, 15, 5)] == [-3, 0, -5]  # halves up
