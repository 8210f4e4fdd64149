"""Handlers of binary operators and of those on sums of signs."""

import numpy as np
import pytest

from edgeax.runtime.mcu.operators import HANDLERS, sign_sums
from tests.runtime.mcu import packed_cases
from tests.tflite_kernels import models, random_cases, sign_sum_cases


def binary_node(seed: int = 1):
    drawn = random_cases.draw("EdgeaxBinaryConv2D", seed)
    return packed_cases.node_of(models.model_of(drawn).write(), "host", "single")


def test_codes_below_the_zero_point_are_negative():
    for seed in range(20):
        node = binary_node(seed)
        layer = sign_sums.layer_of(node)
        if layer.signs is not None:
            zero_point = int(node.input(0).zero_point[0])
            assert layer.signs.sum() == zero_point + 128
            return
    pytest.fail("no draw has codes as its input")


def test_spare_bits_of_weights_are_cleared():
    node = binary_node()
    node.tensors[node.inputs[1]].data = np.full(node.input(1).shape, 0xFF, np.uint8)
    layer = sign_sums.layer_of(node)
    depth = layer.shape.input_channels // layer.shape.groups
    assert np.unpackbits(layer.weights).sum() == layer.weights[..., 0].size * depth


def test_a_bias_beyond_the_limit_is_refused():
    node = binary_node()
    node.tensors[node.inputs[2]].data = np.full(node.input(2).shape, 2**30 + 1, np.int32)
    with pytest.raises(ValueError, match="its bias must not exceed"):
        HANDLERS["EdgeaxBinaryConv2D"](node)


def test_gains_that_might_wrap_around_are_refused():
    drawn = sign_sum_cases.draw(sign_sum_cases.CONV2D, 1)
    drawn.gains[:] = 2**30
    node = packed_cases.node_of(drawn.model().write(), "host", "single")
    with pytest.raises(ValueError, match="its sums must not exceed"):
        HANDLERS[sign_sum_cases.CONV2D](node)


def test_pixels_of_another_size_are_refused():
    content, _, _ = next(iter(packed_cases.pools(1)))
    node = packed_cases.node_of(content, "host", "single")
    shape = node.input(0).shape
    node.tensors[node.inputs[0]].shape = (*shape[:3], shape[3] + 1)
    with pytest.raises(ValueError, match="its pixels must have"):
        HANDLERS["EdgeaxBinaryMaxPool2D"](node)
