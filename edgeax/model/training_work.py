"""What a training step computes and moves, layer by layer: three products and an update."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import keras

from edgeax.formats.energy import Operand, Product, Width, width_of
from edgeax.model.graph import Call, Graph
from edgeax.model.macs import macs_of_call
from edgeax.model.placement import plain
from edgeax.model.summary import plain_graph
from edgeax.model.training_formats import Format, TrainingFormats, count_of_choices, formats_of
from edgeax.model.wrapper import has_kernel, slot_of
from edgeax.transforms.base import now

# Entries of the scratch pads of one of Eyeriss's processing elements [CES16].
_INPUTS, _WEIGHTS, _SUMS = 12, 224, 24


@dataclasses.dataclass(frozen=True)
class LayerWork:
    """What a training step does for one layer.

    Attributes:
        path: Where the layer stands.
        kind: Name of its class.
        block: Path of the selective block that it stands in, or None.
        forward: The product of inputs and weights, of each call.
        input_gradient: That of the output's gradient and weights; none where no layer before it is
            trained.
        weight_gradient: That of inputs and the output's gradient; none where it is frozen.
        predicted: The same from the most significant bits, one for each of `weight_gradient`.
        trained: How many numbers the optimizer moves.
        update: Width of these.
        choices: The same in each of the formats that a gate chooses from; none where none chooses.
        chosen: How large a share of the last batch had each of `choices`; none before training.
    """

    path: str
    kind: str
    block: str | None
    forward: tuple[Product, ...]
    input_gradient: tuple[Product, ...]
    weight_gradient: tuple[Product, ...]
    predicted: tuple[Product, ...]
    trained: int
    update: Width
    choices: tuple["LayerWork", ...] = ()
    chosen: tuple[float, ...] = ()


def training_work(
    model: keras.Model, batch_size: int = 1, formats: TrainingFormats | None = None
) -> list[LayerWork]:
    """Returns the work of every layer with weights, in the order of the graph.

    Args:
        model: Plain or compressed, nested models and selective blocks included.
        batch_size: Samples in a step, at least 1.
        formats: Of all layers; None: those that each layer has, float32 where it says nothing.

    Raises:
        ValueError: `batch_size` is below 1, or the model has no weights yet.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}.")
    return list(_Counter(int(batch_size), formats).layers(model, "", None, False))


@dataclasses.dataclass(frozen=True)
class _Counter:
    batch_size: int
    formats: TrainingFormats | None

    def layers(
        self,
        model: keras.Model,
        prefix: str,
        block: str | None,
        moved: bool,
        chosen: tuple[float, ...] = (),
    ) -> Iterator[LayerWork]:
        """Yields the work of a model's layers.

        Args:
            model: The model, or the inner one of a block.
            prefix: Of their paths.
            block: Path of the block.
            moved: Whether the inputs need a gradient.
            chosen: What the gate of the block has chosen last; see `LayerWork`.
        """
        graph, originals = plain_graph(model)
        needing = {id(t) for t in keras.tree.flatten(graph.inputs)} if moved else set()
        calls: dict[int, list[tuple[Call, bool]]] = {}
        for call in graph.calls:
            needs = any(id(tensor) in needing for tensor in call.input_tensors)
            calls.setdefault(id(call.operation), []).append((call, needs))
            if needs or _trained(originals.get(id(call.operation))):
                needing |= {id(tensor) for tensor in call.output_tensors}
        for uses in calls.values():
            copy = uses[0][0].operation
            layer = originals.get(id(copy))
            if layer is None:
                continue
            path = prefix + graph.path(copy)
            inner = getattr(layer, "block", None)
            if isinstance(inner, keras.Model):
                yield from self.layers(inner, f"{path}/", path, uses[0][1], _chosen_in(layer))
            elif layer.trainable_variables or has_kernel(layer):
                work = self._work(path, layer, uses, (graph, originals), block)
                yield dataclasses.replace(work, chosen=chosen if work.choices else ())

    def _work(
        self,
        path: str,
        layer: keras.layers.Layer,
        calls: list[tuple[Call, bool]],
        where: tuple[Graph, dict[int, keras.layers.Layer]],
        block: str | None,
    ) -> LayerWork:
        """Returns the work of a layer, with that of each choice where a gate chooses formats."""
        call = calls[0][0]
        work = self._layer(path, layer, calls, self.formats or formats_of(*where, call), block)
        count = count_of_choices(layer) if self.formats is None else None
        choices = tuple(
            self._layer(path, layer, calls, formats_of(*where, call, choice), block)
            for choice in range(count or 0)
        )
        return dataclasses.replace(work, choices=choices)

    def _layer(
        self,
        path: str,
        layer: keras.layers.Layer,
        calls: list[tuple[Call, bool]],
        formats: TrainingFormats,
        block: str | None,
    ) -> LayerWork:
        products = [
            (_Tensors(call, self.batch_size), needs)
            for call, needs in calls
            if macs_of_call(call.operation, call)
        ]
        trained = sum(math.prod(v.shape) for v in layer.trainable_variables)
        learns = any(slot_of(v.name) == "kernel" for v in layer.trainable_variables)
        predicted = formats.predicted
        value, error = predicted or (formats.activation, formats.gradient)
        most = dataclasses.replace(formats, activation=value, gradient=error)
        return LayerWork(
            path=path,
            kind=type(plain(layer)).__name__,
            block=block,
            forward=tuple(tensors.forward(formats) for tensors, _ in products),
            input_gradient=tuple(t.input_gradient(formats) for t, needs in products if needs),
            weight_gradient=tuple(
                t.weight_gradient(formats, predicted is not None) for t, _ in products if learns
            ),
            predicted=tuple(t.weight_gradient(most, signs=True) for t, _ in products if learns)
            if predicted is not None
            else (),
            trained=trained,
            update=width_of(formats.update),
        )


class _Tensors:
    """The three tensors of a call, and how often a row-stationary array uses a value of each."""

    def __init__(self, call: Call, batch_size: int) -> None:
        layer = call.operation
        given, made = (
            [int(size or 1) for size in tensors[0].shape[1:]]
            for tensors in (call.input_tensors, call.output_tensors)
        )
        kernels = [v.shape for v in layer.weights if slot_of(v.name) == "kernel"]
        self.macs = batch_size * macs_of_call(layer, call)
        self.inputs = batch_size * math.prod(given)
        self.outputs = batch_size * math.prod(made)
        self.weights = sum(map(math.prod, kernels))
        window = list(getattr(layer, "kernel_size", ())) or [1]
        self.columns, self.rows = window[-1], math.prod(window[:-1])
        kind = type(layer).__name__
        per_filter = max(1, math.prod(kernels[0][:-1]) // math.prod(window))
        filters = kernels[0][-1]
        if "Depthwise" in kind:
            per_filter = 1
        if kind.endswith("Transpose"):
            per_filter, filters = filters, per_filter
        self.channels = min(per_filter, max(1, _INPUTS // self.columns))
        room = max(1, _WEIGHTS // (self.channels * self.columns))
        self.filters = min(filters, room, _SUMS)
        shape = given if kind.endswith("Transpose") else made
        channels_first = getattr(layer, "data_format", None) == "channels_first"
        positions = (shape[1:] if channels_first else shape[:-1]) or [1]
        self.across, self.down = positions[-1], math.prod(positions[:-1])

    def forward(self, formats: TrainingFormats) -> Product:
        activation, weight = width_of(formats.activation), width_of(formats.weight)
        return Product(
            self.macs,
            self._input(activation),
            self._kernel(weight),
            self._output(activation),
            _sums(formats),
        )

    def input_gradient(self, formats: TrainingFormats) -> Product:
        gradient, weight = width_of(formats.gradient), width_of(formats.weight)
        return Product(
            self.macs,
            self._output(gradient),
            self._kernel(weight),
            self._input(gradient),
            _sums(formats),
        )

    def weight_gradient(self, formats: TrainingFormats, signs: bool) -> Product:
        """Returns the product; with `signs` its result is one bit for each weight."""
        own = formats.weight_gradient
        result: Format = formats.gradient if own is None else own
        return Product(
            self.macs,
            self._input(width_of(formats.activation)),
            self._output(width_of(formats.gradient)),
            self._kernel(Width(1) if signs else width_of(result)),
            _sums(formats),
        )

    def _input(self, width: Width) -> Operand:
        return Operand(self.inputs, width, self.columns * self.filters, self.rows)

    def _output(self, width: Width) -> Operand:
        return Operand(self.outputs, width, self.columns * self.channels, self.rows)

    def _kernel(self, width: Width) -> Operand:
        return Operand(self.weights, width, self.across, self.down)


def _chosen_in(block: Any) -> tuple[float, ...]:
    """Returns the shares of samples for which the gate of a block chose each width last."""
    chosen = getattr(block, "chosen", None)
    return () if chosen is None else tuple(map(float, now(chosen)))


def _sums(formats: TrainingFormats) -> Width | None:
    return None if formats.sums is None else width_of(formats.sums)


def _trained(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Layer) and bool(layer.trainable_variables)
