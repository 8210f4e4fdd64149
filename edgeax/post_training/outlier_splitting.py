"""Outlier channel splitting: the largest weights halved, each read twice.

A few large weights make the steps of all others coarse. An input channel that is given twice can be
read through two halves: the network computes the same, and the range of the weights is smaller.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.duplicate_channels import DuplicateChannels
from edgeax.model.graph import Call, Graph, new_inputs, trace
from edgeax.model.placement import LINEAR
from edgeax.model.rewrite import check_model, check_plain, name_when_folded

_layers = keras.layers

_SPLIT = (_layers.Dense, _layers.Conv1D, _layers.Conv2D)

_MOST_ROUNDS = 60
"""Of finding the step: its error at least halves with each."""


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """A model whose outlier channels were split.

    Attributes:
        model: A plain functional model; before each layer that was widened lies a
            `DuplicateChannels` named `<layer>_duplicates`.
        skipped: One line for each layer with a kernel that was left as it was, and why.
    """

    model: keras.Model
    skipped: list[str]


@implements(
    "ZHD19",
    test="tests/post_training/test_outlier_splitting.py::test_zhd19_the_largest_weight_halves",
)
def split_outlier_channels(
    model: keras.Model, ratio: float = 0.02, bits: int | None = None, per_channel: bool = True
) -> Split:
    """Returns a copy of `model` in which the input channels with the largest weights are split.

    In each Conv1D, Conv2D and Dense, `ceil(ratio * channels)` times, the input channel with the
    largest |w| is duplicated and both get half of its weights; a half may be split again. The model
    computes the same, up to the order in which sums are taken. The layers of nested models become
    the copy's own, named by their paths. Depthwise, separable, transposed and grouped convolutions
    are left as they are, and layers that are called more than once.

    Args:
        model: Sequential or functional, nested ones included, not compressed.
        ratio: Share of input channels to split, above 0 up to 1; 0.01 to 0.05 in [ZHD19]. The
            kernels grow by it.
        bits: Where the kernels will be rounded to so many bits, 2 to 16, on a symmetric grid over
            their range: the two parts are then `w / 2 - step / 4` and `w / 2 + step / 4`. Rounded,
            they add up to `w` rounded; two equal halves may be off by a step. None: equal halves.
        per_channel: With `bits`: whether each output channel will have a step of its own.

    Raises:
        ValueError: The model has no graph or is compressed, or an argument is out of its range.

    Source: [ZHD19].

    Example: `edgeax.compress(split_outlier_channels(model).model, "static_wi4_ai8")`
    """
    _check(model, ratio, bits)
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    graph = trace(skeleton)
    reasons = {
        id(call.operation): _why_not(graph, call)
        for call in graph.calls
        if isinstance(call.operation, LINEAR)
    }

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        layer = call.operation
        layer.name = name_when_folded(graph, layer)
        if reasons.get(id(layer), "no kernel"):
            return layer(*args, **kwargs)
        kernel = np.asarray(layer.kernel)
        parents = outlier_channels(kernel, ratio)
        sources = list(range(kernel.shape[-2]))
        for parent in parents:
            sources.append(sources[parent])
        added = DuplicateChannels(
            sources[kernel.shape[-2] :], name=f"{layer.name}_duplicates", dtype=layer.dtype_policy
        )
        wide = fresh_copy(layer)
        wide.name = layer.name
        outputs = wide(added(args[0]), *args[1:], **kwargs)
        bias = [] if layer.bias is None else [np.asarray(layer.bias)]
        wide.set_weights([split_kernel(kernel, parents, bits, per_channel), *bias])
        return outputs

    inputs = new_inputs(skeleton)
    split = keras.Model(inputs, graph.rebuild(emit, inputs), name=model.name)
    return Split(split, [reason for reason in reasons.values() if reason])


def outlier_channels(kernel: np.ndarray, ratio: float) -> list[int]:
    """Returns the input channels to split, one after the other.

    Args:
        kernel: `(..., input channels, output channels)`, not all zero.
        ratio: Share of input channels, above 0 up to 1.

    Returns:
        Of each split the channel that it halves; the other half is appended behind all channels
        and may be split later.
    """
    peaks = list(np.abs(kernel).max(axis=(*range(kernel.ndim - 2), kernel.ndim - 1)))
    count = math.ceil(ratio * len(peaks) - 1e-9)  # 0.1 * 30 is above 3 in binary
    parents = []
    for _ in range(count):
        parent = int(np.argmax(peaks))
        peaks[parent] /= 2.0
        peaks.append(peaks[parent])
        parents.append(parent)
    return parents


def split_kernel(
    kernel: np.ndarray, parents: Sequence[int], bits: int | None = None, per_channel: bool = True
) -> np.ndarray:
    """Returns a kernel whose input channels are split.

    Args:
        kernel: float32 `(..., input channels, output channels)`.
        parents: Of each split the channel, as `outlier_channels` gives them.
        bits: As for `split_outlier_channels`.
        per_channel: As for `split_outlier_channels`.

    Returns:
        float32 `(..., input channels + splits, output channels)`.
    """
    if bits is None:
        return _parts(kernel, parents, np.float64(0.0))
    axes = tuple(range(kernel.ndim - 1)) if per_channel else None
    step = np.float64(0.0)
    for _ in range(_MOST_ROUNDS):  # The step depends on the range, which the step enlarges.
        widest = np.abs(_parts(kernel, parents, step)).max(axis=axes)
        step = widest.astype(np.float64) / (2 ** (bits - 1) - 1)
    return _parts(kernel, parents, step)


def _parts(kernel: np.ndarray, parents: Sequence[int], step: Any) -> np.ndarray:
    """Returns the kernel split into `w / 2 - step / 4` and what is missing to `w`."""
    channels = list(np.moveaxis(kernel, -2, 0))
    for parent in parents:
        whole = channels[parent]
        channels[parent] = (whole / 2.0 - step / 4.0).astype(np.float32)
        channels.append(whole - channels[parent])
    return np.stack(channels, axis=-2)


def _why_not(graph: Graph, call: Call) -> str:
    """Returns why the layer of a call is not split, `""` if it is."""
    layer, path = call.operation, graph.path(call.operation)
    kind = type(layer).__name__
    if type(layer) not in _SPLIT:
        return f"{path!r}: a {kind} is not split; Conv1D, Conv2D and Dense are."
    if len(graph.calls_of(layer)) > 1:
        return f"{path!r}: it is called more than once."
    if getattr(layer, "groups", 1) > 1:
        return f"{path!r}: its channels are in groups, which must stay equally large."
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"{path!r}: its channels are not last."
    if len(layer.weights) != 1 + (layer.bias is not None):
        return f"{path!r}: it has weights beside its kernel and bias."
    if not np.asarray(layer.kernel).any():
        return f"{path!r}: its kernel is zero."
    return ""


def _check(model: Any, ratio: Any, bits: Any) -> None:
    check_model(model)
    check_plain(model)
    if not 0.0 < ratio <= 1.0:
        raise ValueError(
            f"`ratio` must be above 0 and at most 1. Received: ratio={ratio}. Use 0.01 to 0.05."
        )
    if bits is not None and bits not in range(2, 17):
        raise ValueError(
            f"`bits` must be an integer from 2 to 16, or None. Received: bits={bits!r}. "
            "Give the width to which the kernels will be rounded."
        )
