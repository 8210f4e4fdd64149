import numpy as np
import pytest

from edgeax.runtime.mcu.operators import codes
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor


def file(output: Tensor, activation: int = 0) -> File:
    inputs = [Tensor("a", (4,), np.int8, 0.5), Tensor("b", (4,), np.int8, 0.5)]
    return File("ADD", ("AddOptions", {"fusedActivationFunction": activation}), inputs, output)


@pytest.mark.parametrize(
    "activation, limits",
    [(0, (-128, 127)), (1, (3, 127)), (2, (1, 5)), (3, (3, 15))],  # as in the schema
)
def test_limits_are_those_of_the_activation(activation, limits):
    assert codes.limits_of(file(Tensor("y", (4,), np.int8, 0.5, 3), activation).node()) == limits


def test_halves_of_limits_go_away_from_zero():
    node = file(Tensor("y", (4,), np.int8, 4.0, -2), 3).node()
    assert codes.limits_of(node) == (-2, 0)  # 6 / 4 = 1.5


@pytest.mark.parametrize(
    "output, words",
    [
        (Tensor("y", (4,), np.int8), "its output must have one scale above 0. Received: None"),
        (Tensor("y", (4,), np.int8, [0.5, 0.5]), "its output must have one scale above 0"),
        (Tensor("y", (4,), np.int8, 0.5, 200), "zero point of its output must be a code. .*200"),
        (Tensor("y", (4,), np.int16, 0.5, 1), "must be a code, of int16 0. Received: 1"),
    ],
)
def test_outputs_without_a_scale_or_a_zero_point_are_refused(output, words):
    with pytest.raises(ValueError, match=words):
        codes.limits_of(file(output).node())


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="activation must be one of NONE, .*Received: TANH"):
        codes.limits_of(file(Tensor("y", (4,), np.int8, 0.5), 4).node())


def test_float_tensors_are_refused_with_a_way_out():
    node = file(Tensor("y", (4,), np.float32)).node()
    with pytest.raises(ValueError, match="its output must be int8. .*float32.*Quantize the model"):
        codes.require_dtype(node, node.output(), ("int8",), "its output")


def test_scale_and_zero_point_are_what_codes_mean():
    node = file(Tensor("y", (4,), np.int8, 0.1, 3)).node()
    assert codes.meaning_of(node, node.output()) == (np.float32(0.1), 3)
    node = file(Tensor("y", (4,), np.int8)).node()
    with pytest.raises(ValueError, match="'y' must have one scale above 0. Received: None"):
        codes.meaning_of(node, node.output())


def test_a_factor_is_a_multiplier_and_a_shift():
    assert codes.factor(0.75).fields == {"multiplier": 3 << 29, "shift": 0}
