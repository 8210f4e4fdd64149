"""How sub-byte codes lie in bytes. C++ twin: tflite_kernels/core/packing.h."""

import numpy as np

from edgeax.formats.base import signed_range

WIDTHS = (1, 2, 4, 8)


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Packs codes into bytes along the last axis, first code in the lowest bits.

    Args:
        codes: Integers, shape `(..., n)`. An unsigned dtype: each in `[0, 2**bits - 1]`; a signed
            one: each in `[-2**(bits-1), 2**(bits-1) - 1]`, stored in two's complement.
        bits: Width of one code in bits: 1, 2, 4 or 8.
    Returns:
        uint8, shape `(..., ceil(n * bits / 8))`; unused high bits are zero.
    Raises:
        ValueError: `bits` is not supported, a code does not fit, or `codes` is no integer array.
    Example: `pack(np.int8([1, 2, 3, -4]), bits=4)` is `[0x21, 0xC3]`.
    """
    _check_bits(bits)
    codes = np.asarray(codes)
    if codes.ndim == 0 or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(
            f"`codes` must be an integer array of one or more axes. Received: {codes.dtype} of "
            f"shape {codes.shape}. Encode with a number format first."
        )
    unsigned = np.issubdtype(codes.dtype, np.unsignedinteger)
    low, high = (0, (1 << bits) - 1) if unsigned else signed_range(bits)
    if np.any((codes < low) | (codes > high)):
        raise ValueError(
            f"`codes` must lie in [{low}, {high}] when bits={bits} and their dtype is "
            f"{codes.dtype}. Received: min={codes.min()}, max={codes.max()}. Quantize before "
            "packing."
        )
    per_byte = 8 // bits
    pad = [(0, 0)] * (codes.ndim - 1) + [(0, -codes.shape[-1] % per_byte)]
    fields = np.pad(codes.astype(np.uint8), pad) & np.uint8((1 << bits) - 1)
    rows = -(-codes.shape[-1] // per_byte)
    fields = fields.reshape(*codes.shape[:-1], rows, per_byte) << _offsets(bits)
    return np.bitwise_or.reduce(fields, axis=-1)


def unpack(packed: np.ndarray, bits: int, count: int, signed: bool) -> np.ndarray:
    """Undoes `pack`.

    Args:
        packed: uint8, shape `(..., ceil(count * bits / 8))`; bits beyond the codes are ignored.
        bits: Width of one code in bits: 1, 2, 4 or 8.
        count: Codes in a row (length of the last axis of the result), 0 or more.
        signed: Whether codes are two's complement.
    Returns:
        int8 (signed) or uint8, shape `(..., count)`.
    Raises:
        ValueError: `bits` is not supported, or `packed` has another dtype or row length.
    Example: `unpack(np.uint8([0x21, 0xC3]), 4, 4, signed=True)` is `[1, 2, 3, -4]`.
    """
    _check_bits(bits)
    packed = np.asarray(packed)
    row = -(-count * bits // 8)
    if count < 0 or packed.dtype != np.uint8 or packed.shape[-1:] != (row,):
        raise ValueError(
            f"`packed` must be uint8 with rows of {row} bytes when count={count} and bits={bits}. "
            f"Received: {packed.dtype} of shape {packed.shape}. Check the shape of the tensor."
        )
    fields = packed[..., np.newaxis] >> _offsets(bits)
    # Moving a field to the top of its byte drops its neighbors; moving it back extends the sign.
    fields = (fields << np.uint8(8 - bits)).view(np.int8 if signed else np.uint8)
    fields = fields >> fields.dtype.type(8 - bits)
    return fields.reshape(*packed.shape[:-1], row * (8 // bits))[..., :count]


def _offsets(bits: int) -> np.ndarray:
    return np.arange(0, 8, bits, dtype=np.uint8)


def _check_bits(bits: int) -> None:
    if bits not in WIDTHS:
        raise ValueError(
            f"`bits` must be one of {WIDTHS}. Received: {bits}. Store other widths in the next "
            "wider one."
        )
