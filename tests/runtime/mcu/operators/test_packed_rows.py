import numpy as np
import pytest

from edgeax.runtime.mcu.operators import packed_rows
from tests.runtime.mcu import packed_cases
from tests.tflite_kernels import int16_cases, models, oracle, random_cases


@pytest.mark.parametrize("operator", packed_cases.PACKED)
def test_weights_are_those_of_the_oracle(operator):
    for seed in range(6):
        drawn = random_cases.draw(operator, seed)
        node = packed_cases.node_of(models.model_of(drawn).write(), "host", "single")
        options = packed_rows.options_of(node)
        found, _ = packed_rows.read_layer(node, options, *oracle.values(drawn).shape)
        np.testing.assert_array_equal(found.weights, oracle.values(drawn))
        np.testing.assert_array_equal(found.bias, drawn.bias)


def test_convolutions_of_int16_codes_have_multipliers_of_15_bits():
    drawn = int16_cases.draw("EdgeaxConv2D", 1)
    node = packed_cases.node_of(models.model_of(drawn).write(), "host", "single")
    factors = packed_rows.factors_of(node, np.float32([0.01, -0.01]))
    assert not np.any(factors.multiplier & 0xFFFF)
    assert factors.multiplier[0] == -factors.multiplier[1] > 0


def test_windows_and_outputs_must_suit():
    drawn = random_cases.draw("EdgeaxConv2D", 2)
    node = packed_cases.node_of(models.model_of(drawn).write(), "host", "single")
    node.tensors[node.outputs[0]].shape = (1, 99, 99, 1)
    with pytest.raises(ValueError, match="its output must have the shape"):
        packed_rows.axes_of(node, packed_rows.options_of(node))
