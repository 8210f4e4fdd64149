"""Freeze: a trained model becomes a plain one whose every number the device will use is fixed.

Kernels are baked onto their grids with batch normalization folded in, activations are rounded by
fixed ranges, and all shapes are pinned, the batch too: dimensions that may vary leave shape
arithmetic behind.
"""

import contextlib
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.export.bake import Part, as_on_device, bake, limited_activation, shifted
from edgeax.export.lstm import CellStates, FusedLSTM
from edgeax.export.nearest import Nearest, WholeNearest, as_nearest
from edgeax.export.rounding import (
    IN_FORMAT,
    WIDE_BITS,
    Extremes,
    Formatted,
    Grid,
    Signs,
    as_signs,
    rounding_in,
    trained_rounding,
    wanted_format,
)
from edgeax.export.sign_sums import SignSums, WholeSignSum, as_sign_sums
from edgeax.export.signs import WholeSign
from edgeax.export.unfold import unfold
from edgeax.export.wide import WideActivation, WideConcatenation, changed_grid
from edgeax.formats import EncodedTensor, Integer, NumberFormat
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.names import described
from edgeax.formats.rounding import Halves
from edgeax.model import placement
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.device import averages, halves_of_averages, is_separable
from edgeax.model.graph import Call, Graph, trace
from edgeax.model.wrapper import Compressed

_layers = keras.layers

# Part of a step that a result of which only the sign is used is lowered by before it is rounded:
# zero rounds up then, and what is below it down. Less than half by what a bias's own steps take.
_SHIFT = 0.49

# Of an activation that is nothing but zeros and comes from nothing that is rounded.
_STEP_OF_ZEROS = 1.0 / 255.0


@dataclasses.dataclass(frozen=True)
class FrozenWeight:
    """A kernel as the file has to hold it.

    Attributes:
        path: Path of its layer; a separable convolution has `/depthwise` or `/pointwise` behind it.
        layer: The plain layer that holds its values and its bias.
        encoded: The kernel in codes, canonical layout, batch normalization folded in.
        uses: How many times the model calls the layer.
        is_step: Whether it belongs to the steps of a recurrent layer.
        shift: What its bias lacks, see `_Freezer._shift_biases`.
    """

    path: str
    layer: keras.layers.Layer
    encoded: EncodedTensor
    uses: int
    is_step: bool = False
    shift: float = 0.0


@dataclasses.dataclass(frozen=True)
class Point:
    """A place where values are rounded.

    Attributes:
        path: Path of the layer whose result is rounded, normalization and activation included; or
            name of the model's input.
        rounding: Name of the rounding layer in the frozen model.
        layers: Names of the frozen model's layers whose results end here; the converter names
            tensors after them.
        grid: The grid of the values.
        shape: Of the values; a size is None where Keras cannot tell.
        input: Which of the model's inputs it is, None for a layer's result.
        halves: Where halves between two codes go if they are averages of codes; None: nowhere in
            particular.
    """

    path: str
    rounding: str
    layers: tuple[str, ...]
    grid: Grid
    shape: tuple[int | None, ...]
    input: int | None = None
    halves: Halves | None = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    """What `freeze` returns.

    Attributes:
        model: Plain functional model, batch pinned. Its inputs and outputs come in the order of the
            original's when flattened.
        weights: The kernels in integer codes.
        trained: The kernels in the codes of training, where the file computes in float.
        formatted: Paths of the tensors in a format that the file has no integers for, and that
            format.
        left_out: Paths of the layers whose kernels got a number format that no operator has.
        points: The places where values are rounded, in the order in which they run.
        paths: Path of the layer that each layer of `model` stands for, by name.
        lstms: The LSTMs that the device has one operator for, and their paths.
        whole: Why layers that have no operator could not be unfolded into some, by their paths.
        steps: Names of the layers of `model` that are steps of a recurrent layer.
        step_roundings: Names of the rounding layers within them: the device has 16 bits there.
        sums: Activations that are sums of signs, by the operators that stand for them.
        nearest: Activations that are put on points, by the operators that stand for them.
    """

    model: keras.Model
    weights: tuple[FrozenWeight, ...]
    left_out: tuple[str, ...]
    points: tuple[Point, ...]
    paths: dict[str, str]
    lstms: tuple[tuple[str, FusedLSTM], ...] = ()
    whole: dict[str, str] = dataclasses.field(default_factory=dict)
    steps: frozenset[str] = frozenset()
    step_roundings: frozenset[str] = frozenset()
    formatted: tuple[tuple[str, str], ...] = ()
    trained: tuple[FrozenWeight, ...] = ()
    sums: dict[str, SignSums] = dataclasses.field(default_factory=dict)
    nearest: dict[str, Nearest] = dataclasses.field(default_factory=dict)


_Rounded = Grid | Formatted | Signs | SignSums | Nearest

# Roundings to signs, their sums, and points: an operator of its own makes them of 8-bit integers.
_APART = (Signs, SignSums, Nearest)


@dataclasses.dataclass
class _Stage:
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
    rounding: _Rounded | None = None
    is_step: bool = False
    shift: float = 0.0


# Gets a stage, what went into it and what came out; returns what the next stage gets.
_Rounding = Callable[[_Stage, Any, Any], Any]


def freeze(
    model: keras.Model,
    samples: Sequence[np.ndarray],
    integer: bool,
    wide: bool = False,
    counts: bool = False,
    uncounted: Container[str] = (),
    batch: int = 1,
) -> Frozen:
    """Returns `model` with everything fixed that training had left open.

    Args:
        model: Sequential or functional, compressed or plain. Not changed.
        samples: One array per model input, first axis the sample. Dimensions that the model leaves
            open get their size from these, and so do ranges that training did not follow.
        integer: Whether kernels and activations are rounded.
        wide: Whether activations that training did not round get 16 bits.
        counts: Whether there are operators that count sums of signs in bits; without them, those
            that 8-bit integers do not hold stay in their format.
        uncounted: Places of such sums that stay so all the same; see `SignSums`.
        batch: The batch to which the model is pinned.

    Raises:
        ValueError: The model rounds activations to a width that there are no operators for, to 16
            bits here and fewer there, or gives infinite values for a sample.
    """
    made: dict[int, Any] = {}
    with _float32_policy():
        copy = clone(model, fresh_copy, made)
        copy_weights(model, made)
        freezer = _Freezer(trace(copy), model.name, samples, integer, wide, counts, uncounted)
        return freezer.run(batch)


def layers_in(tensor: str) -> set[str]:
    """Returns the names of the frozen model's layers that a tensor of the file is named after."""
    return {re.sub(r"_\d+$", "", token) for token in re.split(r"[/;:]", tensor)}


class _Freezer:
    """Builds the frozen model from the calls of a compressed one."""

    def __init__(
        self,
        graph: Graph,
        name: str,
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
        self.name = name
        self.samples = samples
        self.integer = integer
        self.wide = wide
        self.counts = counts
        self.uncounted = uncounted
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
        self._paths: dict[str, str] = {}
        self._steps: set[str] = set()
        self._constants: set[int] = set()
        self.inputs = [
            _Stage(Part(None), tensor.name) for tensor in keras.tree.flatten(graph.inputs)
        ]
        self.stages = {id(call): self._stages(call) for call in graph.calls}
        self._entries = {id(call): self._entry(call) for call in graph.calls}
        self._leave_to_entries()

    def run(self, batch: int) -> Frozen:
        if self.integer:
            self._set_ranges()
            self._shift_biases()
        else:
            self._set_input_formats()
        rounding = _FixedRounding()
        inputs, outputs = self._build(batch, rounding)
        model = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=self.name)
        left_out = tuple(self._left_out()) if self.integer else ()
        points = tuple(rounding.points)
        lstms = tuple(self._lstms())
        weights = tuple(self._weights(lambda part: part.kernel))
        trained = tuple(self._weights(lambda part: part.trained))
        return Frozen(
            model,
            weights,
            left_out,
            points,
            self._paths,
            lstms,
            self.unfolded.whole,
            frozenset(self._steps),
            frozenset(rounding.steps),
            tuple(rounding.formatted),
            trained,
            rounding.sums,
            rounding.nearest,
        )

    def _lstms(self) -> Iterator[tuple[str, FusedLSTM]]:
        layers = {
            id(stage.part.layer): (stage.path, stage.part.layer)
            for stages in self.stages.values()
            for stage in stages
            if isinstance(stage.part.layer, FusedLSTM)
        }
        yield from layers.values()

    def _weights(
        self, encoded_of: Callable[[Part], EncodedTensor | None]
    ) -> Iterator[FrozenWeight]:
        stages = {id(stage.part): stage for stages in self.stages.values() for stage in stages}
        for identity, stage in stages.items():
            layer, encoded = stage.part.layer, encoded_of(stage.part)
            if encoded is not None and identity not in self._constants:
                is_step = getattr(layer, "name", "") in self._steps
                uses = self._uses[identity]
                yield FrozenWeight(stage.path, layer, encoded, uses, is_step, stage.shift)

    def _left_out(self) -> list[str]:
        paths = {
            self.graph.path(call.operation): None
            for call in self.graph.calls
            if isinstance(call.operation, Compressed)
            and call.operation.transforms_kernel
            and not isinstance(call.operation.layer, placement.LINEAR)
        }
        return [*paths]

    def _set_ranges(self) -> None:
        tensors = keras.tree.flatten(self.original.inputs)
        for stage, tensor, values in zip(self.inputs, tensors, self.samples, strict=True):
            stage.rounded = keras.backend.is_float_dtype(tensor.dtype)
            if stage.rounded:
                measured = _widened(np.min(values), np.max(values), stage.path)
                stage.rounding = self._input_rounding(tensor) or Grid(measured)
                if isinstance(stage.rounding, Nearest):
                    stage.rounding = dataclasses.replace(stage.rounding, entered=Grid(measured))
        stages = [stage for stages in self.stages.values() for stage in stages]
        stages += [stage for entry in self._entries.values() for stage in entry.values()]
        unknown = [stage for stage in stages if stage.rounded and stage.rounding is None]
        if unknown:
            self._calibrate(unknown)
        fused = [stage for stage in stages if isinstance(stage.part.layer, FusedLSTM)]
        if fused:
            self._measure_cells(fused)
        self._agree_on_width([*self.inputs, *stages])

    def _set_input_formats(self) -> None:
        """Rounds the inputs of a float file to formats that it would have no integers for."""
        for stage, tensor in zip(
            self.inputs, keras.tree.flatten(self.original.inputs), strict=True
        ):
            for call in self.original.calls:
                for place, given in enumerate(call.first_argument):
                    if given is tensor and stage.rounding is None:
                        stage.rounding = _formatted(call.operation, "input", place)
            stage.rounded = stage.rounding is not None

    def _agree_on_width(self, stages: list[_Stage]) -> None:
        """Gives all tensors 16 bits if some have: the operators take no others beside them.

        Raises:
            ValueError: Training rounds some tensors to 16 bits and others to fewer.
        """
        grids = [(stage, stage.rounding) for stage in stages if isinstance(stage.rounding, Grid)]
        if not self.wide and all(grid.bits != WIDE_BITS for _, grid in grids):
            return
        lstm = next((s for s in stages if isinstance(s.part.layer, FusedLSTM)), None)
        if lstm is not None:
            raise ValueError(
                "`model` must round activations to 8 bits where it has an LSTM: TFLite's operator "
                f"takes no 16-bit inputs. Received: 16 bits in a model with {lstm.path!r}. Use "
                "'int8', or a GRU."
            )
        for stage, grid in grids:
            if grid.bits != WIDE_BITS and grid.trained:
                raise ValueError(
                    "`model` must round all activations to 'int16' if it does some. Received: "
                    f"fewer bits at {stage.path!r}. Give every layer Quantize('int16')."
                )
            if grid.bits != WIDE_BITS:
                stage.rounding = grid.widened()
            if grid.is_prescribed:
                name = placement.activation_name(stage.part.layer)
                stage.part = Part(WideActivation(name))
                self._name(stage.part, stage.path)

        self._align_concatenations()

    def _align_concatenations(self) -> None:
        """Gives what a 16-bit concatenation joins one grid, the widest of them: the operator wants
        it so, and the converter sees to it in 8 bits only.
        """
        for call in self.graph.calls:
            whole = placement.concatenation_of(self.graph, call)
            if whole is not None and self.stages[id(call)]:
                stage = self.stages[id(call)][-1]
                stage.rounded, stage.rounding = True, self.stages[id(whole)][-1].rounding
        last: dict[int, _Stage] = {}
        inputs = zip(keras.tree.flatten(self.graph.inputs), self.inputs, strict=True)
        last.update({id(tensor): stage for tensor, stage in inputs})
        groups: list[list[_Stage]] = []
        for call in self.graph.calls:
            stages = [stage for stage in self.stages[id(call)] if stage.rounded]
            given = [last[id(t)] for t in call.input_tensors if id(t) in last]
            layer = placement.plain(call.operation)
            if isinstance(layer, _layers.Concatenate):
                groups.append(stages[-1:] + given)
                axis = layer.axis % len(call.output_tensors[0].shape)
                stages[-1].part = Part(WideConcatenation(axis))
                self._name(stages[-1].part, stages[-1].path)
            ends = stages[-1:] or given[:1]
            last.update({id(tensor): ends[0] for tensor in call.output_tensors if ends})
        converted: dict[int, tuple[_Stage, Grid]] = {}
        for group in [*groups, *reversed(groups)]:  # one may be joined again further on
            grids = [stage.rounding for stage in group if isinstance(stage.rounding, Grid)]
            widest = max(grids, key=lambda grid: grid.step)
            for stage in group:
                if isinstance(stage.rounding, Grid) and stage.rounding.is_prescribed:
                    converted[id(stage)] = stage, widest
                elif isinstance(stage.rounding, Grid):
                    stage.rounding = widest
        for stage, grid in converted.values():
            self._convert_behind(stage, grid)

    def _convert_behind(self, stage: _Stage, grid: Grid) -> None:
        """Puts a conversion to another 16-bit grid behind a stage whose own is prescribed."""
        (stages,) = [found for found in self.stages.values() if any(s is stage for s in found)]
        converted = Part(changed_grid(), moves=False)
        self._name(converted, stage.path)
        place = 1 + next(index for index, one in enumerate(stages) if one is stage)
        stages.insert(place, _Stage(converted, stage.path, rounded=True, rounding=grid))

    def _calibrate(self, stages: list[_Stage]) -> None:
        """Takes the ranges of `stages` from what the model, but for signs unrounded, makes of the
        samples.
        """
        found = self._measured(stages, lambda stage, given, result: result)
        for stage, (low, high) in zip(stages, found, strict=True):
            most = high if stage.part.limit is None else min(high, stage.part.limit)
            stage.rounding = rounding_in(stage.format, *_widened(low, most, stage.path))
        for stage in stages:
            format = stage.format
            if isinstance(format, ArrayFormat) and format.measure == "values":
                stage.rounding = Formatted(format, format.fit(self._values(stage)))

    def _measure_cells(self, stages: list[_Stage]) -> None:
        """Tells every LSTM how large its cell state gets, which no tensor of the model shows."""
        found = self._measured(
            stages, lambda stage, given, result: CellStates(stage.part.layer)(given)
        )
        for stage, (low, high) in zip(stages, found, strict=True):
            lstm = stage.part.layer
            lstm.largest_cell = max(lstm.largest_cell, -float(low), float(high))

    def _measured(self, stages: list[_Stage], probe: _Rounding) -> list[Extremes]:
        """Returns the extremes, over all samples, of what `probe` makes of each stage."""
        inputs, watched = self._watched(stages, probe)
        ends = [find(tensor) for tensor in watched for find in (keras.ops.min, keras.ops.max)]
        model = keras.Model(inputs, ends)
        found = [model.predict_on_batch(batch) for batch in _batches(self.samples)]
        lows, highs = np.min(found, axis=0)[::2], np.max(found, axis=0)[1::2]
        return list(zip(lows, highs, strict=True))

    def _values(self, stage: _Stage) -> np.ndarray:
        """Returns the results of a stage for the first samples."""
        inputs, watched = self._watched([stage], lambda stage, given, result: result)
        first = next(_batches(self.samples))
        return np.asarray(keras.Model(inputs, watched[0]).predict_on_batch(first))

    def _watched(self, stages: list[_Stage], probe: _Rounding) -> tuple[list[Any], list[Any]]:
        """Returns the inputs of the unrounded model, and what `probe` makes of each stage."""
        results: dict[int, Any] = {}
        wanted = {id(stage) for stage in stages}

        def watch(stage: _Stage, given: Any, result: Any) -> Any:
            if id(stage) in wanted:
                results[id(stage)] = probe(stage, given, result)
            if isinstance(stage.rounding, Signs):  # nothing like what they are taken of
                return WholeSign(stage.rounding.magnitude)(result)
            if isinstance(stage.rounding, SignSums):
                return WholeSignSum(stage.rounding)(result)
            if isinstance(stage.rounding, Nearest):
                return WholeNearest(stage.rounding)(result)
            return result

        inputs, _ = self._build(None, watch)
        return inputs, [results[id(stage)] for stage in stages]

    def _trained(self, operation: Any, slot: str, place: int = 0) -> _Rounded | None:
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
        return sums if self.counts and sums.place not in self.uncounted else None

    def _input_rounding(self, tensor: keras.KerasTensor) -> _Rounded | None:
        for call in self.original.calls:
            for place, given in enumerate(call.first_argument):
                if given is tensor:
                    rounding = self._trained(call.operation, "input", place)
                    if rounding is not None:
                        return rounding
        return None

    def _build(self, batch_size: int | None, rounding: _Rounding) -> tuple[list[Any], Any]:
        """Returns the inputs and outputs of the plain model."""

        def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if self._entries[id(call)]:
                args = (self._entered(call, args[0], rounding), *args[1:])
            result: Any = args[0] if args else None
            for index, stage in enumerate(self.stages[id(call)]):
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

    def _entry(self, call: Call) -> dict[int, _Stage]:
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
                    entry[place] = _Stage(part, path, True, format, rounding)
        return entry

    def _leave_to_entries(self) -> None:
        """Leaves the rounding of a result to the only layer that reads it, where that rounds it
        and does not just take its sign, and rounds nothing between layers that compute in float.
        """
        self._leave_float_alone()
        for call in self.graph.calls:
            after = self.graph.only_consumer(call)
            while after is not None and isinstance(
                placement.plain(after.operation), placement.MOVING
            ):
                if self._entries[id(after)]:
                    break
                after = self.graph.only_consumer(after)
            stages = [stage for stage in self.stages[id(call)] if not stage.part.moves]
            if after is not None and self._rounds_again(after) and stages:
                last = stages[-1]
                last.rounded &= last.rounding is not None or last.part.limit is not None

    def _rounds_again(self, call: Call) -> bool:
        """Returns whether a layer rounds what it gets, to more than signs."""
        entries = self._entries[id(call)].values()
        return bool(entries) and not any(isinstance(entry.rounding, _APART) for entry in entries)

    def _leave_float_alone(self) -> None:
        """Rounds no result for which training has no rounding, where its layer computes in float
        and whoever reads it rounds it anyway or computes in float too.
        """
        free: set[int] = set()  # calls whose results need not be rounded for those who read them
        for call in reversed(self.graph.calls):
            readers = [
                reader for tensor in call.output_tensors for reader in self.graph.consumers(tensor)
            ]
            if all(self._rounds_again(reader) or id(reader) in free for reader in readers):
                if self._is_untrained(call):
                    free.add(id(call))
        integers = {
            id(tensor): not isinstance(stage.rounding, Formatted)
            and not isinstance(self._input_rounding(tensor), Formatted)
            for tensor, stage in zip(
                keras.tree.flatten(self.graph.inputs), self.inputs, strict=True
            )
        }
        for call in self.graph.calls:
            entries = self._entries[id(call)].values()
            given = all(integers.get(id(tensor), True) for tensor in call.input_tensors)
            if entries:
                given = all(isinstance(entry.rounding, (Grid, *_APART)) for entry in entries)
            last = [stage for stage in self.stages[id(call)] if not stage.part.moves][-1:]
            if not given and id(call) in free:
                for stage in last:
                    stage.rounded = stage.part.limit is not None
            rounded = any(stage.rounded for stage in last)
            is_format = any(isinstance(stage.rounding, Formatted) for stage in last)
            result = rounded and not is_format or (not rounded and given)
            integers |= {id(tensor): result for tensor in call.output_tensors}

    def _is_untrained(self, call: Call) -> bool:
        """Returns whether training says nothing of how the result of a call is rounded."""
        stages = [stage for stage in self.stages[id(call)] if not stage.part.moves]
        return not stages or (stages[-1].rounding is None and stages[-1].format is None)

    def _entered(self, call: Call, inputs: Any, rounding: _Rounding) -> Any:
        """Returns the inputs of a layer as it rounds them."""
        flat = keras.tree.flatten(inputs)
        for place, stage in self._entries[id(call)].items():
            flat[place] = rounding(stage, flat[place], stage.part.layer(flat[place]))
        return keras.tree.pack_sequence_as(inputs, flat)

    def _stages(self, call: Call) -> list[_Stage]:
        """Returns the layers that replace a call; none where it was folded into another."""
        path, operation = self.graph.path(call.operation), call.operation
        parts = [] if id(call) in self._skipped else self._parts_of(call)
        is_step = id(operation) in self.unfolded.steps and id(call) not in self.unfolded.results
        stages = [_Stage(part, path + part.suffix, is_step=is_step) for part in parts]
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
            stages = stages or [_Stage(Part(_layers.Identity()), path)]
            last = [stage for stage in stages if not stage.part.moves][-1]
            fixed = placement.FIXED_RANGES.get(placement.activation_name(operation))
            trained = self._trained(operation, "output")
            if isinstance(trained, (Formatted, *_APART)) or (trained and not fixed):
                last.rounding = _limited(trained, last.part.limit)
            elif fixed:
                last.rounding = Grid.prescribed(fixed, wide=bool(trained and trained.bits > 8))
                if isinstance(trained, Grid) and trained.top is not None:  # of fewer bits
                    fewer = Part(changed_grid())
                    self._name(fewer, path)
                    stages.append(_Stage(fewer, path, True, rounding=trained))
            elif id(call) in self.unfolded.ranges:
                last.rounding = Grid(self.unfolded.ranges[id(call)])
            last.rounded, last.format = True, wanted_format(operation, "output")
            if last.part.kernel is None:
                last.path = self._ends[id(call)]
        return [one for stage in stages for one in self._with_signs_apart(stage)]

    def _with_signs_apart(self, stage: _Stage) -> list[_Stage]:
        """Returns a stage, or the one whose results are 8-bit integers and that of their signs or
        points.
        """
        if not isinstance(stage.rounding, _APART):
            return [stage]
        signs = Part(_layers.Identity())
        self._name(signs, stage.path)
        return [
            dataclasses.replace(stage, format=None, rounding=None),
            _Stage(signs, stage.path, True, stage.format, stage.rounding),
        ]

    def _shift_biases(self) -> None:
        """Takes half a step off the biases of layers of whose results only the signs are used."""
        for call in self.graph.calls:
            stages = self.stages[id(call)]
            if id(call) in self.folded:
                call = self.folded[id(call)]
                stages = stages + self.stages[id(call)]
            if not stages or stages[0].part.kernel is None:
                continue
            first, *rest = stages
            idle = [stage for stage in rest if isinstance(stage.part.layer, _layers.Identity)]
            grids = [stage.rounding for stage in stages if isinstance(stage.rounding, Grid)]
            if not grids or idle != rest or not self._is_free(first, grids[0]):
                continue
            if isinstance(stages[-1].rounding, Signs) or self._only_signs(call):
                first.shift = _SHIFT * grids[0].step
                first.part = shifted(first.part, -first.shift)
                self._uses[id(first.part)] = 1

    def _is_free(self, stage: _Stage, grid: Grid) -> bool:
        """Returns whether training leaves open how the results of a layer are rounded."""
        once = self._uses[id(stage.part)] == 1 and not stage.is_step
        linear = placement.activation_name(stage.part.layer) == "linear"
        return once and linear and not (grid.trained or grid.is_prescribed)

    def _only_signs(self, call: Call) -> bool:
        """Returns whether all that reads the results of a call takes their signs."""
        readers = [(t, reader) for t in call.output_tensors for reader in self.graph.consumers(t)]
        if not readers or self.graph.is_output(call):
            return False
        for tensor, reader in readers:
            entries = self._entries[id(reader)]
            if entries:
                places = [p for p, given in enumerate(reader.first_argument) if given is tensor]
                found = [entries[place] for place in places if place in entries]
                if not all(isinstance(entry.rounding, Signs) for entry in found):
                    return False
                continue
            layer = placement.plain(reader.operation)
            keeps = isinstance(layer, placement.MOVING) and not averages(layer)
            if not keeps or not self._only_signs(reader):
                return False
        return True

    def _in_formats(self, call: Call, stages: list[_Stage]) -> list[_Stage]:
        """Returns the layers that replace a call in a float file: they round to formats that the
        file would have no integers for anyway, such as signs, and to no integers.
        """
        before, after = (
            _formatted(call.operation, slot) for slot in ("before_activation", "output")
        )
        if before is not None and stages:
            stages[-1].rounded, stages[-1].rounding = True, before
        stages = stages + self._activation(call)
        if after is not None:
            stages = stages or [_Stage(Part(_layers.Identity()), self.graph.path(call.operation))]
            stages[-1].rounded, stages[-1].rounding = True, after
        return stages

    def _activation(self, call: Call) -> list[_Stage]:
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
        return [_Stage(part, path) for part in parts]

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
                    self._steps.add(getattr(part.layer, "name", ""))
                if id(call.operation) in self.unfolded.constants:
                    self._constants.add(id(part))
        for part in self._parts[key]:
            self._uses[id(part)] += 1
        return self._parts[key]

    def _name(self, part: Part, path: str) -> None:
        """Names a layer after its path: nested models repeat names, one flat model must not."""
        if isinstance(part.layer, _layers.Layer):
            name = f"{_valid_name(path)}.{len(self._paths)}"
            part.layer.name = name
            self._paths[name] = path


class _FixedRounding:
    """Puts the rounding layers into the frozen model, and notes where."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.steps: list[str] = []
        self._inputs = 0
        self.formatted: list[tuple[str, str]] = []
        self._signs = 0
        self.sums: dict[str, SignSums] = {}
        self.nearest: dict[str, Nearest] = {}
        self._grids: dict[int, Grid] = {}
        # Names of the layers that a tensor went through since it was last rounded.
        self._layers: dict[int, tuple[str, ...]] = {}
        # Steps of the grid that a tensor is on, or that it was computed from.
        self._steps: dict[int, float] = {}

    def __call__(self, stage: _Stage, given: Any, result: Any) -> Any:
        source = None
        if stage.part.layer is None:
            source, self._inputs = self._inputs, self._inputs + 1
        layers = (*self._layers.get(id(given), ()), getattr(stage.part.layer, "name", stage.path))
        if stage.part.moves and id(given) in self._grids:
            # Said again: the converter loses a grid that passes through several operators.
            grid = self._grids[id(given)]
            if averages(stage.part.layer) and not stage.is_step:
                halves = halves_of_averages(stage.part.layer)
                return self._point(stage, layers, grid, result, source, halves)
            return keras.tree.map_structure(
                lambda part: self._round(part, grid, self._step() if stage.is_step else None),
                result,
            )
        if not stage.rounded or stage.rounding is None:
            self._layers[id(result)] = layers
            self._steps[id(result)] = self._step_before(given)
            return result
        if isinstance(stage.rounding, Signs):
            self._signs += 1
            signs = WholeSign(stage.rounding.magnitude, name=f"signs_{self._signs}")(result)
            return self._round(signs, stage.rounding.grid, f"of_signs_{self._signs}")
        if isinstance(stage.rounding, SignSums):
            whole = WholeSignSum(stage.rounding, len(self.sums))
            name, self.sums[whole.operator] = f"of_sums_{len(self.sums)}", stage.rounding
            return self._round(whole(result), stage.rounding.grid, name)
        if isinstance(stage.rounding, Nearest):
            if stage.rounding.entered is not None:
                result = self._point(stage, layers, stage.rounding.entered, result, source)
            nearest = WholeNearest(stage.rounding, len(self.nearest))
            name, self.nearest[nearest.operator] = f"on_points_{len(self.nearest)}", stage.rounding
            return self._round(nearest(result), stage.rounding.grid, name)
        if isinstance(stage.rounding, Formatted):
            self.formatted.append((stage.path, described(stage.rounding.format)))
            return stage.rounding.layer(f"{IN_FORMAT}_{len(self.formatted)}")(result)
        grid = stage.rounding.filled(self._step_before(given) or _STEP_OF_ZEROS)
        if stage.is_step:
            return self._round(result, grid, self._step())
        return self._point(stage, layers, grid, result, source)

    def _point(
        self,
        stage: _Stage,
        layers: tuple[str, ...],
        grid: Grid,
        result: Any,
        source: int | None,
        halves: Halves | None = None,
    ) -> Any:
        """Returns a result rounded, and notes the place."""
        name = f"range_{len(self.points)}"
        if grid.top is not None:
            layers = (*layers, name)  # the limit is the last operator
        self.points.append(Point(stage.path, name, layers, grid, result.shape, source, halves))
        return self._round(result, grid, name)

    def _step_before(self, given: Any) -> float:
        """Returns the largest step of what went into a layer, 0 where it was not rounded."""
        return max((self._steps.get(id(t), 0.0) for t in keras.tree.flatten(given)), default=0.0)

    def _step(self) -> str:
        """Returns a name for a rounding within the steps of a recurrent layer, and notes it."""
        self.steps.append(f"step_{len(self.steps)}")
        return self.steps[-1]

    def _round(self, tensor: Any, grid: Grid, name: str | None) -> Any:
        tensor = grid.layer(name)(tensor)
        self._grids[id(tensor)] = dataclasses.replace(grid, top=None)
        self._steps[id(tensor)] = grid.step
        return tensor


def _is_wide(call: Call) -> bool:
    """Returns whether training gives a tensor of a layer 16 bits."""
    if not isinstance(call.operation, Compressed):
        return False
    slots = [("input", place) for place, _ in enumerate(call.first_argument)]
    slots += [("before_activation", 0), ("output", 0)]
    formats = [wanted_format(call.operation, *slot) for slot in slots]
    return any(isinstance(format, Integer) and format.bits == WIDE_BITS for format in formats)


def _formatted(operation: Any, slot: str, place: int = 0) -> Formatted | None:
    """Returns how training rounds a tensor of a layer to a format without integers, or None."""
    if not isinstance(wanted_format(operation, slot, place), ArrayFormat):
        return None
    rounding = trained_rounding(operation, slot, place)
    return rounding if isinstance(rounding, Formatted) else None


def _limited(rounding: _Rounded, limit: float | None) -> _Rounded:
    """Returns a rounding that gives nothing above `limit`."""
    if limit is None or not isinstance(rounding, Grid):
        return rounding
    top = rounding.extremes[1] if rounding.top is None else rounding.top
    return dataclasses.replace(rounding, top=limit) if top > limit else rounding


def _widened(low: float, high: float, where: str) -> Extremes:
    """Returns a range that contains 0 and is not empty."""
    low, high = min(0.0, float(low)), max(1e-6, float(high))
    if not high - low <= float(np.finfo(np.float32).max):  # NaN neither
        raise ValueError(
            "`samples` must give finite values everywhere in the model. Received: samples with "
            f"values from {low:g} to {high:g} behind {where!r}. Check their scale."
        )
    return low, high


def _batches(samples: Sequence[np.ndarray], size: int = 64) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(samples[0]), size):
        yield [values[start : start + size] for values in samples]


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


@contextlib.contextmanager
def _float32_policy() -> Iterator[None]:
    """Makes new layers compute in float32, whatever the user trains in."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
