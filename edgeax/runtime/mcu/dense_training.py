"""The numbers of a dense layer that a generated program trains, from the file's last layer."""

import dataclasses
import zlib

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, products
from edgeax.runtime.mcu.program import Array, Struct

MOST_DEPTH = 32_000  # products of so many codes and the largest bias fit int32
MOST_OUTPUTS = 4096
MOST_BIAS = 2**30
ONE = 2**15  # of probabilities
_LOSS_ONE = 2**16
_MOST_SCALE = 100.0  # of scores: 255 steps of them fit int32 as a loss


@dataclasses.dataclass(frozen=True)
class Rule:
    """How weights move; the meaning of all stands in tflite_kernels/micro/dense_training.h.

    Attributes:
        rate_bits: A weight moves in one of `2**rate_bits` cases, in `[0, 16]`.
        dead_zone: 256ths of the largest gradient below which nothing moves, in `[0, 256]`.
        least_error: The least error of an output whose weights move, in units of 2**-15.
        seed: First state of the random numbers, above 0.
    """

    rate_bits: int
    dead_zone: int
    least_error: int
    seed: int


@dataclasses.dataclass(frozen=True, eq=False)
class DenseTraining:
    """A dense layer before its first step.

    Attributes:
        label: Its place in the file.
        weights: int8, `(outputs, depth)`.
        bias: int32, `(outputs,)`.
        multiplier: int32, `(outputs,)`, with `shift` the factors from sums to codes.
        shift: int8, `(outputs,)`.
        input_zero_point: The code of 0.0 of the input.
        output_zero_point: The code of 0.0 of the scores.
        output_scale: Step of the scores.
        bias_step: What a weight's step is for the bias: that of an input of 1.0.
        exponentials: uint16, `(256,)`: `exp(-difference of codes)` in units of 2**-15.
        loss_step: A difference of one code in units of 2**-16.
        rule: How weights move.
    """

    label: str
    weights: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    input_zero_point: int
    output_zero_point: int
    output_scale: float
    bias_step: int
    exponentials: np.ndarray
    loss_step: int
    rule: Rule

    @property
    def state_bytes(self) -> int:
        """RAM of the weights, the bias, errors and scores of all outputs, and the random state."""
        outputs = len(self.bias)
        return self.weights.size + 4 * outputs + 4 * outputs + outputs + 4

    @property
    def saved_bytes(self) -> int:
        """Bytes that hold what was learnt: a checksum, the bias and the weights."""
        return 4 + 4 * len(self.bias) + self.weights.size

    @property
    def mark(self) -> int:
        """What the checksum of saved bytes starts from, so that those of other layers fail it."""
        content = [repr(self.weights.shape).encode(), self.weights.tobytes(), self.bias.tobytes()]
        return zlib.crc32(b"".join(content))

    def struct(self) -> Struct:
        """Returns what C++ calls DenseTrainingArgs."""
        outputs, depth = self.weights.shape
        factors = {
            "multiplier": Array("multipliers", self.multiplier),
            "shift": Array("shifts", self.shift),
        }
        return Struct(
            "DenseTrainingArgs",
            {
                "depth": depth,
                "outputs": outputs,
                "input_zero_point": self.input_zero_point,
                "output_zero_point": self.output_zero_point,
                "factors": Struct("Factors", factors),
                "bias_step": self.bias_step,
                "least_error": self.rule.least_error,
                "dead_zone": self.rule.dead_zone,
                "rate_bits": self.rule.rate_bits,
                "exponentials": Array("exponentials", self.exponentials),
                "loss_step": self.loss_step,
            },
        )


def read_dense(node: Node, rule: Rule) -> DenseTraining:
    """Returns the numbers of a FULLY_CONNECTED of one row of int8 codes, all checked.

    Raises:
        ValueError: It has another form; says which, and the layer's place.
    """
    codes.require_dtype(node, node.input(0), ("int8",), "its input")
    activation = node.options.get("fused_activation_function", "NONE")
    node.require(activation == "NONE", "a trained last layer must have no activation", activation)
    found = products.read_products(node, (0, 1, 2))
    node.require(found.weights.ndim == 2, "its weights must have 2 axes", f"{found.weights.shape}")
    outputs, depth = found.weights.shape
    node.require(
        node.input(0).size_bytes == depth and node.output().size_bytes == outputs,
        "a trained layer must have a batch of 1",
        f"{node.input(0).shape} and {node.output().shape}",
    )
    node.require(
        depth <= MOST_DEPTH and 2 <= outputs <= MOST_OUTPUTS,
        f"a trained layer must have 2 to {MOST_OUTPUTS} outputs and at most {MOST_DEPTH} inputs",
        f"{outputs} and {depth}",
    )
    largest = int(np.abs(found.bias.astype(np.int64)).max())
    node.require(largest <= MOST_BIAS, f"its bias must lie within {MOST_BIAS}", largest)
    scale = codes.scale_of(node, node.output(), "its output")
    node.require(scale <= _MOST_SCALE, f"its scores must have a scale up to {_MOST_SCALE}", scale)
    one = 1 / codes.scale_of(node, node.input(0), "its input")
    return DenseTraining(
        label=node.label,
        weights=found.weights,
        bias=found.bias,
        multiplier=found.factors.multiplier,
        shift=found.factors.shift,
        input_zero_point=found.input_zero_point,
        output_zero_point=found.output_zero_point,
        output_scale=scale,
        bias_step=int(np.clip(round(one), 1, 255)),
        exponentials=np.round(np.exp(-scale * np.arange(256)) * ONE).astype(np.uint16),
        loss_step=max(round(scale * _LOSS_ONE), 1),
        rule=rule,
    )
