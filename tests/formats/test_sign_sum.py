import numpy as np
import pytest

from edgeax.formats import EncodedTensor, sign_sum
from edgeax.formats.binary import Binary, ResidualBinary
from edgeax.formats.learned_basis import LearnedBasis
from edgeax.formats.ternary import Ternary


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def encoded(format, values):
    params = format.fit(values)
    return EncodedTensor(format.encode(values, params), format, params, None)


def test_a_ternary_number_is_half_the_sum_of_two_signs():
    codes, thresholds = np.int8([-128, -1, 0, 1, 127]), sign_sum.thresholds_of([[0], [1]])
    signs = sign_sum.signs_of(codes, thresholds)
    np.testing.assert_array_equal(signs, [[-1, -1, 1, 1, 1], [-1, -1, -1, 1, 1]])
    np.testing.assert_array_equal(signs.sum(0) // 2, [-1, -1, 0, 1, 1])


def test_a_sign_changes_at_each_of_its_thresholds():
    thresholds = sign_sum.thresholds_of([[0], [-50, 0, 50]])
    np.testing.assert_array_equal(thresholds, [[0, -128, -128], [-50, 0, 50]])
    signs = sign_sum.signs_of(np.int8([-60, -50, -1, 0, 49, 50]), thresholds)
    np.testing.assert_array_equal(signs, [[-1, -1, -1, 1, 1, 1], [-1, 1, 1, -1, -1, 1]])


def test_thresholds_out_of_reach_never_and_always_count():
    thresholds = sign_sum.thresholds_of([[-1000], [1000]])
    np.testing.assert_array_equal(thresholds, [[sign_sum.NEVER], [sign_sum.ALWAYS]])
    signs = sign_sum.signs_of(np.int8([-128, 127]), thresholds)
    np.testing.assert_array_equal(signs, [[1, 1], [-1, -1]])


def test_bases_lie_one_after_the_other():
    bases = np.ones((2, 3, 2, 9))
    bases[1, 0, 0, 8] = -1
    packed = sign_sum.pack_bases(bases)
    assert packed.shape == (6, 4)
    assert packed[3].tolist() == [0, 1, 0, 0] and packed.sum() == 1


@pytest.mark.parametrize(
    "format",
    [ResidualBinary(2), ResidualBinary(3, axis=-1), LearnedBasis(2, -1, nonnegative=False)],
    ids=str,
)
def test_the_signs_of_a_weight_add_up_to_it(format):
    weight = encoded(format, random(3, 3, 4, 5)).scaled(np.float32([1, -2, 0, 0.5, 3]))
    bases = sign_sum.bases_of(weight)
    assert bases.digits.shape == (format.bits, 3, 3, 4, 5) and bases.digits.dtype == np.int8
    total = np.einsum("bhwic,bc->hwic", bases.digits.astype(np.float64), bases.gains)
    np.testing.assert_allclose(total, weight.decode(), rtol=1e-6, atol=1e-6)


def test_two_opposite_values_in_each_channel_are_one_sign():
    weight = encoded(Binary(axis=-1), random(4, 3))
    bases = sign_sum.bases_of(weight)
    np.testing.assert_allclose(bases.digits[0] * bases.gains[0], weight.decode(), rtol=1e-6)


@pytest.mark.parametrize(
    "weight",
    [
        encoded(Ternary(axis=-1), random(9, 3)),
        encoded(LearnedBasis(2, nonnegative=True), np.abs(random(9, 3))),
    ],
    ids=["ternary", "digits of 0 and 1"],
)
def test_other_weights_are_no_sums_of_signs(weight):
    assert sign_sum.bases_of(weight) is None


def test_pruned_weights_are_no_sums_of_signs():
    whole = encoded(ResidualBinary(2), random(4, 3))
    mask = np.ones(whole.shape, bool)
    mask[0, 0] = False
    pruned = EncodedTensor(whole.codes, whole.format, whole.params, mask)
    assert sign_sum.bases_of(pruned) is None


@pytest.mark.parametrize("depth", [1, 27, 1152, 65536])
def test_folded_gains_are_near_and_no_sum_overflows(depth):
    source = np.random.default_rng(depth)
    gains, offset = source.normal(size=(6, 50)), 100 * source.normal(size=50)
    gains[:, 0] = 0
    offset[0] = 0
    units, bias, scale = sign_sum.fold(gains, offset, depth)
    assert np.abs(units).sum(0).max() * depth <= sign_sum.MAX_SUM
    largest = np.abs(gains).sum(0)
    np.testing.assert_array_less(np.abs(units * scale - gains).max(0), largest * 2**-11 + 1e-30)
    np.testing.assert_array_less(np.abs(bias * scale - offset), np.abs(scale) * 0.51 + 1e-30)


def test_the_example_of_fold():
    units, bias, scale = sign_sum.fold([[0.5], [0.5]], [1.0], depth=2**10)
    assert (units.tolist(), bias.tolist(), scale.tolist()) == ([[2**18]] * 2, [2**19], [2**-19])


@pytest.mark.parametrize("gain", [0.0, 1e-30, 2**-31 / 9])
def test_gains_that_do_not_move_an_offset_are_0(gain):
    units, bias, scale = sign_sum.fold([[gain, 0.5]], [1.0, -2.0], 9)
    assert units[0, 0] == 0 and units[0, 1] > 0
    np.testing.assert_array_equal(bias * scale, [1.0, -2.0])


@pytest.mark.parametrize("gain, offset", [(1e-6, 1e3), (1e-9, 1.0), (np.inf, 0.0), (1.0, np.nan)])
def test_what_has_no_integers_is_refused(gain, offset):
    with pytest.raises(ValueError, match="Keep the built-in operator"):
        sign_sum.fold([[gain]], [offset], 9)
