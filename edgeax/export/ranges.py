"""Ranges: what activations are rounded to, from samples where training did not follow them."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.export.lstm import CellStates, FusedLSTM
from edgeax.export.nearest import Nearest, WholeNearest
from edgeax.export.rounding import Extremes, Formatted, Grid, Signs, rounding_in, trained_format
from edgeax.export.sign_sums import SignSums, WholeSignSum
from edgeax.export.signs import WholeSign
from edgeax.export.stages import Rounding, Stage, Stages
from edgeax.formats.array_format import ArrayFormat


def set_ranges(stages: Stages) -> None:
    """Sets the roundings that training left open, and what LSTMs have to know of their cells.

    Raises:
        ValueError: Samples give infinite values somewhere.
    """
    tensors = keras.tree.flatten(stages.original.inputs)
    for stage, tensor, values in zip(stages.inputs, tensors, stages.samples, strict=True):
        stage.rounded = keras.backend.is_float_dtype(tensor.dtype)
        if stage.rounded:
            measured = _widened(np.min(values), np.max(values), stage.path)
            stage.rounding = stages.input_rounding(tensor) or Grid(measured)
            if isinstance(stage.rounding, Nearest):
                stage.rounding = dataclasses.replace(stage.rounding, entered=Grid(measured))
    unknown = [stage for stage in stages.all() if stage.rounded and stage.rounding is None]
    if unknown:
        _calibrate(stages, unknown)
    fused = [stage for stage in stages.all() if isinstance(stage.part.layer, FusedLSTM)]
    if fused:
        _measure_cells(stages, fused)


def set_input_formats(stages: Stages) -> None:
    """Rounds the inputs of a float file to formats that it would have no integers for."""
    tensors = keras.tree.flatten(stages.original.inputs)
    for stage, tensor in zip(stages.inputs, tensors, strict=True):
        for call in stages.original.calls:
            for place, given in enumerate(call.first_argument):
                if given is tensor and stage.rounding is None:
                    stage.rounding = trained_format(call.operation, "input", place)
        stage.rounded = stage.rounding is not None


def _calibrate(stages: Stages, unknown: list[Stage]) -> None:
    """Takes the ranges of `unknown` stages from what the model, but for signs unrounded, makes of
    the samples.
    """
    found = _measured(stages, unknown, lambda stage, given, result: result)
    for stage, (low, high) in zip(unknown, found, strict=True):
        most = high if stage.part.limit is None else min(high, stage.part.limit)
        stage.rounding = rounding_in(stage.format, *_widened(low, most, stage.path))
    for stage in unknown:
        format = stage.format
        if isinstance(format, ArrayFormat) and format.measure == "values":
            stage.rounding = Formatted(format, format.fit(_values(stages, stage)))


def _measure_cells(stages: Stages, fused: list[Stage]) -> None:
    """Tells every LSTM how large its cell state gets, which no tensor of the model shows."""
    found = _measured(
        stages, fused, lambda stage, given, result: CellStates(stage.part.layer)(given)
    )
    for stage, (low, high) in zip(fused, found, strict=True):
        lstm = stage.part.layer
        lstm.largest_cell = max(lstm.largest_cell, -float(low), float(high))


def _measured(stages: Stages, wanted: list[Stage], probe: Rounding) -> list[Extremes]:
    """Returns the extremes, over all samples, of what `probe` makes of each stage."""
    inputs, watched = _watched(stages, wanted, probe)
    ends = [find(tensor) for tensor in watched for find in (keras.ops.min, keras.ops.max)]
    model = keras.Model(inputs, ends)
    found = [model.predict_on_batch(batch) for batch in _batches(stages.samples)]
    lows, highs = np.min(found, axis=0)[::2], np.max(found, axis=0)[1::2]
    return list(zip(lows, highs, strict=True))


def _values(stages: Stages, wanted: Stage) -> np.ndarray:
    """Returns the results of a stage for the first samples."""
    inputs, watched = _watched(stages, [wanted], lambda stage, given, result: result)
    first = next(_batches(stages.samples))
    return np.asarray(keras.Model(inputs, watched[0]).predict_on_batch(first))


def _watched(stages: Stages, wanted: list[Stage], probe: Rounding) -> tuple[list[Any], list[Any]]:
    """Returns the inputs of the unrounded model, and what `probe` makes of each stage."""
    results: dict[int, Any] = {}
    watched = {id(stage) for stage in wanted}

    def watch(stage: Stage, given: Any, result: Any) -> Any:
        if id(stage) in watched:
            results[id(stage)] = probe(stage, given, result)
        if isinstance(stage.rounding, Signs):  # nothing like what they are taken of
            return WholeSign(stage.rounding.magnitude)(result)
        if isinstance(stage.rounding, SignSums):
            return WholeSignSum(stage.rounding)(result)
        if isinstance(stage.rounding, Nearest):
            return WholeNearest(stage.rounding)(result)
        return result

    inputs, _ = stages.build(None, watch)
    return inputs, [results[id(stage)] for stage in wanted]


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
