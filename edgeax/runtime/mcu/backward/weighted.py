"""What layers with weights have in common when they learn: pieces of weights, and their updates."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from edgeax.runtime.mcu.backward.tape import Backward, Part, Tape
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, conv2d, tiles
from edgeax.runtime.mcu.program import Array, Step, Struct

MOST_DEPTH = 32_000  # products of so many codes and the largest bias fit int32
_MOST_PRODUCT = 255 * 128  # of a code less the zero point and a weight
_ACCUMULATED_BITS = 8  # so many bits of terms fit beside gradients and codes, or weights


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """The numbers of a layer.

    Attributes:
        shape: Its shapes.
        weights: int8; the last axis is the one of which a part may be trained.
        bias: int32, one per output channel.
        factors: From sums to output codes.
        limits: Least and largest of the output's codes.
        depth: Products of a sum.
        terms: Products that a gradient by an input is the sum of, at most.
    """

    shape: conv2d.Shape
    weights: np.ndarray
    bias: np.ndarray
    factors: tiles.ScaledFactors
    limits: tuple[int, int]
    depth: int
    terms: int


@dataclasses.dataclass(frozen=True)
class Kernels:
    """C++ names of a kind of layers: of functions, of the types of their arguments, of a header."""

    forward: str
    gradient: str
    forward_args: str
    gradient_args: str
    update: str
    header: str


@dataclasses.dataclass(frozen=True)
class Moving:
    """What the kernel that moves weights takes.

    Attributes:
        arguments: Its arguments.
        kept: Number of the value that holds the layer's input until then.
        scratch_bytes: Bytes of its scratch.
    """

    arguments: Struct
    kept: int
    scratch_bytes: int = 0


def record(
    tape: Tape,
    node: Node,
    layer: Layer,
    kernels: Kernels,
    updating: Callable[[int], Moving],
) -> Backward:
    """Records a layer.

    Args:
        tape: What is recorded.
        node: The operator.
        layer: Its numbers.
        kernels: Who computes it.
        updating: Keeps what the update of so many columns of the last axis of its weights needs,
            and says what it takes.
    """
    _check(node, layer)
    part = tape.part(node) or Part(0.0, bias=False)
    channels = layer.weights.shape[-1]
    columns = part.columns(channels)
    first: int | Array
    rest: Array | None = None
    if columns == 0:
        first, held = Array("weights", layer.weights.reshape(-1)), channels
    else:
        content = Array("first_weights", layer.weights[..., :columns].reshape(-1))
        first, held = tape.trained(f"weights of {node.output().name}", content), columns
    if held < channels:
        rest = Array("rest", layer.weights[..., held:].reshape(-1))
    bias: int | Array = Array("bias", layer.bias)
    if part.bias:
        first_bias = Array("first_bias", layer.bias)
        bias = tape.trained(f"bias of {node.output().name}", first_bias)
    pieces = {"shape": layer.shape.struct(), "columns": held, "rest": rest}
    arguments = Struct(kernels.forward_args, {**pieces, **_output(node, layer)})
    reads = (node.inputs[0], first, bias)
    tape.run(
        node, [Step(node.label, kernels.forward, kernels.header, arguments, reads, node.outputs)]
    )
    has_activation = node.options.get("fused_activation_function", "NONE") != "NONE"
    masked = tape.mask(node, layer.limits) if has_activation else None
    moving = updating(columns) if isinstance(first, int) else None

    def backward(gradient: int) -> None:
        if masked is not None:
            gradient = masked(gradient)
        if tape.wants(node.inputs[0]):
            scaling = Struct(kernels.gradient_args, {**pieces, **_scaling(node, layer)})
            tape.give_sums(node, kernels.gradient, kernels.header, scaling, (gradient, first))
        if moving is not None and isinstance(first, int):
            step = Step(
                label=node.label,
                kernel=kernels.update,
                header=kernels.header,
                arguments=moving.arguments,
                reads=(gradient, moving.kept),
                writes=(first, tape.random),
                scratch_bytes=moving.scratch_bytes,
            )
            tape.backward.append(step)
        if isinstance(bias, int):
            tape.backward.append(_bias_update(tape, node, layer, gradient, bias))

    return backward


def keep_input(tape: Tape, node: Node, kept: int) -> int:
    """Returns the value that holds the first channels of an operator's input until its update."""
    shape = node.input(0).shape
    if kept == shape[-1]:
        return node.inputs[0]
    pixels = math.prod(shape[:-1])
    value = tape.word(f"kept of {node.input(0).name}", "int8", pixels * kept)
    fields = {"pixels": pixels, "channels": shape[-1], "kept": kept}
    arguments = Struct("KeepChannelsArgs", dict(fields))
    tape.keep(
        Step(node.label, "KeepChannels", "gradients.h", arguments, (node.inputs[0],), (value,))
    )
    return value


def pixel_shift(shape: conv2d.Shape) -> int:
    """Returns by how much gradients by outputs are shifted before they are summed over pixels."""
    return _spare_bits(shape.output_height * shape.output_width)


def _spare_bits(terms: int) -> int:
    return max((terms - 1).bit_length() - _ACCUMULATED_BITS, 0)


def _check(node: Node, layer: Layer) -> None:
    node.require(layer.shape.batches == 1, "a trained layer must have a batch of 1", layer.shape)
    node.require(
        layer.depth <= MOST_DEPTH,
        f"a trained layer's sums must have at most {MOST_DEPTH} products",
        layer.depth,
    )
    largest = int(np.abs(layer.bias.astype(np.int64)).max())
    most = 2**31 - 1 - layer.depth * _MOST_PRODUCT
    node.require(largest <= most, f"its bias must lie within {most}", largest)


def _output(node: Node, layer: Layer) -> dict[str, int | Struct]:
    factors = {
        "multiplier": Array("multipliers", layer.factors.multiplier),
        "shift": Array("shifts", layer.factors.shift),
    }
    return {
        "input_zero_point": codes.zero_point_of(node, node.input(0), "its input"),
        "output_zero_point": codes.zero_point_of(node, node.output(), "its output"),
        "clamp": codes.clamp(layer.limits),
        "factors": Struct("Factors", dict(factors)),
    }


def _scaling(node: Node, layer: Layer) -> dict[str, int | Array]:
    """Returns the scales of the weights as codes of 15 bits, and what shifts the products."""
    outputs = len(layer.bias)
    scales = np.broadcast_to(np.asarray(node.input(1).scale, np.float64), (outputs,))
    exponent = math.frexp(float(scales.max()))[1]
    spare = _spare_bits(layer.terms)
    scaled = np.round(np.ldexp(scales, 15 - exponent)).astype(np.uint16)
    return {
        "scale": Array("scale", scaled),
        "shift": 15 + spare,
        "exponent": exponent + spare,
    }


def _bias_update(tape: Tape, node: Node, layer: Layer, gradient: int, bias: int) -> Step:
    shape = layer.shape
    one = 1 / codes.scale_of(node, node.input(0), "its input")
    arguments = Struct(
        "BiasUpdateArgs",
        {
            "pixels": shape.output_height * shape.output_width,
            "outputs": shape.output_channels,
            "shift": pixel_shift(shape),
            "rate_bits": tape.rule.rate_bits,
            "least_sum": tape.least_error(node),
            "step": int(np.clip(round(one), 1, 255)),  # that of a weight of an input of 1.0
        },
    )
    return Step(
        node.label, "UpdateBias", "sign_update.h", arguments, (gradient,), (bias, tape.random)
    )
