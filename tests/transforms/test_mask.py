import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import Chain, Cluster, DynamicSurgery, Quantize
from edgeax.transforms.mask import Mask
from tests.transforms.bound import value_and_gradients, weight_chain

WEIGHT = np.float32([[1, -2], [3, 4]])
KEPT = np.array([[True, False], [False, True]])


def masked(updates="masked"):
    mask = Mask(updates)
    chain = weight_chain(mask, WEIGHT)
    mask.mask.assign(KEPT)
    return chain


def test_a_new_mask_keeps_everything():
    chain = weight_chain(Mask(), WEIGHT)
    assert np.array_equal(chain.call(tf.constant(WEIGHT), training=True), WEIGHT)


@pytest.mark.parametrize(
    "updates, gradient", [("masked", [[1, 0], [0, 1]]), ("dense", [[1, 1], [1, 1]])]
)
def test_masked_weights_are_zero_and_get_the_gradient_that_was_asked_for(updates, gradient):
    upstream = np.ones_like(WEIGHT)
    value, got = value_and_gradients(masked(updates), WEIGHT, upstream, training=True)
    assert value.tolist() == [[1, 0], [0, 4]]
    assert got.tolist() == gradient


def test_training_leaves_a_mask_that_is_set_from_outside():
    chain = masked()
    for _ in range(3):
        chain.call(tf.constant(WEIGHT), training=True)
    assert np.array_equal(chain.transforms[0].mask.value, KEPT)


def test_the_frozen_weight_has_its_zeros_and_its_mask():
    frozen = masked().freeze(WEIGHT)
    assert frozen.decode().tolist() == [[1, 0], [0, 4]]
    assert np.array_equal(frozen.mask, KEPT)


def test_bad_use_is_refused():
    with pytest.raises(ValueError, match="`updates` must be one of.*'sparse'"):
        Mask("sparse")
    with pytest.raises(ValueError, match="`Mask` must come first.*Quantize before Mask"):
        Chain([Quantize("int8"), Mask()])


def test_whatever_masks_is_kept_by_what_follows():
    Chain([Mask(), Cluster(2), Quantize("int8")])
    with pytest.raises(ValueError, match="no zero for what was pruned. Received: DynamicSurgery"):
        Chain([DynamicSurgery(1.0, 5), Quantize("binary")])
