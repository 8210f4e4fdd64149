import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import FixedPoint, arrays
from edgeax.formats.minifloat import Minifloat
from edgeax.transforms.formatted import rounded_in
from edgeax.transforms.native import beyond, native_type, through_native

FORMATS = [
    Minifloat(8, 7),
    Minifloat(5, 10),
    Minifloat(5, 2),
    Minifloat(4, 3, specials="fn"),
]


def every_kind_of_float():
    """All exponents and signs with many mantissas, and what lies beside halves of each format."""
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint64)
    values = bits.astype(np.uint32).view(np.float32)
    codes = np.arange(1, 2**16, dtype=np.int64) << 16
    beside = np.concatenate([codes + 2**15 + near for near in (-1, 0, 1)]).astype(np.uint32)
    values = np.concatenate([values, beside.view(np.float32), np.float32([0.0, -0.0])])
    return values[np.isfinite(values)]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_a_cast_equals_the_emulation_bit_for_bit(format, jit):
    x = every_kind_of_float()
    cast = tf.function(lambda x: through_native(x, format), jit_compile=jit)
    expected = format.rounded(x, {}, arrays)
    np.testing.assert_array_equal(
        cast(tf.constant(x)).numpy().view(np.uint32), expected.view(np.uint32)
    )


def test_what_is_not_a_number_stays_that():
    for format in FORMATS:
        assert np.isnan(through_native(tf.constant([np.nan]), format).numpy()).all()


def test_formats_that_tensorflow_has_no_type_for_are_emulated():
    format = Minifloat(6, 9)
    assert native_type(format) is None and native_type(FixedPoint(2, 6)) is None
    x = np.float32([1.0 + 2**-10, 1e30])
    expected = format.rounded(x, {}, keras.ops).numpy().tolist()
    assert rounded_in(tf.constant(x), format).numpy().tolist() == expected == [1.0, format.largest]


def test_infinity_begins_half_a_step_behind_the_largest_value():
    x = tf.constant([65519.9, 65520.0, -65520.0])  # fp16's largest is 65504, its step there 32
    assert beyond(x, Minifloat(5, 10)).numpy().tolist() == [False, True, True]
    assert beyond(x, Minifloat(8, 7)) is None
    assert beyond(x, Minifloat(5, 2, specials="none")) is None
    assert beyond(x, FixedPoint(2, 6)) is None
