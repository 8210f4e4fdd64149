"""Widths: where some tensors have 16 bits, all have."""

import keras

from edgeax.export.bake import Part
from edgeax.export.lstm import FusedLSTM
from edgeax.export.rounding import WIDE_BITS, Grid
from edgeax.export.stages import Stage, Stages
from edgeax.export.wide import WideActivation, WideConcatenation, changed_grid
from edgeax.model import placement

_layers = keras.layers


def agree_on_width(stages: Stages, wide: bool) -> None:
    """Gives all tensors 16 bits if some have: the operators take no others beside them.

    Args:
        stages: With ranges.
        wide: Whether activations that training did not round get 16 bits.

    Raises:
        ValueError: Training rounds some tensors to 16 bits and others to fewer, or a layer is an
            LSTM, which takes no 16 bits.
    """
    every = [*stages.inputs, *stages.all()]
    grids = [(stage, stage.rounding) for stage in every if isinstance(stage.rounding, Grid)]
    if not wide and all(grid.bits != WIDE_BITS for _, grid in grids):
        return
    lstm = next((stage for stage in every if isinstance(stage.part.layer, FusedLSTM)), None)
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
            stages.replace_part(stage, Part(WideActivation(name)))
    _align_concatenations(stages)


def _align_concatenations(stages: Stages) -> None:
    """Gives what a 16-bit concatenation joins one grid, the widest of them: the operator wants
    it so, and the converter sees to it in 8 bits only.
    """
    converted: dict[int, tuple[Stage, Grid]] = {}
    groups = _joined(stages)
    for group in [*groups, *reversed(groups)]:  # one may be joined again further on
        grids = [stage.rounding for stage in group if isinstance(stage.rounding, Grid)]
        widest = max(grids, key=lambda grid: grid.step)
        for stage in group:
            if isinstance(stage.rounding, Grid) and stage.rounding.is_prescribed:
                converted[id(stage)] = stage, widest
            elif isinstance(stage.rounding, Grid):
                stage.rounding = widest
    for stage, grid in converted.values():
        stages.put_behind(stage, Part(changed_grid(), moves=False), grid)


def _joined(stages: Stages) -> list[list[Stage]]:
    """Makes concatenations those of 16 bits; returns the stages that each joins, its own first."""
    for call in stages.graph.calls:
        whole = placement.concatenation_of(stages.graph, call)
        if whole is not None and stages.of(call):
            stage = stages.of(call)[-1]
            stage.rounded, stage.rounding = True, stages.of(whole)[-1].rounding
    last: dict[int, Stage] = {}
    inputs = zip(keras.tree.flatten(stages.graph.inputs), stages.inputs, strict=True)
    last.update({id(tensor): stage for tensor, stage in inputs})
    groups: list[list[Stage]] = []
    for call in stages.graph.calls:
        rounded = [stage for stage in stages.of(call) if stage.rounded]
        given = [last[id(t)] for t in call.input_tensors if id(t) in last]
        layer = placement.plain(call.operation)
        if isinstance(layer, _layers.Concatenate):
            groups.append(rounded[-1:] + given)
            axis = layer.axis % len(call.output_tensors[0].shape)
            stages.replace_part(rounded[-1], Part(WideConcatenation(axis)))
        ends = rounded[-1:] or given[:1]
        last.update({id(tensor): ends[0] for tensor in call.output_tensors if ends})
    return groups
