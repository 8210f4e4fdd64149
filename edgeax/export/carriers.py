"""Carriers: which of the converter's operators hold which kernel, in which integer codes.

An operator is recognized by its weights: whatever the converter made of a layer's name, the kernel
it holds is the kernel that was baked, up to half a step.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from edgeax.export.frozen import FrozenWeight
from edgeax.formats import Codebook, EncodedTensor, Float32, GroupedInteger
from edgeax.formats.flatbuffer import Operator, Subgraph, Tensor
from edgeax.formats.integer_form import IntegerForm
from edgeax.formats.vector_rows import VectorCodes

# Biases up to here leave room for the products in an int32 sum.
_MOST_BIAS = 2**30

_ACTIVATIONS = ("int8", "int16")

# Steps by which the converter's codes may differ from a kernel, of its own steps and, where it got
# the values that the kernel's integers stand for, of theirs too.
_MOST_AWAY = 0.501

FILTER_OPERATORS = {
    "CONV_2D": (0, 2),
    "DEPTHWISE_CONV_2D": (0, 2),
    "FULLY_CONNECTED": (0, 2),
    "TRANSPOSE_CONV": (2, 3),
}
"""Operators with a kernel at input 1, and where their activations and their bias stand."""


@dataclasses.dataclass(frozen=True)
class Codes:
    """A kernel in integer codes: `value = scale * code`, output channels last.

    Attributes:
        codes: int8, canonical layout.
        scale: float32 `(channels,)`; negative where a folded gain is.
        vectors: Codes of which the channels share sub-vectors; None if training shared none.
        groups: The format of training if codes of a channel beside each other share a step there.
    """

    codes: np.ndarray
    scale: np.ndarray
    vectors: VectorCodes | None = None
    groups: GroupedInteger | None = None

    @property
    def is_live(self) -> np.ndarray:
        """Which channels are not all zeros, bool `(channels,)`."""
        return np.any(self.codes.reshape(-1, self.scale.size), axis=0)

    @property
    def depth(self) -> int:
        """Codes of one channel: the products that its sum has, but in a depthwise layer."""
        return self.codes.size // self.scale.size


@dataclasses.dataclass(frozen=True)
class Carrier:
    """An operator that holds a kernel, as the converter made it.

    Attributes:
        operator: The operator.
        input_scale: Scale of its input.
        scale: float32 `(channels,)`, the converter's scales of the kernel.
        bias: float64 `(channels,)` in real values, or None.
        is_wide: Whether its activations have 16 bits.
        shift: What the bias lacks; see `FrozenWeight`.
    """

    operator: Operator
    input_scale: float
    scale: np.ndarray
    bias: np.ndarray | None
    is_wide: bool = False
    shift: float = 0.0

    def bias_codes(self, scale: np.ndarray) -> np.ndarray:
        """Returns the bias in steps of input scale times `scale`, zeros where there is none.

        They are int32, into which `settled` has seen to it that they fit, or int64 beside 16-bit
        activations.
        """
        bias = np.zeros(scale.size) if self.bias is None else self.bias
        codes = np.rint(bias / (self.input_scale * scale.astype(np.float64)))
        return codes.astype(np.int64 if self.is_wide else np.int32)


def carriers_of(graph: Subgraph, weights: Sequence[FrozenWeight]) -> list[list[Carrier]]:
    """Returns the operators that hold each kernel; of equal kernels, each gets its own."""
    free = [operator for operator in graph.operators if operator.name in FILTER_OPERATORS]
    found = []
    for weight in weights:
        values = weight.encoded.decode()
        off = (
            0.0
            if _is_exact(weight.encoded)
            else _MOST_AWAY * np.abs(weight.encoded.params["scale"])
        )
        holders = [operator for operator in free if _holds(graph, operator, values, off)]
        holders = holders[: weight.uses]
        free = [operator for operator in free if operator not in holders]
        found.append([_carrier(graph, operator, weight) for operator in holders])
    return found


def integer_codes(encoded: EncodedTensor) -> Codes:
    """Returns the integer codes of a kernel on a symmetric grid, or of its codebook's entries."""
    scale = np.broadcast_to(encoded.params["scale"].astype(np.float32), encoded.shape[-1:])
    codes = encoded.codes
    if isinstance(encoded.format, Codebook):
        codes = encoded.params["codebook"][codes]
    if encoded.mask is not None:
        codes = codes * encoded.mask
    if not isinstance(encoded, IntegerForm):
        return Codes(codes.astype(np.int8), scale)
    groups = encoded.trained if isinstance(encoded.trained, GroupedInteger) else None
    return Codes(codes.astype(np.int8), scale, encoded.vectors, groups)


def settled(codes: Codes, carrier: Carrier) -> Codes:
    """Returns codes whose scales can carry the bias in int32.

    A channel of zeros, or whose gain went to zero in training, is nothing but its bias: it keeps
    the scale that the converter chose for that.
    """
    bias = 0.0 if carrier.bias is None else np.abs(carrier.bias)
    most = _MOST_BIAS * carrier.input_scale * np.abs(codes.scale.astype(np.float64))
    constant = ~codes.is_live | (codes.scale == 0.0) | ((bias > most) & (not carrier.is_wide))
    return dataclasses.replace(
        codes,
        codes=np.where(constant, np.int8(0), codes.codes),
        scale=np.where(constant, carrier.scale, codes.scale),
    )


def to_file_layout(operator: str, codes: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Returns a kernel in canonical layout as the operator wants it: output channels first, or last
    for a depthwise convolution.
    """
    ordered = codes if operator == "DEPTHWISE_CONV_2D" else np.moveaxis(codes, -1, 0)
    return np.ascontiguousarray(ordered.reshape(tuple(shape)))


def from_file_layout(operator: str, kernel: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Undoes `to_file_layout`: `shape` is canonical."""
    if operator == "DEPTHWISE_CONV_2D":
        return kernel.reshape(tuple(shape))
    return np.moveaxis(kernel.reshape(shape[-1], *shape[:-1]), 0, -1)


def scale_of(tensor: Tensor) -> np.ndarray:
    """Returns the scales of a tensor that must be quantized, being beside an int8 kernel."""
    scale = tensor.scale
    if scale is None:
        raise ValueError(
            f"`model` must have a scale at {tensor.name!r}, beside an int8 kernel. Received: none. "
            "Report this model: the converter made an operator that edgeax does not know."
        )
    return scale


def _is_exact(encoded: EncodedTensor) -> bool:
    if not isinstance(encoded, IntegerForm) or isinstance(encoded.trained, Float32):
        return True  # what was rounded after training is rounded in the model that was converted
    return math.isinf(encoded.snr_db)


def _holds(
    graph: Subgraph, operator: Operator, values: np.ndarray, off: float | np.ndarray
) -> bool:
    """Returns whether an operator holds a kernel, each value as rounded from one at most `off`."""
    source, _ = FILTER_OPERATORS[operator.name]
    kernel = graph.tensors[operator.inputs[1]]
    scale, codes = kernel.scale, kernel.data
    if kernel.dtype != "int8" or graph.tensors[operator.inputs[source]].dtype not in _ACTIVATIONS:
        return False
    if scale is None or codes is None:
        return False
    if codes.size != values.size or scale.size not in (1, values.shape[-1]):
        return False
    converted = from_file_layout(operator.name, codes, values.shape) * scale
    return bool(np.all(np.abs(converted - values) <= _MOST_AWAY * scale + off + 1e-12))


def _carrier(graph: Subgraph, operator: Operator, weight: FrozenWeight) -> Carrier:
    channels = weight.encoded.shape[-1:]
    scale = np.broadcast_to(scale_of(graph.tensors[operator.inputs[1]]), channels)
    source, place = FILTER_OPERATORS[operator.name]
    input_scale = float(scale_of(graph.tensors[operator.inputs[source]])[0])
    is_wide = graph.tensors[operator.inputs[source]].dtype == "int16"
    index = operator.inputs[place] if len(operator.inputs) > place else -1
    stored = graph.tensors[index].data if index >= 0 else None
    if stored is None:
        return Carrier(operator, input_scale, scale, None, is_wide, weight.shift)
    step = input_scale * scale.astype(np.float64)
    # Where all biases are equal, the converter rounds them by the first channel's step.
    equal = stored.size > 1 and bool(np.all(stored == stored.flat[0]))
    bias = stored * (step[0] if equal else step)
    trained = getattr(weight.layer, "bias", None)
    if trained is not None and math.prod(trained.shape) == bias.size:
        # The converter has rounded it: take what was trained where both are the same.
        exact = np.asarray(trained, np.float64).ravel()
        same = np.abs(exact - bias) <= 0.501 * step + 1e-6 * np.abs(exact)
        bias = np.where(same, exact, bias)
    return Carrier(operator, input_scale, scale, bias, is_wide, weight.shift)
