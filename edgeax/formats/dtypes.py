"""The element types of TFLite tensors: their names, widths, and numpy arrays to and from bytes."""

import math

import numpy as np

from edgeax.formats import packing

# By their number in the TFLite schema.
NAMES = (
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
    "resource",
    "variant",
    "uint32",
    "uint16",
    "int4",
    "bfloat16",
    "int2",
    "uint4",
    "float8_e4m3fn",
    "float8_e5m2",
)

_PACKED = {"int4": (4, True), "int2": (2, True), "uint4": (4, False)}
_WITHOUT_NUMPY = {"bfloat16": 16, "float8_e4m3fn": 8, "float8_e5m2": 8}
_WITHOUT_SIZE = ("string", "resource", "variant")


def number(dtype: str) -> int:
    """Returns the number of a type in the schema.

    Raises:
        ValueError: `dtype` is no name of a TFLite type.
    """
    if dtype not in NAMES:
        raise ValueError(
            f"`dtype` must be one of {', '.join(NAMES)}. Received: {dtype!r}. Use one."
        )
    return NAMES.index(dtype)


def bits(dtype: str) -> int | None:
    """Returns the width of an element in bits, None where elements have no fixed size."""
    if dtype in _WITHOUT_SIZE:
        return None
    if dtype in _PACKED:
        return _PACKED[dtype][0]
    return _WITHOUT_NUMPY.get(dtype) or 8 * np.dtype(dtype).itemsize


def size_bytes(dtype: str, shape: tuple[int, ...]) -> int | None:
    """Returns the bytes of a tensor; None where a dimension is unknown (negative) or the type's
    elements have no fixed size. Elements narrower than a byte are packed without gaps.
    """
    width = bits(dtype)
    if width is None or any(size < 0 for size in shape):
        return None
    return -(-math.prod(shape) * width // 8)


def from_bytes(data: bytes, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the array that a TFLite buffer holds; 4- and 2-bit codes come as int8 or uint8.

    Raises:
        ValueError: the length of `data` does not suit, or numpy has no such type.
    """
    _check_numpy(dtype)
    if len(data) != size_bytes(dtype, shape):
        raise ValueError(
            f"`data` must hold the {size_bytes(dtype, shape)} bytes of {dtype} {list(shape)}. "
            f"Received: {len(data)} bytes. The file is damaged, or set dtype and shape first."
        )
    if dtype in _PACKED:
        width, signed = _PACKED[dtype]
        flat = packing.unpack(np.frombuffer(data, np.uint8), width, math.prod(shape), signed)
        return flat.reshape(shape)
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape)


def to_bytes(array: np.ndarray, dtype: str) -> bytes:
    """Undoes `from_bytes`.

    Raises:
        ValueError: `array` has another type than `dtype`, or a 4- or 2-bit code does not fit.
    """
    _check_numpy(dtype)
    wanted = "int8" if dtype in ("int4", "int2") else "uint8" if dtype == "uint4" else dtype
    if array.dtype != np.dtype(wanted):
        raise ValueError(
            f"`array` must be {wanted} for a tensor of dtype {dtype}. Received: {array.dtype}. "
            "Convert it, or set the dtype of the tensor first."
        )
    if dtype in _PACKED:
        return packing.pack(array.reshape(-1), _PACKED[dtype][0]).tobytes()
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _check_numpy(dtype: str) -> None:
    if dtype in _WITHOUT_SIZE or dtype in _WITHOUT_NUMPY:
        raise ValueError(
            f"`dtype` must be a type that numpy has. Received: {dtype!r}. Tensors of this type "
            "can be kept but neither read nor written."
        )
