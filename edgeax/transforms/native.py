"""Number formats that TensorFlow has as types of its own: a cast there and back rounds to them."""

import numpy as np
import tensorflow as tf

from edgeax.formats import NumberFormat
from edgeax.formats.minifloat import Minifloat

_TYPES = {
    Minifloat(8, 7): tf.bfloat16,
    Minifloat(5, 10): tf.float16,
    Minifloat(5, 2): tf.dtypes.experimental.float8_e5m2,
    Minifloat(4, 3, specials="fn"): tf.dtypes.experimental.float8_e4m3fn,
}


def native_type(format: NumberFormat) -> tf.DType | None:
    """Returns TensorFlow's type that a format is, None if there is none.

    Example: `native_type(Minifloat(8, 7))` is `tf.bfloat16`.
    """
    return _TYPES.get(format) if isinstance(format, Minifloat) else None


def through_native(tensor: tf.Tensor, format: Minifloat) -> tf.Tensor:
    """Returns `tensor` rounded to nearest by a cast to the type of `format` and back.

    Equals `format.rounded` bit for bit; values beyond the largest become that one, NaN stays.

    Args:
        tensor: float32, any shape.
        format: One that `native_type` knows.
    """
    largest = np.float32(format.largest)
    # Not a clip, which flushes subnormal values where TensorFlow is told to.
    within = tf.where(tf.abs(tensor) > largest, largest * tf.sign(tensor), tensor)
    return tf.cast(tf.cast(within, native_type(format)), tf.float32)


def beyond(tensor: tf.Tensor, format: NumberFormat) -> tf.Tensor | None:
    """Returns where IEEE 754 rounds to infinity in a format, None in one without infinities.

    Args:
        tensor: float32, any shape.
        format: Any.
    """
    if not isinstance(format, Minifloat) or format.specials != "ieee" or format.scaled:
        return None
    if format.exponent_bias == 127 and format.exponent_bits == 8:
        return None  # the range of float32 itself
    return tf.abs(tensor) >= np.float32(_middle_behind_largest(format))


def _middle_behind_largest(format: Minifloat) -> float:
    exponent = np.floor(np.log2(format.largest))
    return float(format.largest + 2.0 ** (exponent - format.mantissa_bits - 1))
