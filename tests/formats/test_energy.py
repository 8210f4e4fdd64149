"""Energy tables against their sources, counts worked out by hand, published savings."""

import numpy as np
import pytest

from edgeax.formats import Integer, energy
from edgeax.formats.energy import FLOAT32, Operand, Product, Width

NODE = energy.TABLES["45nm"]
EYERISS = energy.TABLES["eyeriss"]
FLOAT16 = Width(16, is_float=True)


def test_sh16_hlm16_constants_of_the_table():
    table = {8: (0.03, 0.2), 32: (0.1, 3.1)}
    for bits, (add, multiply) in table.items():
        assert NODE.add(Width(bits)) == pytest.approx(add)
        assert NODE.multiply(Width(bits), Width(bits)) == pytest.approx(multiply)
    for width, (add, multiply) in {FLOAT16: (0.4, 1.1), FLOAT32: (0.9, 3.7)}.items():
        assert NODE.add(width) == pytest.approx(add)
        assert NODE.multiply(width, width) == pytest.approx(multiply)
    assert NODE.access("buffer", Width(32)) == 5.0
    assert NODE.access("memory", Width(32)) == 640.0
    assert NODE.access("memory", Width(8)) == 160.0


def test_a_multiply_accumulate_sums_in_32_bits():
    assert NODE.mac(Width(8), Width(8)) == pytest.approx(0.2 + 0.1)
    assert NODE.mac(FLOAT32, FLOAT32) == pytest.approx(3.7 + 0.9)
    assert NODE.mac(FLOAT16, FLOAT16) == pytest.approx(1.1 + 0.9)


def test_a_width_between_two_of_the_table_lies_between_their_energies():
    energies = [NODE.multiply(Width(bits), Width(8)) for bits in range(1, 33)]
    assert energies == sorted(energies)
    assert NODE.multiply(Width(4), Width(16)) == pytest.approx(0.2)


def test_ces16_a_convolution_worked_out_by_hand():
    # One 3x3 filter over 4x4 positions of one channel (6x6 values), in 16 bits: 144 products.
    product = Product(
        macs=144,
        first=Operand(36, Width(16), register_uses=3, array_uses=3),
        second=Operand(9, Width(16), register_uses=4, array_uses=4),
        result=Operand(16, Width(16), register_uses=3, array_uses=3),
    )
    arithmetic = 144
    registers = 144 * 1 + 144 * 1 + 144 * 2
    neighbours = 2 * (48 + 36 + 2 * 48)
    buffer = 6 * (16 + 9 + 2 * 16)
    memory = 200 * (36 + 9 + 16)
    by_hand = arithmetic + registers + neighbours + buffer + memory
    assert by_hand == 144 + 576 + 360 + 342 + 12200
    energy = EYERISS.on_chip(product) + EYERISS.off_chip(product)
    assert energy == pytest.approx(by_hand * EYERISS.unit)
    assert product.bit_operations == 144 * 256
    assert product.traffic_bytes == 2 * (36 + 9 + 16)


def test_the_45_nm_table_takes_the_same_counts_without_registers():
    product = Product(144, *(Operand(n, Width(8)) for n in (36, 9, 16)))
    sums = 2 * 144 * 5.0  # of 32 bits
    assert NODE.on_chip(product) == pytest.approx(144 * 0.3 + (144 + 144) * 1.25 + sums)
    assert NODE.off_chip(product) == pytest.approx((36 + 9 + 16) * 160)


def test_energies_of_eyeriss_go_with_the_bits():
    assert EYERISS.mac(Width(8), Width(8)) == pytest.approx(EYERISS.unit / 4)
    assert EYERISS.access("memory", Width(4)) == pytest.approx(50 * EYERISS.unit)


def test_fyz20_shares_of_the_fixed_choices():
    choices = [(3, 6), (4, 6), (4, 8), (6, 8), (6, 12)]
    shares = [round(100 * energy.training_share(a, 4, g), 3) for a, g in choices]
    assert shares == [1.758, 2.083, 2.604, 3.385, 4.688]


def test_fgl21_savings_of_three_schedules():
    def saving(low, high, backward):
        # b_t of the paper, T a 32nd of 80 000 steps; activations and weights alike.
        angles = np.pi * np.arange(2500) / 2500
        widths = np.rint(low + 0.5 * (high - low) * (1 - np.cos(angles)))
        shares = [energy.training_share(int(b), int(b), backward) for b in widths]
        return 1 - np.mean(shares) / energy.training_share(high, high, backward)

    savings = [saving(3, 8, 8), saving(3, 6, 6), saving(3, 4, 6)]
    assert [round(100 * value, 2) for value in savings] == [36.67, 30.04, 14.84]


@pytest.mark.parametrize(
    "format, width",
    [
        ("int4", Width(4)),
        ("fp8_e4m3", Width(8, is_float=True)),
        ("bfloat16", FLOAT16),
        ("float16", FLOAT16),
        ("float32", FLOAT32),
        ("bfp8", Width(8)),
        (Integer(6), Width(6)),
        (10, Width(10)),
        (Width(3), Width(3)),
    ],
)
def test_width_of_a_format(format, width):
    assert energy.width_of(format) == width


def test_bad_names_are_told():
    with pytest.raises(ValueError, match="45nm.*Received: '7nm'"):
        energy.table_of("7nm")
    with pytest.raises(ValueError, match="format='int99x'"):
        energy.width_of("int99x")
    with pytest.raises(ValueError, match="bits=0"):
        Width(0)


def test_wcb18_sums_in_16_bits_cost_what_they_are_wide():
    inputs, weights, result = (Operand(n, Width(8, is_float=True)) for n in (4, 8, 2))
    wide, narrow = (Product(16, inputs, weights, result, sums) for sums in (None, FLOAT16))
    # An addition of 0.4 for one of 0.9, and two accesses to the buffer of 2.5 for two of 5.
    assert NODE.on_chip(wide) - NODE.on_chip(narrow) == pytest.approx(16 * (0.5 + 5))
    assert NODE.off_chip(wide) == NODE.off_chip(narrow)
    assert EYERISS.mac(Width(8), Width(8), Width(32)) == EYERISS.mac(Width(8), Width(8))
