"""The number formats that a layer is trained in: of its operands, gradients, sums and weights."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras

from edgeax.formats.base import NumberFormat
from edgeax.formats.energy import FLOAT32, Width, width_of
from edgeax.model.graph import Call, Graph
from edgeax.model.wrapper import Compressed, has_kernel, slot_of
from edgeax.transforms.base import Chain, Transform
from edgeax.transforms.bit_choices import BitChoices
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.quantize import Quantizer
from edgeax.transforms.round_to import RoundTo
from edgeax.transforms.schedules import BitSchedule
from edgeax.transforms.stages import BitStages

Format = str | int | NumberFormat | Width


@dataclasses.dataclass(frozen=True)
class TrainingFormats:
    """The number formats that a layer is trained in: names, format objects or bits of integers.

    Attributes:
        activation: Of the layer's input.
        weight: Of its kernel, as it is multiplied.
        gradient: Of the gradient of its output.
        update: Of the weight that the optimizer moves, and of what it remembers.
        predicted: Of the most significant bits of an input and of an output's gradient, from which
            the weight's gradient is predicted first; None: it is not predicted.
        weight_gradient: Of the kernel's gradient; None: as `gradient`.
        sums: Of a sum of products while it is made; None: what the energy table has.
    """

    activation: Format = "float32"
    weight: Format = "float32"
    gradient: Format = "float32"
    update: Format = "float32"
    predicted: tuple[Format, Format] | None = None
    weight_gradient: Format | None = None
    sums: Format | None = None


def formats_of(
    graph: Graph, originals: dict[int, keras.layers.Layer], call: Call, choice: int | None = None
) -> TrainingFormats:
    """Returns the formats that a layer is trained in now, as its transforms and arithmetic say.

    A layer with an attribute `training_formats` says it itself.

    Args:
        graph: The calls of a plain copy of the model.
        originals: The layers of the model by the ids of the copies.
        call: One of the layer's.
        choice: Which of several widths is chosen, of `count_of_choices`.
    """
    layer = originals[id(call.operation)]
    own = getattr(layer, "training_formats", None)
    if own is not None:
        return own
    if not isinstance(layer, Compressed):
        return TrainingFormats(activation=_activation_width(graph, originals, call))
    arithmetic = layer.arithmetic
    operand = _width_in(layer.chain("operand"), (Quantizer, RoundTo), choice)
    stored = (None if arithmetic is None else arithmetic.update_format) or FLOAT32
    return TrainingFormats(
        activation=operand or _activation_width(graph, originals, call),
        weight=_widest(layer, Quantizer, choice) or stored,
        gradient=_gradient_width(layer, choice),
        update=stored,
        weight_gradient=_widest(layer, GradientTransform, choice) or FLOAT32,
        sums=None if arithmetic is None else arithmetic.accumulate_format,
    )


def count_of_choices(layer: keras.layers.Layer) -> int | None:
    """Returns how many widths a gate chooses from for a layer, None where none chooses."""
    chains = (layer.chain(slot) for slot in ("operand", "error")) if _is_wrapper(layer) else ()
    for chain in chains:
        for transform in chain.transforms if chain is not None else ():
            bits = getattr(transform, "bits", None)
            if isinstance(bits, BitChoices):
                return len(bits.bits)
    return None


@dataclasses.dataclass(frozen=True)
class ChangingWidths:
    """The widths of a model that change in the course of training."""

    found: tuple[tuple[Chain, BitSchedule | BitStages], ...]

    @classmethod
    def of(cls, model: keras.Model) -> "ChangingWidths":
        """Returns those of a model that is built."""
        chains = [chain for chain in model._flatten_layers() if isinstance(chain, Chain)]
        return cls(
            tuple(
                (chain, transform.bits)
                for chain in chains
                for transform in chain.transforms
                if isinstance(getattr(transform, "bits", None), (BitSchedule, BitStages))
            )
        )

    def now(self) -> tuple[int, ...]:
        """Returns the bits that hold now."""
        return tuple(bits.current_bits(chain.step) for chain, bits in self.found)


def _is_wrapper(layer: Any) -> bool:
    return isinstance(layer, Compressed)


def _activation_width(
    graph: Graph, originals: dict[int, keras.layers.Layer], call: Call | None
) -> Width:
    """Returns the width of what comes to a call: its own rounding, or one since the last kernel."""
    layer = originals.get(id(call.operation)) if call is not None else None
    own = _width_in(layer.chain("input"), Quantizer) if isinstance(layer, Compressed) else None
    if own is not None:
        return own
    while call is not None and call.input_tensors:
        call = graph.producer(call.input_tensors[0])
        layer = originals.get(id(call.operation)) if call is not None else None
        if isinstance(layer, Compressed):
            made = (_width_in(layer.chain(s), Quantizer) for s in ("output", "before_activation"))
            width = next((width for width in made if width is not None), None)
            if width is not None:
                return width
        if layer is not None and has_kernel(layer):
            break
    return FLOAT32


def _gradient_width(layer: Compressed, choice: int | None) -> Width:
    """Returns the width of the gradient that comes to the layer's product."""
    for slot in ("error", "before_activation", "output"):
        width = _width_in(layer.chain(slot), GradientTransform, choice)
        if width is not None:
            return width
    return FLOAT32


def _widest(layer: Compressed, kind: Any, choice: int | None) -> Width | None:
    """Returns the width of the widest kernel by transforms of one kind, None if there are none."""
    widths = [
        width
        for weight in layer.weight_chains
        if slot_of(weight.variable.name) == "kernel"
        if (width := _width_in(weight.chain, kind, choice)) is not None
    ]
    return max(widths, key=lambda width: width.bits, default=None)


def _width_in(chain: Chain | None, kind: Any, choice: int | None = None) -> Width | None:
    """Returns what the last transform of a kind in a chain makes; None if there is none."""
    widths: Iterator[Width | None] = (
        _width_of(transform, chain.step, choice)
        for transform in reversed(chain.transforms if chain is not None else [])
        if chain is not None and isinstance(transform, kind)
    )
    return next((width for width in widths if width is not None), None)


def _width_of(transform: Transform, step: int, choice: int | None) -> Width | None:
    bits = getattr(transform, "bits", None)
    if isinstance(bits, (BitSchedule, BitStages)):
        return Width(bits.current_bits(step))
    if isinstance(bits, BitChoices):
        return Width(bits.last_bits if choice is None else bits.bits[choice])
    format = getattr(transform, "number_format", bits)
    return None if format is None else width_of(format)
