"""Stages: the plain layers that stand for each call of a model, and how results are rounded."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Container, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.export.bake import Part, as_on_device, bake, limited_activation
from edgeax.export.nearest import Nearest, as_nearest
from edgeax.export.rounding import (
    WIDE_BITS,
    Formatted,
    Grid,
    Signs,
    as_signs,
    trained_format,
    trained_rounding,
    wanted_format,
)
from edgeax.export.sign_sums import SignSums, as_sign_sums
from edgeax.export.unfold import unfold
from edgeax.export.wide import WideActivation, changed_grid
from edgeax.formats import Integer, NumberFormat
from edgeax.formats.array_format import ArrayFormat
from edgeax.model import placement
from edgeax.model.device import is_separable
from edgeax.model.graph import Call, Graph
from edgeax.model.wrapper import Compressed

_layers = keras.layers

Rounded = Grid | Formatted | Signs | SignSums | Nearest

APART = (Signs, SignSums, Nearest)
"""Roundings to signs, their sums, and points; an operator makes them of 8-bit integers."""


@dataclasses.dataclass
class Stage:
    """One layer of the frozen model and how its output is rounded.

    Attributes:
        part: The layer.
        path: Path of the layer that it stands for.
        rounded: Whether its output is rounded.
        rounding: To which values; None while that is not known.
        format: The format of these values where only their range is not known.
        is_step: Whether it stands within the steps of a recurrent layer.
        shift: What was taken off the bias of its layer, in favor of the signs of its results.
    """

    part: Part
    path: str
    rounded: bool = False
    format: NumberFormat | None = None
    rounding: Rounded | None = None
    is_step: bool = False
    shift: float = 0.0


Rounding = Callable[[Stage, Any, Any], Any]
"""Gets a stage, what went into it and what came out; returns what the next stage gets."""


class Stages:
    """The stages of a model, call by call.

    Args:
        graph: The calls of a copy of the model, which changes with the stages.
        samples: One array per model input, first axis the sample.
        integer: Whether kernels and activations are rounded.
        wide: Whether activations that training did not round get 16 bits.
        counts: Whether there are operators that count sums of signs in bits.
        uncounted: Places of such sums that keep their format all the same.

    Attributes:
        original: The graph.
        graph: The same, recurrent layers unfolded into their steps.
        unfolded: What is known of these steps.
        samples: As given.
        integer: As given.
        inputs: The stages of the model's inputs.
        folded: Normalizations that other calls take in, by the `id` of such a call.
        paths: Path of the layer that each plain layer stands for, by the latter's name.
        steps: Names of the plain layers that are steps of a recurrent layer.
    """

    def __init__(
        self,
        graph: Graph,
        samples: Sequence[np.ndarray],
        integer: bool,
        wide: bool,
        counts: bool,
        uncounted: Container[str],
    ) -> None:
        self.original = graph
        self._has_wide = wide or any(map(_is_wide, graph.calls))
        self.unfolded = unfold(graph, samples, has_wide=integer and self._has_wide)
        self.graph = graph = self.unfolded.graph
        self.samples = samples
        self.integer = integer
        self._counts = counts
        self._uncounted = uncounted
        self.folded: dict[int, Call] = {}
        for call in graph.calls:
            after = placement.folded_normalization(graph, call)
            if after is not None:
                self.folded[id(call)] = after
        self._skipped = {id(after) for after in self.folded.values()}
        # Where the device rounds, and the first layer of those that it computes as one until there.
        self._ends: dict[int, str] = {}
        for call in filter(placement.rounds, graph.calls):
            end = placement.last_of_group(graph, call)
            trained = trained_rounding(end.operation, "output") if integer else None
            if trained is not None or placement.concatenation_of(graph, end) is None:
                self._ends.setdefault(id(end), graph.path(call.operation))
        self._parts: dict[tuple[int, int], list[Part]] = {}
        self._uses: Counter[int] = Counter()
        self._constants: set[int] = set()
        self.paths: dict[str, str] = {}
        self.steps: set[str] = set()
        self.inputs = [
            Stage(Part(None), tensor.name) for tensor in keras.tree.flatten(graph.inputs)
        ]
        self._stages = {id(call): self._stages_of(call) for call in graph.calls}
        self._entries = {id(call): self._entry_of(call) for call in graph.calls}

    def of(self, call: Call) -> list[Stage]:
        """Returns the stages that replace a call, in their order; more may be put into the list."""
        return self._stages[id(call)]

    def entry(self, call: Call) -> dict[int, Stage]:
        """Returns how a layer rounds what other layers give to it, by the places of its inputs."""
        return self._entries[id(call)]

    def of_calls(self) -> list[Stage]:
        """Returns the stages of all calls."""
        return [stage for stages in self._stages.values() for stage in stages]

    def all(self) -> list[Stage]:
        """Returns the stages of all calls, and those of what they round first."""
        entries = [stage for entry in self._entries.values() for stage in entry.values()]
        return self.of_calls() + entries

    def uses(self, part: Part) -> int:
        """Returns how many times the model calls a layer."""
        return self._uses[id(part)]

    def is_constant(self, part: Part) -> bool:
        """Returns whether a kernel is a constant of unfolded steps, and none of the model."""
        return id(part) in self._constants

    def put_behind(self, stage: Stage, part: Part, rounding: Rounded) -> None:
        """Puts a layer, whose results are rounded, behind that of a stage."""
        (stages,) = [found for found in self._stages.values() if any(s is stage for s in found)]
        place = 1 + next(index for index, one in enumerate(stages) if one is stage)
        self._name(part, stage.path)
        stages.insert(place, Stage(part, stage.path, rounded=True, rounding=rounding))

    def replace_part(self, stage: Stage, part: Part) -> None:
        """Gives a stage another layer, under a name of its own."""
        stage.part = part
        self._name(part, stage.path)

    def shift(self, stage: Stage, part: Part, by: float) -> None:
        """Gives a stage that nothing else shares its layer with `by` taken off its bias."""
        stage.part, stage.shift = part, by
        self._uses[id(part)] = 1

    def input_rounding(self, tensor: keras.KerasTensor) -> Rounded | None:
        """Returns how training rounds an input of the model; None: not at all."""
        for call in self.original.calls:
            for place, given in enumerate(call.first_argument):
                if given is tensor:
                    rounding = self._trained(call.operation, "input", place)
                    if rounding is not None:
                        return rounding
        return None

    def build(self, batch_size: int | None, rounding: Rounding) -> tuple[list[Any], Any]:
        """Returns the inputs and outputs of the plain model, rounded by `rounding`."""

        def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if self._entries[id(call)]:
                args = (self._entered(call, args[0], rounding), *args[1:])
            result: Any = args[0] if args else None
            for index, stage in enumerate(self.of(call)):
                given, layer = result, stage.part.layer
                result = layer(*args, **kwargs) if index == 0 else layer(result)
                result = rounding(stage, given, result)
            return result

        tensors = keras.tree.flatten(self.graph.inputs)
        names = _valid_names([tensor.name for tensor in tensors])
        inputs = [
            keras.Input(batch_shape=(batch_size, *values.shape[1:]), dtype=tensor.dtype, name=name)
            for tensor, values, name in zip(tensors, self.samples, names, strict=True)
        ]
        rounded = [
            rounding(stage, None, tensor) for stage, tensor in zip(self.inputs, inputs, strict=True)
        ]
        outputs = self.graph.rebuild(emit, keras.tree.pack_sequence_as(self.graph.inputs, rounded))
        return inputs, outputs if _is_flat_dict(outputs) else keras.tree.flatten(outputs)

    def _entered(self, call: Call, inputs: Any, rounding: Rounding) -> Any:
        """Returns the inputs of a layer as it rounds them."""
        flat = keras.tree.flatten(inputs)
        for place, stage in self._entries[id(call)].items():
            flat[place] = rounding(stage, flat[place], stage.part.layer(flat[place]))
        return keras.tree.pack_sequence_as(inputs, flat)

    def _trained(self, operation: Any, slot: str, place: int = 0) -> Rounded | None:
        """Returns how training rounds a tensor of a layer, or None; see `trained_rounding`."""
        rounding = trained_rounding(operation, slot, place)
        if not self.integer or self._has_wide or id(operation) in self.unfolded.steps:
            return rounding
        found = as_signs(rounding) or self._as_sums(operation, slot, rounding)
        return found or as_nearest(rounding) or rounding

    def _as_sums(self, operation: Any, slot: str, rounding: Any) -> SignSums | None:
        """Returns the sums of signs that a tensor of a layer is rounded to, None where the file
        should keep the format: 8-bit integers do not hold them, and they are not counted as signs.
        """
        sums = as_sign_sums(rounding)
        if sums is None or sums.is_exact:
            return sums
        paths = self.original.paths | self.graph.paths
        sums = dataclasses.replace(sums, place=f"{paths[id(operation)]}/{slot}")
        return sums if self._counts and sums.place not in self._uncounted else None

    def _entry_of(self, call: Call) -> dict[int, Stage]:
        """Returns how a layer rounds what other layers give to it, by the places of its inputs."""
        operation = call.operation
        if not isinstance(operation, Compressed) or not call.args:
            return {}
        entry = {}
        for place, tensor in enumerate(call.first_argument):
            if isinstance(tensor, keras.KerasTensor) and not self.graph.is_input(tensor):
                format = wanted_format(operation, "input", place)
                if format is not None and (self.integer or isinstance(format, ArrayFormat)):
                    rounding = self._trained(operation, "input", place)
                    part, path = Part(_layers.Identity()), f"{self.graph.path(operation)}/input"
                    self._name(part, path)
                    entry[place] = Stage(part, path, True, format, rounding)
        return entry

    def _stages_of(self, call: Call) -> list[Stage]:
        """Returns the layers that replace a call; none where it was folded into another."""
        path, operation = self.graph.path(call.operation), call.operation
        parts = [] if id(call) in self._skipped else self._parts_of(call)
        is_step = id(operation) in self.unfolded.steps and id(call) not in self.unfolded.results
        stages = [Stage(part, path + part.suffix, is_step=is_step) for part in parts]
        if not self.integer:
            return self._in_formats(call, stages)
        for stage in stages[:-1]:
            stage.rounded = not stage.part.moves
            if stage.rounded and is_separable(placement.plain(operation)):
                stage.rounding = self._trained(operation, "between")
                stage.format = wanted_format(operation, "between")
        if id(call) not in self._skipped and placement.splits_activation(operation):
            stages[-1].rounded = True
            stages[-1].rounding = self._trained(operation, "before_activation")
            stages[-1].format = wanted_format(operation, "before_activation")
        stages += self._activation(call)
        if id(call) in self._ends:
            stages = stages or [Stage(Part(_layers.Identity()), path)]
            last = [stage for stage in stages if not stage.part.moves][-1]
            fixed = placement.FIXED_RANGES.get(placement.activation_name(operation))
            trained = self._trained(operation, "output")
            if isinstance(trained, (Formatted, *APART)) or (trained and not fixed):
                last.rounding = _limited(trained, last.part.limit)
            elif fixed:
                last.rounding = Grid.prescribed(fixed, wide=bool(trained and trained.bits > 8))
                if isinstance(trained, Grid) and trained.top is not None:  # of fewer bits
                    fewer = Part(changed_grid())
                    self._name(fewer, path)
                    stages.append(Stage(fewer, path, True, rounding=trained))
            elif id(call) in self.unfolded.ranges:
                last.rounding = Grid(self.unfolded.ranges[id(call)])
            last.rounded, last.format = True, wanted_format(operation, "output")
            if last.part.kernel is None:
                last.path = self._ends[id(call)]
        return [one for stage in stages for one in self._with_signs_apart(stage)]

    def _with_signs_apart(self, stage: Stage) -> list[Stage]:
        """Returns a stage, or the one whose results are 8-bit integers and that of their signs or
        points.
        """
        if not isinstance(stage.rounding, APART):
            return [stage]
        signs = Part(_layers.Identity())
        self._name(signs, stage.path)
        return [
            dataclasses.replace(stage, format=None, rounding=None),
            Stage(signs, stage.path, True, stage.format, stage.rounding),
        ]

    def _in_formats(self, call: Call, stages: list[Stage]) -> list[Stage]:
        """Returns the layers that replace a call in a float file: they round to formats that the
        file would have no integers for anyway, such as signs, and to no integers.
        """
        before, after = (
            trained_format(call.operation, slot) for slot in ("before_activation", "output")
        )
        if before is not None and stages:
            stages[-1].rounded, stages[-1].rounding = True, before
        stages = stages + self._activation(call)
        if after is not None:
            stages = stages or [Stage(Part(_layers.Identity()), self.graph.path(call.operation))]
            stages[-1].rounded, stages[-1].rounding = True, after
        return stages

    def _activation(self, call: Call) -> list[Stage]:
        """Returns the activation of a layer where it is an operator of its own."""
        if id(call) in self._skipped or not placement.splits_activation(call.operation):
            return []
        path = self.graph.path(call.operation)
        parts = limited_activation(call.operation, call.output_tensors[0]) if self.integer else None
        parts = parts or [
            Part(as_on_device(call.operation.activation, call.operation, self.integer))
        ]
        for part in parts:
            self._name(part, path)
        return [Stage(part, path) for part in parts]

    def _parts_of(self, call: Call) -> list[Part]:
        """Returns the plain layers of a call; shared by calls that can share them."""
        folded = self.folded.get(id(call))
        key = (id(call.operation), id(folded.operation) if folded is not None else 0)
        if key not in self._parts:
            kernels = self.unfolded.kernels.get(id(call.operation), {})
            self._parts[key] = bake(call, folded, self.integer, kernels)
            if not self.integer and isinstance(call.operation, WideActivation):
                self._parts[key] = [Part(_layers.Identity())]  # there is no grid to change
            for part in self._parts[key]:
                self._name(part, self.graph.path(call.operation) + part.suffix)
                if id(call.operation) in self.unfolded.steps:
                    self.steps.add(getattr(part.layer, "name", ""))
                if id(call.operation) in self.unfolded.constants:
                    self._constants.add(id(part))
        for part in self._parts[key]:
            self._uses[id(part)] += 1
        return self._parts[key]

    def _name(self, part: Part, path: str) -> None:
        """Names a layer after its path: nested models repeat names, one flat model must not."""
        if isinstance(part.layer, _layers.Layer):
            name = f"{_valid_name(path)}.{len(self.paths)}"
            part.layer.name = name
            self.paths[name] = path


def _is_wide(call: Call) -> bool:
    """Returns whether training gives a tensor of a layer 16 bits."""
    if not isinstance(call.operation, Compressed):
        return False
    slots = [("input", place) for place, _ in enumerate(call.first_argument)]
    slots += [("before_activation", 0), ("output", 0)]
    formats = [wanted_format(call.operation, *slot) for slot in slots]
    return any(isinstance(format, Integer) and format.bits == WIDE_BITS for format in formats)


def _limited(rounding: Rounded, limit: float | None) -> Rounded:
    """Returns a rounding that gives nothing above `limit`."""
    if limit is None or not isinstance(rounding, Grid):
        return rounding
    top = rounding.extremes[1] if rounding.top is None else rounding.top
    return dataclasses.replace(rounding, top=limit) if top > limit else rounding


def _valid_names(names: Sequence[str]) -> list[str]:
    """Returns different names that TensorFlow accepts, the given ones where possible."""
    valid: list[str] = []
    for index, name in enumerate(map(_valid_name, names)):
        valid.append(name if name not in valid else f"{name}_{index}")
    return valid


def _valid_name(name: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return name if re.match(r"[A-Za-z0-9.]", name) else f"x{name}"


def _is_flat_dict(outputs: Any) -> bool:
    return isinstance(outputs, dict) and all(map(keras.backend.is_keras_tensor, outputs.values()))
