import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats import dtypes


def test_the_names_are_those_of_the_schema_in_its_order():
    kinds = {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
    assert [kinds[i].lower() for i in range(len(kinds))] == list(dtypes.NAMES)
    assert [dtypes.number(name) for name in dtypes.NAMES] == sorted(kinds)


@pytest.mark.parametrize(
    "dtype, shape, size",
    [
        ("float32", (2, 3), 24),
        ("float32", (), 4),
        ("bool", (5,), 5),
        ("complex128", (2,), 32),
        ("bfloat16", (3,), 6),
        ("float8_e5m2", (3,), 3),
        ("int4", (3, 3), 5),  # 9 nibbles, rows not padded
        ("uint4", (4,), 2),
        ("int2", (5,), 2),
        ("int8", (0, 7), 0),
        ("int8", (-1, 7), None),
        ("string", (2,), None),
        ("resource", (), None),
    ],
)
def test_size_is_that_of_the_packed_elements(dtype, shape, size):
    assert dtypes.size_bytes(dtype, shape) == size


@pytest.mark.parametrize(
    "dtype, data, values",
    [
        ("int4", [0x21, 0xC3], [1, 2, 3, -4]),
        ("uint4", [0x21, 0xC3], [1, 2, 3, 12]),
        ("int2", [0x4E], [-2, -1, 0, 1]),
        ("int16", [1, 2], [0x201]),
        ("float32", [0, 0, 0x80, 0x3F], [1.0]),
        ("bool", [0, 1], [False, True]),
    ],
)
def test_bytes_hold_the_values_worked_out_by_hand(dtype, data, values):
    array = dtypes.from_bytes(bytes(data), dtype, (len(values),))
    assert array.tolist() == values
    assert dtypes.to_bytes(array, dtype) == bytes(data)


def test_narrow_codes_are_packed_across_rows():
    codes = np.int8([[1, 2, 3], [4, 5, 6]])
    packed = dtypes.to_bytes(codes, "int4")
    assert packed.hex() == "214365"
    assert np.array_equal(dtypes.from_bytes(packed, "int4", (2, 3)), codes)


def test_an_unknown_name_is_rejected_with_the_known_ones():
    with pytest.raises(ValueError, match=r"float32, .*Received: 'float31'"):
        dtypes.number("float31")


def test_a_type_that_numpy_lacks_is_rejected():
    for dtype in ("string", "bfloat16"):
        with pytest.raises(ValueError, match=f"Received: '{dtype}'"):
            dtypes.from_bytes(b"ab", dtype, (1,))


@pytest.mark.parametrize("shape", [(3,), (-1,)])
def test_a_buffer_of_another_length_is_rejected(shape):
    with pytest.raises(ValueError, match="`data` must hold the .* bytes"):
        dtypes.from_bytes(bytes(5), "float32", shape)


def test_an_array_of_another_type_is_rejected():
    with pytest.raises(ValueError, match="`array` must be int8 for a tensor of dtype int4"):
        dtypes.to_bytes(np.uint8([1]), "int4")
    with pytest.raises(ValueError, match=r"\[-8, 7\]"):
        dtypes.to_bytes(np.int8([9]), "int4")
