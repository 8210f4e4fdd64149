"""Pairs of layers that can trade a factor per channel: one divides by it, the next multiplies.

What lies between them must act on each channel alone and let a positive factor through, as ReLU and
pooling do.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from edgeax.model.ends import last_layers
from edgeax.model.graph import Call, Graph
from edgeax.model.layout import layout_of
from edgeax.model.placement import LINEAR, MOVING, Moving, activation_name

_layers = keras.layers

_KNOWN = (
    _layers.Dense,
    _layers.Conv1D,
    _layers.Conv2D,
    _layers.DepthwiseConv1D,
    _layers.DepthwiseConv2D,
    _layers.SeparableConv1D,
    _layers.SeparableConv2D,
    _layers.Conv1DTranspose,
    _layers.Conv2DTranspose,
)
"""Layers whose kernels `Kernel` can read; a subclass may compute anything."""

_WEIGHTS = {"kernel", "depthwise_kernel", "pointwise_kernel", "bias"}

_RESHAPING = (_layers.Flatten, _layers.Reshape)

_ACROSS = (Moving, _layers.InputLayer, _layers.Permute, _layers.Masking, *_RESHAPING)
"""Layers that move values from one channel to another, or ask what values are."""

_PER_CHANNEL = (
    *(kind for kind in MOVING if kind not in _ACROSS),
    _layers.GlobalAveragePooling1D,
    _layers.GlobalAveragePooling2D,
    _layers.GlobalAveragePooling3D,
    _layers.LeakyReLU,
    _layers.PReLU,
)
"""Layers through which a positive factor per channel passes at inference, channels last."""

_HOMOGENEOUS = ("linear", "relu", "leaky_relu")
"""Activations of Keras with f(s x) = s f(x) for s > 0."""

_OPERATIONS = ("Relu", "LeakyRelu")
"""The same as operations of `keras.ops`."""


class Kernel:
    """A layer's kernel in float64, seen by the channels that it reads and those that it makes.

    Attributes:
        layer: The layer.
        path: Its path in the model.
        taps: float64 `(positions, groups, inputs, outputs)`: input channel `group * inputs + i`,
            output channel `group * outputs + o`.
    """

    def __init__(self, layer: Any, path: str, name: str) -> None:
        self.layer = layer
        self.path = path
        self._variable = next(v for v in layer.weights if v.name == name)
        shape = self._variable.shape
        self._layout = layout_of(layer, name, shape)
        canonical = self._layout.to_canonical(np.asarray(self._variable, np.float64))
        if self._layout.input_axes == ():  # depthwise: each input channel is a group
            self.taps = canonical.reshape(-1, shape[-2], 1, shape[-1])
        else:
            groups = getattr(layer, "groups", 1)
            inputs, outputs = canonical.shape[-2:]
            apart = canonical.reshape(-1, inputs, groups, outputs // groups)
            self.taps = np.array(apart.transpose(0, 2, 1, 3))

    @property
    def made(self) -> np.ndarray:
        """float64 `(output channels,)`: max|w| of each channel that it makes."""
        return np.abs(self.taps).max(axis=(0, 2)).ravel()

    @property
    def read(self) -> np.ndarray:
        """float64 `(input channels,)`: max|w| of each channel that it reads."""
        return np.abs(self.taps).max(axis=(0, 3)).ravel()

    def multiply_made(self, factors: np.ndarray) -> None:
        """Multiplies by one factor for each output channel."""
        _, groups, _, outputs = self.taps.shape
        self.taps *= factors.reshape(1, groups, 1, outputs)

    def multiply_read(self, factors: np.ndarray) -> None:
        """Multiplies by one factor for each input channel."""
        _, groups, inputs, _ = self.taps.shape
        self.taps *= factors.reshape(1, groups, inputs, 1)

    def response(self, values: np.ndarray) -> np.ndarray:
        """Returns float64 `(output channels,)`: what it makes of one value per input channel that
        is the same at all positions.
        """
        _, groups, inputs, _ = self.taps.shape
        total = self.taps.sum(axis=0)
        return (total * values.reshape(groups, inputs, 1)).sum(axis=1).ravel()

    def write(self) -> None:
        """Gives the layer the kernel as it stands in `taps`."""
        canonical = self.taps.transpose(0, 2, 1, 3).reshape(self._layout.canonical_shape)
        self._variable.assign(self._layout.from_canonical(canonical).astype(np.float32))


@dataclasses.dataclass(eq=False)
class Pair:
    """Two kernels, the second of which reads what the first makes.

    Attributes:
        first: Makes the channels. Of a separable convolution it is the last kernel, or the first
            one, where `second` is its last.
        second: Reads them; where a flattening lies between, each of them several times.
        between: What lies between, in order.
        moved: float64 `(channels,)`: what `first` was divided by so far.
    """

    first: Kernel
    second: Kernel
    between: tuple[Call, ...] = ()

    def __post_init__(self) -> None:
        self.moved = np.ones(self.first.made.size)

    def __str__(self) -> str:
        if self.is_inside:
            return f"{self.first.path!r} inside"
        return f"{self.first.path!r} -> {self.second.path!r}"

    @property
    def is_inside(self) -> bool:
        """Whether both are kernels of one separable convolution."""
        return self.first.layer is self.second.layer

    @property
    def normalizations(self) -> list[keras.layers.BatchNormalization]:
        """The batch normalizations between."""
        found = (call.operation for call in self.between)
        return [layer for layer in found if isinstance(layer, _layers.BatchNormalization)]

    @property
    def read(self) -> np.ndarray:
        """float64 `(channels,)`: max|w| of `second` for each channel of `first`."""
        return self.second.read.reshape(-1, self.moved.size).max(axis=0)

    def repeated(self, values: np.ndarray) -> np.ndarray:
        """Returns values for the channels of `first` as values for those that `second` reads."""
        return np.tile(values, self.second.read.size // values.size)

    def move(self, factors: np.ndarray) -> None:
        """Divides `first` by positive factors `(channels,)` and multiplies `second` by them."""
        self.first.multiply_made(1.0 / factors)
        self.second.multiply_read(self.repeated(factors))
        self.moved *= factors


def find_pairs(graph: Graph) -> tuple[list[Pair], list[str]]:
    """Returns the pairs of a traced model in order, and one line for each layer that has none.

    Layers behind which no other with a kernel comes are in no line.
    """
    kernels: dict[tuple[int, str], Kernel] = {}
    pairs, skipped = [], []

    def kernel(layer: Any, place: int) -> Kernel:
        name = [v.name for v in layer.weights if v.name != "bias"][place]
        key = (id(layer), name)
        if key not in kernels:
            kernels[key] = Kernel(layer, graph.path(layer), name)
        return kernels[key]

    linear = [call for call in graph.calls if isinstance(call.operation, LINEAR)]
    last = last_layers(graph, lambda call: isinstance(call.operation, LINEAR))
    for layer in {id(call.operation): call.operation for call in linear}.values():
        call = graph.calls_of(layer)[0]
        separable = isinstance(layer, (_layers.SeparableConv1D, _layers.SeparableConv2D))
        if separable and not _why_unfit(graph, call):
            pairs.append(Pair(kernel(layer, 0), kernel(layer, -1)))
        if id(layer) in last:
            continue
        found = _follow(graph, call)
        if isinstance(found, str):
            skipped.append(found)
        else:
            *between, end = found
            pairs.append(Pair(kernel(layer, -1), kernel(end.operation, 0), tuple(between)))
    return pairs, skipped


def write(pairs: Iterable[Pair]) -> None:
    """Gives the layers of all pairs their kernels, and what goes with them: a bias, and the mean
    and beta of a batch normalization between, which are on the scale of the channels.
    """
    for pair in pairs:
        pair.first.write()
        pair.second.write()
        along = [] if pair.is_inside else [getattr(pair.first.layer, "bias", None)]
        for normalization in pair.normalizations:
            along += [normalization.moving_mean, normalization.beta]
        for variable in along:
            if variable is not None:
                repeats = variable.shape[0] // pair.moved.size
                variable.assign(np.asarray(variable) / np.tile(pair.moved, repeats))


def _follow(graph: Graph, call: Call) -> list[Call] | str:
    """Returns the calls from behind `call` to the next one with a kernel, or why there is none."""
    first = graph.path(call.operation)
    why = _why_unfit(graph, call)
    if not why and activation_name(call.operation) not in _HOMOGENEOUS:
        why = _not_homogeneous(first, activation_name(call.operation))
    if why:
        return f"{first!r}: {why}"
    channels = call.output_tensors[0].shape[-1]
    way: list[Call] = []
    while True:
        at = way[-1] if way else call
        after = graph.only_consumer(at)
        if after is None:
            return f"{first!r}: {_why_open(graph, at)}"
        way.append(after)
        if isinstance(after.operation, LINEAR):
            why = _why_unfit(graph, after)
            return f"{first!r} -> {graph.path(after.operation)!r}: {why}" if why else way
        why = _why_stopped(graph, after, channels)
        if why:
            return f"{first!r}: {why}"


def _why_unfit(graph: Graph, call: Call) -> str:
    """Returns why the layer of a call can take part in no pair, `""` if it can."""
    layer, path = call.operation, graph.path(call.operation)
    if type(layer) not in _KNOWN:
        return f"{path!r} is of type {type(layer).__name__}, whose channels are not known."
    if len(graph.calls_of(layer)) > 1:
        return f"{path!r} is called more than once."
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"the channels of {path!r} are not last."
    if not {v.name for v in layer.weights} <= _WEIGHTS:
        return f"{path!r} has weights beside its kernel and bias."
    return ""


def _why_open(graph: Graph, call: Call) -> str:
    path = graph.path(call.operation)
    if graph.is_output(call):
        return f"the result of {path!r} is an output of the model."
    users = [graph.path(c.operation) for t in call.output_tensors for c in graph.consumers(t)]
    return f"the result of {path!r} is used more than once, by {users}."


def _why_stopped(graph: Graph, call: Call, channels: int) -> str:
    """Returns why no factor per channel passes through a call, `""` if it does."""
    layer, path = call.operation, graph.path(call.operation)
    kind = type(layer)
    if len(call.input_tensors) != 1:
        return f"{path!r} ({kind.__name__}) has several inputs, which would need equal factors."
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"the channels of {path!r} are not last."
    if kind in _PER_CHANNEL:
        return ""
    if kind in _RESHAPING:
        width = call.output_tensors[0].shape[-1]
        fits = width is not None and width % channels == 0
        return "" if fits else f"{path!r} ({kind.__name__}) takes the channels apart."
    if kind is _layers.BatchNormalization:
        if len(graph.calls_of(layer)) > 1:
            return f"{path!r} is called more than once."
        is_last = layer.axis in (-1, len(call.output_tensors[0].shape) - 1)
        return "" if is_last else f"{path!r} normalizes another axis than the last."
    if kind is _layers.ReLU:
        bounded = layer.max_value is not None or layer.threshold
        return _not_homogeneous(path, activation_name(layer)) if bounded else ""
    if kind in (_layers.Activation, _layers.Softmax):
        name = activation_name(layer)
        return "" if name in _HOMOGENEOUS else _not_homogeneous(path, name)
    if kind.__name__ in _OPERATIONS and kind.__module__.startswith("keras."):
        return ""
    return f"{path!r} ({kind.__name__}) is not known to let a factor per channel through."


def _not_homogeneous(path: str, name: str) -> str:
    more = " Replace it by ReLU." if name == "relu6" else ""
    name = "bounded or shifted ReLU" if name == "leaky_relu" else name
    return f"the activation of {path!r}, {name}, does not let a factor per channel through.{more}"
