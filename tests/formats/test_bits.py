import numpy as np
import pytest

from edgeax.formats.bits import BitReader, BitWriter


def stream(*fields):
    writer = BitWriter()
    for values, widths in fields:
        writer.write(values, widths)
    return writer.finish()


@pytest.mark.parametrize(
    "values, widths, data",
    [
        ([1, 5], [2, 3], [0b01101000]),
        ([0x123], [12], [0x12, 0x30]),
        ([0, 1, 0], [0, 1, 0], [0x80]),  # a field of no bits leaves none
        ([0xFFFFFFFF, 0], [32, 1], [255, 255, 255, 255, 0]),
        ([], [], []),
    ],
)
def test_fields_lie_one_after_the_other_highest_bit_first(values, widths, data):
    assert list(stream((values, widths))) == data


def test_a_width_may_be_that_of_all_fields():
    assert list(stream(([1, 2], 4), ([3], [8]))) == [0x12, 0x03]


def test_reading_gives_the_fields():
    random = np.random.default_rng(0)
    widths = random.integers(0, 33, 500)
    values = random.integers(0, 1 << widths)
    reader = BitReader(stream((values, widths)))
    assert [reader.read(width) for width in widths.tolist()] == values.tolist()


def test_a_field_beyond_the_end_is_refused():
    reader = BitReader(b"\x12")
    assert reader.read(7) == 0x09
    with pytest.raises(ValueError, match="1 bytes, and 9 bits are wanted"):
        reader.read(2)
