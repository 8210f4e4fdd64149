import numpy as np
import pytest

from edgeax.runtime.mcu.operators import products
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor


def file(weights: np.ndarray, bias: np.ndarray, **changes) -> File:
    scale = changes.get("scale", 0.5)
    inputs = [
        Tensor("x", (1, weights.shape[1]), changes.get("dtype", np.int8), 0.25, 3),
        Tensor("w", weights.shape, weights.dtype, scale, changes.get("zero", 0), weights),
        Tensor("b", bias.shape, bias.dtype, data=bias),
    ]
    output = Tensor("y", (1, len(weights)), np.int8, 1.0, -2)
    return File("FULLY_CONNECTED", ("FullyConnectedOptions", {}), inputs, output)


WEIGHTS = np.int8([[1, -2], [100, 27]])
BIAS = np.int32([10, -20])


def read(made: File) -> products.Products:
    return products.read_products(made.node(), (0, 1, 2))


def test_the_zero_point_of_the_input_goes_into_the_bias():
    found = read(file(WEIGHTS, BIAS))
    assert found.folded_bias.tolist() == [10 - 3 * -1, -20 - 3 * 127]
    assert found.factors.multiplier.tolist() == [2**30, 2**30]  # 1/8
    assert found.factors.shift.tolist() == [-2, -2]
    assert (found.input_zero_point, found.output_zero_point) == (3, -2)


def test_the_bias_wraps_around():
    found = read(file(WEIGHTS, np.int32([-(2**31), 2**31 - 1])))
    assert found.folded_bias.tolist() == [-(2**31) + 3, 2**31 - 1 - 381]
    assert read(file(WEIGHTS, np.int32([2**31 - 1, 0]))).folded_bias[0] == -(2**31) + 2


def test_one_scale_is_multiplied_in_float32_as_tflite_does():
    scale = float(np.float32(0.1))
    made = file(WEIGHTS, BIAS, scale=scale)
    made.inputs[0].scale = 0.3
    exact = 2.0**31 * 32 * float(np.float32(np.float32(0.3) * np.float32(0.1)))
    assert read(made).factors.multiplier[0] == round(exact)
    made = file(WEIGHTS, BIAS, scale=[scale, scale])
    made.inputs[0].scale = 0.3
    exact = 2.0**31 * 32 * float(np.float32(0.3)) * scale
    assert read(made).factors.multiplier[0] == round(exact)


def test_codes_of_sums_are_rounded_and_limited():
    found = read(file(WEIGHTS, BIAS))
    assert found.output_codes(np.int64([12, -12]), "double").tolist() == [0, -4]  # +-1.5
    assert found.output_codes(np.int64([12, -12]), "single").tolist() == [0, -3]
    assert found.output_codes(np.int64([2**31 - 1, -(2**31)]), "double").tolist() == [127, -128]


def test_a_channel_that_gives_one_code_is_made_simple():
    dead = np.int32([10, 2**30])
    made = file(WEIGHTS, dead, scale=[0.5, 2.0**-28])
    found = read(made)
    simple = products.without_constant_channels(found, "double")
    assert simple.weights.tolist() == [[1, -2], [0, 0]]
    assert simple.bias.tolist() == [10, 8]  # 2**30 * 2**-30 is one step
    assert simple.factors.shift.tolist() == [-2, -2]
    assert simple.output_codes(simple.folded_bias.astype(np.int64), "double").tolist() == [0, -1]
    assert not found.is_quick(made.node()) and simple.is_quick(made.node())


@pytest.mark.parametrize(
    "made, words",
    [
        (file(WEIGHTS, BIAS, zero=2), "its weights must be symmetric.*Received: \\[2\\]"),
        (file(WEIGHTS.view(np.uint8), BIAS), "its weights must be int8. Received: uint8"),
        (file(WEIGHTS, np.int32([1, 2, 3])), "its bias must have 2 numbers. Received: 3"),
        (file(WEIGHTS, np.int64([1, 2])), "its bias must be int32. Received: int64"),
        (file(WEIGHTS, BIAS, scale=[1.0, 2.0, 3.0]), "must have one scale, or 2 along axis 0"),
        (file(WEIGHTS, BIAS, scale=None), "must have one scale, or 2 along axis 0"),
        (file(WEIGHTS, BIAS, dtype=np.float32), "its input must be int8 or int16.*float32"),
        (file(WEIGHTS, BIAS, dtype=np.int16), "its output must be int16. Received: int8"),
    ],
)
def test_what_kernels_cannot_compute_is_refused(made, words):
    with pytest.raises(ValueError, match=f"operator 0 FULLY_CONNECTED, y: .*{words}"):
        read(made)


def test_computed_weights_are_refused():
    made = file(WEIGHTS, BIAS)
    made.inputs[1].data = None
    with pytest.raises(ValueError, match="input 1 must be a constant"):
        read(made)
