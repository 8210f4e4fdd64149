"""Unrounded: results that whoever reads them rounds, or that no integer operator reads."""

import keras

from edgeax.export.rounding import Formatted, Grid
from edgeax.export.stages import APART, Stage, Stages
from edgeax.model import placement
from edgeax.model.graph import Call


def leave_to_readers(stages: Stages) -> None:
    """Leaves the rounding of a result to the only layer that reads it, where that rounds it and
    does not just take its sign, and rounds nothing between layers that compute in float.
    """
    _leave_float_alone(stages)
    for call in stages.graph.calls:
        after = stages.graph.only_consumer(call)
        while after is not None and isinstance(placement.plain(after.operation), placement.MOVING):
            if stages.entry(after):
                break
            after = stages.graph.only_consumer(after)
        last = _last_of(stages, call)
        if last is not None and after is not None and _rounds_again(stages, after):
            last.rounded &= last.rounding is not None or last.part.limit is not None


def _leave_float_alone(stages: Stages) -> None:
    """Rounds no result for which training has no rounding, where its layer computes in float
    and whoever reads it rounds it anyway or computes in float too.
    """
    graph = stages.graph
    free: set[int] = set()  # calls whose results need not be rounded for those who read them
    for call in reversed(graph.calls):
        readers = [reader for tensor in call.output_tensors for reader in graph.consumers(tensor)]
        if all(_rounds_again(stages, reader) or id(reader) in free for reader in readers):
            last = _last_of(stages, call)
            if last is None or (last.rounding is None and last.format is None):
                free.add(id(call))
    integers = {
        id(tensor): not isinstance(stage.rounding, Formatted)
        and not isinstance(stages.input_rounding(tensor), Formatted)
        for tensor, stage in zip(keras.tree.flatten(graph.inputs), stages.inputs, strict=True)
    }
    for call in graph.calls:
        entries = stages.entry(call).values()
        given = all(integers.get(id(tensor), True) for tensor in call.input_tensors)
        if entries:
            given = all(isinstance(entry.rounding, (Grid, *APART)) for entry in entries)
        last = _last_of(stages, call)
        if last is not None and not given and id(call) in free:
            last.rounded = last.part.limit is not None
        if last is not None and last.rounded:
            result = not isinstance(last.rounding, Formatted)
        else:
            result = given
        integers |= {id(tensor): result for tensor in call.output_tensors}


def _rounds_again(stages: Stages, call: Call) -> bool:
    """Returns whether a layer rounds what it gets, to more than signs."""
    entries = stages.entry(call).values()
    return bool(entries) and not any(isinstance(entry.rounding, APART) for entry in entries)


def _last_of(stages: Stages, call: Call) -> Stage | None:
    """Returns the last stage of a call that does more than move values."""
    return next((stage for stage in reversed(stages.of(call)) if not stage.part.moves), None)
