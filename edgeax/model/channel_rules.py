"""How channels flow through a graph: which weights make, carry and read them, and where they end.

Each kind of layer with weights has one rule. Of everything that no rule knows the channels have to
stay, with that as the reason.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from edgeax.model.channel_labels import Labels
from edgeax.model.channel_moves import (
    given_tensors,
    has_channels_last,
    is_value_function,
    merges,
    move_of,
)
from edgeax.model.graph import Call, Graph

_layers = keras.layers


@dataclasses.dataclass(frozen=True, eq=False)
class WeightAxis:
    """An axis of a weight along which channels can go.

    Attributes:
        layer: The layer.
        weight: Index in the layer's `weights`.
        axis: The axis, from 0 up.
        labels: int64, one label for each position.
        role: `"makes"` if the channels come into being there, `"carries"` if the layer has values
            for each channel that it is given, `"reads"` if it sums over channels.
    """

    layer: Any
    weight: int
    axis: int
    labels: np.ndarray
    role: str

    @property
    def variable(self) -> Any:
        """The weight."""
        return self.layer.weights[self.weight]


_UNKNOWN = "is not known to keep channels apart"


class Flow:
    """The labels of all tensors of a graph and of all weights.

    Attributes:
        graph: The graph, of a model that will not be used.
        book: The labels.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.book = Labels()
        self._axes: dict[tuple[int, int, int], WeightAxis] = {}
        self._made: dict[int, np.ndarray] = {}
        self._of: dict[int, np.ndarray] = {}
        for tensor in keras.tree.flatten(graph.inputs):
            self._of[id(tensor)] = self.book.new(channels_of(tensor))
            self.book.fix(self._of[id(tensor)], "its channels are an input of the model.")
        for call in graph.calls:
            self._run(call)
        for tensor in keras.tree.flatten(graph.outputs):
            self.book.fix(self._of[id(tensor)], "its channels are an output of the model.")

    @property
    def axes(self) -> list[WeightAxis]:
        """The axes of weights along which channels can go, in the order in which layers run."""
        return list(self._axes.values())

    def labels_of(self, tensor: keras.KerasTensor) -> np.ndarray:
        """Returns the labels of the last axis of a tensor."""
        return self._of[id(tensor)]

    def name(self, layer: Any) -> str:
        """Returns how reasons call a layer."""
        return f"{self.graph.path(layer)!r} ({type(layer).__name__})"

    def make(self, layer: Any, count: int) -> np.ndarray:
        """Returns the labels of the channels that a layer makes, the same at each of its calls."""
        if id(layer) not in self._made:
            self._made[id(layer)] = self.book.new(count)
        return self._made[id(layer)]

    def note(self, layer: Any, weight: str | int, axis: int, labels: np.ndarray, role: str) -> None:
        """Notes which channels lie along the axis of a weight, if the layer has it."""
        names = [variable.name for variable in layer.weights]
        if isinstance(weight, str):
            if weight not in names:
                return
            weight = names.index(weight)
        axis %= len(layer.weights[weight].shape)
        key = (id(layer), weight, axis)
        if key in self._axes:
            self.book.tie(self._axes[key].labels, labels)
        else:
            self._axes[key] = WeightAxis(layer, weight, axis, labels, role)

    def _run(self, call: Call) -> None:
        tensors = given_tensors(call)
        given = [self._of[id(tensor)] for tensor in tensors]
        made = self._ruled(call, given)
        beside = [t for t in call.input_tensors if all(t is not tensor for tensor in tensors)]
        for tensor in beside:
            why = f"{self.name(call.operation)} takes them beside its input."
            self.book.fix(self._of[id(tensor)], why)
        for labels in given if isinstance(made, str) else ():
            self.book.fix(labels, f"{self.name(call.operation)} {made}.")
        for tensor in call.output_tensors:
            if isinstance(made, str):
                self._of[id(tensor)] = self.book.new(channels_of(tensor))
                self.book.fix(self._of[id(tensor)], f"{self.name(call.operation)} {made}.")
            else:
                self._of[id(tensor)] = made

    def _ruled(self, call: Call, given: list[np.ndarray]) -> np.ndarray | str:
        """Returns the labels of the outputs, or why nobody knows them, behind the layer's name."""
        layer = call.operation
        if type(layer) is _layers.TimeDistributed:  # it leaves the last axis alone
            layer = layer.layer
        rule, weights = _RULES.get(type(layer), (None, set()))
        if rule is not None and len(given) == 1:
            use = _Use(self, call.operation, layer, given[0], call)
            return use.trouble(weights) or rule(use)
        if not given or not all(labels.size for labels in given):
            return _UNKNOWN
        if merges(call):
            return self._merged(call, given)
        move = move_of(call)
        if move is None and type(layer) is _layers.Activation:
            return "applies a function that is not known to act on each channel alone"
        moved = move(call, given) if move is not None else _UNKNOWN
        if isinstance(moved, str):
            return moved
        if moved.ndim > 1:
            self.book.tie_rows(moved)
            moved = moved[0]
        if isinstance(call.operation, _layers.Reshape):  # its setting is one for all calls
            first = self._made.setdefault(id(call.operation), moved)
            if first.size == moved.size:
                self.book.tie(first, moved)
        return moved

    def _merged(self, call: Call, given: list[np.ndarray]) -> np.ndarray | str:
        width = channels_of(call.output_tensors[0])
        leaves = keras.tree.flatten((call.args, call.kwargs))
        constants = [leaf for leaf in leaves if not isinstance(leaf, keras.KerasTensor)]
        if any((np.shape(constant) or (1,))[-1] != 1 for constant in constants):
            return "has a constant for each channel"
        wide = [labels for labels in given if labels.size == width]
        for labels in given:
            if labels.size != width:
                self.book.fix(labels, f"{self.name(call.operation)} spreads it over all channels.")
        self.book.tie_rows(np.stack(wide))
        return wide[0]


def channels_of(tensor: keras.KerasTensor) -> int:
    """Returns the size of the last axis of a tensor, 0 if it has none or it may vary."""
    return (tensor.shape[-1] or 0) if len(tensor.shape) > 1 else 0


@dataclasses.dataclass(frozen=True, eq=False)
class _Use:
    """A call of a layer with weights, for its rule.

    Attributes:
        flow: Where it is noted which channels lie along which axis.
        owner: The layer in the graph.
        layer: The layer that has the settings: the owner, or what a TimeDistributed wraps.
        given: The labels of its input.
        call: The call.
    """

    flow: Flow
    owner: Any
    layer: Any
    given: np.ndarray
    call: Call

    @property
    def name(self) -> str:
        """How reasons call the layer."""
        return self.flow.name(self.owner)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights by their names."""
        return {variable.name: tuple(variable.shape) for variable in self.owner.weights}

    def trouble(self, weights: set[str]) -> str:
        """Returns what keeps the layer from being understood, `""` if nothing does.

        Args:
            weights: The names of all weights that the rule knows.
        """
        if not set(self.shapes) <= weights:
            return f"has weights that are not known: {sorted(set(self.shapes) - weights)}"
        return "" if has_channels_last(self.layer) else "has its channels not last"

    def reads(self, weight: str | int, axis: int, labels: np.ndarray) -> None:
        """Notes that a weight sums over channels."""
        self.flow.note(self.owner, weight, axis, labels, "reads")

    def carries(self, weight: str, axis: int, labels: np.ndarray) -> None:
        """Notes that a weight has values for each channel that is given."""
        self.flow.note(self.owner, weight, axis, labels, "carries")

    def makes(self, weight: str, axis: int, labels: np.ndarray) -> None:
        """Notes that channels come into being along the axis of a weight."""
        self.flow.note(self.owner, weight, axis, labels, "makes")

    def new(self, weight: str, axis: int) -> np.ndarray:
        """Returns the labels of the channels that the layer makes, as many as an axis is long."""
        return self.flow.make(self.owner, self.shapes[weight][axis])

    def activated(self, labels: np.ndarray) -> np.ndarray:
        """Returns the labels behind the layer's activation, which may mix them."""
        if not is_value_function(getattr(self.layer, "activation", None)):
            why = f"the activation of {self.name} is not known to act on each channel alone."
            self.flow.book.fix(labels, why)
        return labels


Rule = Callable[[_Use], np.ndarray | str]
"""Returns the labels of the output, or why nobody knows them, to stand behind the layer's name."""


def _kernel_rule(reads: int, makes: int) -> Rule:
    """Returns the rule of a layer with one kernel that sums over all channels."""

    def rule(use: _Use) -> np.ndarray | str:
        use.reads("kernel", reads, use.given)
        made = use.new("kernel", makes)
        use.makes("kernel", makes, made)
        use.makes("bias", 0, made)
        return use.activated(made)

    return rule


def _convolution(use: _Use) -> np.ndarray | str:
    groups = use.layer.groups
    if groups == 1:
        return _kernel_rule(reads=-2, makes=-1)(use)
    rows = use.given.reshape(groups, -1)
    filters = use.shapes["kernel"][-1]
    if rows.shape[1] == 1:  # each channel is convolved on its own
        made = np.repeat(use.given, filters // groups)
        use.carries("kernel", -1, made)
        use.carries("bias", 0, made)
        return use.activated(made)
    use.flow.book.tie_rows(rows)
    use.reads("kernel", -2, rows[0])
    made = use.new("kernel", -1)
    use.flow.book.tie_rows(made.reshape(groups, -1))
    use.makes("kernel", -1, made)
    use.makes("bias", 0, made)
    return use.activated(made)


def _depthwise(use: _Use) -> np.ndarray | str:
    made = np.repeat(use.given, use.layer.depth_multiplier)
    use.carries("kernel", -2, use.given)
    use.carries("bias", 0, made)
    return use.activated(made)


def _separable(use: _Use) -> np.ndarray | str:
    use.carries("depthwise_kernel", -2, use.given)
    use.reads("pointwise_kernel", -2, np.repeat(use.given, use.layer.depth_multiplier))
    made = use.new("pointwise_kernel", -1)
    use.makes("pointwise_kernel", -1, made)
    use.makes("bias", 0, made)
    return use.activated(made)


def _einsum(use: _Use) -> np.ndarray | str:
    equation = use.layer.equation.replace(" ", "")
    parts = re.fullmatch(r"((?:\.\.\.)?)(\w*)(\w),\3(\w)->\1\2\4", equation)
    if parts is None or parts[3] in parts[2] or parts[4] in parts[2] + parts[3]:
        return f"computes {equation}, which is no product of the last axis and a matrix"
    if use.layer.bias_axes not in (None, "", parts[4]):
        return "has a bias over further axes"
    return _kernel_rule(reads=0, makes=1)(use)


def _embedding(use: _Use) -> np.ndarray | str:
    use.flow.book.fix(use.given, f"{use.name} reads them as numbers of rows.")
    made = use.new("embeddings", 1)
    use.makes("embeddings", 1, made)
    return made


def _normalization(use: _Use) -> np.ndarray | str:
    if use.layer.axis not in (-1, len(use.call.output_tensors[0].shape) - 1):
        return "normalizes another axis than the last"
    for weight in use.shapes:
        use.carries(weight, 0, use.given)
    return use.given


def _prelu(use: _Use) -> np.ndarray | str:
    if use.shapes["alpha"][-1] == use.given.size:
        use.carries("alpha", -1, use.given)
    return use.given


def _recurrent(use: _Use) -> np.ndarray | str:
    use.reads("kernel", 0, use.given)
    made = use.new("recurrent_kernel", 0)
    gates = use.shapes["kernel"][1] // made.size
    use.makes("kernel", 1, np.tile(made, gates))
    use.reads("recurrent_kernel", 0, made)
    use.makes("recurrent_kernel", 1, np.tile(made, gates))
    use.makes("bias", -1, np.tile(made, gates))
    book = use.flow.book
    if use.layer.stateful or len(use.call.input_tensors) > 1:
        book.fix(made, f"the state of {use.name} is kept or given.")
    for activation in (use.layer.activation, getattr(use.layer, "recurrent_activation", None)):
        if not is_value_function(activation):
            book.fix(made, f"{use.name} has an activation not known to act on each value alone.")
    return made


def _bidirectional(use: _Use) -> np.ndarray | str:
    for index, variable in enumerate(use.owner.weights):
        if variable.name == "kernel":
            use.reads(index, 0, use.given)
    made = use.flow.make(use.owner, channels_of(use.call.output_tensors[0]))
    use.flow.book.fix(made, f"{use.name} has layers for two directions, whose units stay.")
    return made


_KERNEL = {"kernel", "bias"}

_SEPARABLE = {"depthwise_kernel", "pointwise_kernel", "bias"}

_RECURRENT = {"kernel", "recurrent_kernel", "bias"}

_RULES: dict[type, tuple[Rule, set[str]]] = {
    _layers.Dense: (_kernel_rule(reads=0, makes=1), _KERNEL),
    _layers.EinsumDense: (_einsum, _KERNEL),
    _layers.Embedding: (_embedding, {"embeddings"}),
    **dict.fromkeys((_layers.Conv1D, _layers.Conv2D, _layers.Conv3D), (_convolution, _KERNEL)),
    **dict.fromkeys((_layers.DepthwiseConv1D, _layers.DepthwiseConv2D), (_depthwise, _KERNEL)),
    **dict.fromkeys((_layers.SeparableConv1D, _layers.SeparableConv2D), (_separable, _SEPARABLE)),
    **dict.fromkeys(
        (_layers.Conv1DTranspose, _layers.Conv2DTranspose, _layers.Conv3DTranspose),
        (_kernel_rule(reads=-1, makes=-2), _KERNEL),
    ),
    _layers.BatchNormalization: (
        _normalization,
        {"gamma", "beta", "moving_mean", "moving_variance"},
    ),
    _layers.PReLU: (_prelu, {"alpha"}),
    **dict.fromkeys((_layers.LSTM, _layers.GRU, _layers.SimpleRNN), (_recurrent, _RECURRENT)),
    _layers.Bidirectional: (_bidirectional, _RECURRENT),
}
"""Of each kind of layer its rule and the names of all weights that the rule knows."""
