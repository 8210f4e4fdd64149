import numpy as np
import pytest

from edgeax.formats import EncodedTensor
from edgeax.formats.adaptivfloat import AdaptivFloat
from edgeax.formats.block_float import BlockFloat, HybridBlockFloat
from edgeax.formats.codebook import Codebook
from edgeax.formats.integer import Integer
from edgeax.formats.minifloat import Minifloat
from edgeax.formats.packed_floats import NoPackedFloats, packed_floats
from tests.golden import float_cases

KERNEL = np.random.default_rng(0).normal(size=(100, 60)).astype(np.float32)

WIDE = np.float32(10.0 ** np.random.default_rng(1).uniform(-8, 0, (100, 60)))


def encoded(format, values=KERNEL, mask=None):
    params = format.fit(values)
    return EncodedTensor(format.encode(values, params), format, params, mask)


def table(name):
    return np.float32(float_cases.codebook_of({"codebook": name}))


@pytest.mark.parametrize(
    "format, bits, known",
    [
        (Minifloat(4, 3, scaled=True), 8, "float8_e4"),
        (Minifloat(4, 3, scaled=True, axis=-1), 8, "float8_e4"),
        (Minifloat(4, 3, specials="fn", scaled=True), 8, "float8_e4"),
        (Minifloat(4, 3, bias=8, specials="none"), 8, "float8_e4"),
        (Minifloat(3, 4, scaled=True), 8, "float8_e3"),
        (Minifloat(3, 2, specials="none", scaled=True), 8, "float8_e3"),  # 6 bits
        (Minifloat(2, 1, specials="none", scaled=True), 4, None),
        (AdaptivFloat(8, 3), 8, "float8_e3_lifted"),
        (AdaptivFloat(4, 2), 4, None),
        (BlockFloat(8), 8, "int8"),
        (BlockFloat(6, axis=-1), 8, "int8"),
        (BlockFloat(4), 4, None),
        (Integer(8, axis=-1), 8, "int8"),
        (Integer(4), 4, None),
        (Integer(2), 2, None),
        (Codebook(16), 4, None),
        (Codebook(16, None), 4, None),
        (Codebook(4), 2, None),
        (Codebook(100, None), 8, None),
    ],
)
def test_a_format_is_stored_in_its_codes_and_no_value_is_lost(format, bits, known):
    tensor = encoded(format)
    packed = packed_floats(tensor)
    assert packed.bits == bits and packed.group == 0
    np.testing.assert_array_equal(packed.decode(), tensor.decode())
    if known is not None:  # which kernels compute
        np.testing.assert_array_equal(packed.codebook, table(known))


def test_tiles_of_block_floats_become_groups_of_inputs():
    values = KERNEL.copy()
    values[24:48] *= 100
    tensor = encoded(HybridBlockFloat(3), values)
    packed = packed_floats(tensor)
    assert packed.bits == 4 and packed.group == 24 and packed.scale.shape == (5, 60)
    np.testing.assert_array_equal(packed.decode(), tensor.decode())


def test_what_is_pruned_is_exactly_0():
    mask = np.random.default_rng(1).random(KERNEL.shape) < 0.5
    tensor = encoded(AdaptivFloat(8, 3), mask=mask)
    packed = packed_floats(tensor)
    np.testing.assert_array_equal(packed.decode(), tensor.decode())
    assert not packed.decode()[~mask].any()


def test_a_gain_of_0_and_a_negative_one_stay():
    tensor = encoded(Minifloat(4, 3, scaled=True))
    gain = np.linspace(-2, 2, 60).astype(np.float32)
    gain[7] = 0
    packed = packed_floats(tensor.scaled(gain))
    np.testing.assert_allclose(packed.decode(), tensor.scaled(gain).decode(), rtol=1e-6)


def test_a_kernel_of_an_image_is_seen_as_a_matrix():
    tensor = encoded(BlockFloat(8), KERNEL.reshape(5, 20, 60))
    packed = packed_floats(tensor)
    np.testing.assert_array_equal(packed.decode().reshape(5, 20, 60), tensor.decode())


@pytest.mark.parametrize(
    "format, message",
    [
        (Minifloat(5, 10), "values beside its scales, more than 256"),
        (BlockFloat(8, axis=0), "change within eight inputs"),
    ],
)
def test_what_has_no_such_form_says_why(format, message):
    with pytest.raises(NoPackedFloats, match=message):
        packed_floats(encoded(format))


def test_five_bits_of_exponent_are_used_where_fewer_do_not_reach():
    tensor = encoded(Minifloat(5, 2, scaled=True), WIDE)
    packed = packed_floats(tensor)
    np.testing.assert_array_equal(packed.codebook, table("float8_e5"))
    np.testing.assert_array_equal(packed.decode(), tensor.decode())


def test_scales_beyond_float32_are_refused():
    tensor = encoded(Minifloat(5, 2, bias=30), WIDE).scaled(np.full(60, 1.1e-36, np.float32))
    with pytest.raises(NoPackedFloats, match="beyond those of float32"):
        packed_floats(tensor)
