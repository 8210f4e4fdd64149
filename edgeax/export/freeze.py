"""Freeze: a trained model becomes a plain one whose every number the device will use is fixed.

Kernels are baked onto their grids with batch normalization folded in, activations are rounded by
fixed ranges, and all shapes are pinned, the batch too: dimensions that may vary leave shape
arithmetic behind. `stages` says what stands for each layer, `unrounded`, `ranges` and `widths` what
is rounded and how, `fixed_rounding` builds it; `frozen` is what comes of it.
"""

import contextlib
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.export.bake import Part, shifted
from edgeax.export.fixed_rounding import FixedRounding
from edgeax.export.frozen import Frozen, FrozenWeight
from edgeax.export.lstm import FusedLSTM
from edgeax.export.ranges import set_input_formats, set_ranges
from edgeax.export.rounding import Grid, Signs
from edgeax.export.stages import Stage, Stages
from edgeax.export.unrounded import leave_to_readers
from edgeax.export.widths import agree_on_width
from edgeax.formats import EncodedTensor
from edgeax.model import placement
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.device import averages
from edgeax.model.graph import Call, trace
from edgeax.model.wrapper import Compressed

# Part of a step that a result of which only the sign is used is lowered by before it is rounded:
# zero rounds up then, and what is below it down. Less than half by what a bias's own steps take.
_SHIFT = 0.49


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
        stages = Stages(trace(copy), samples, integer, wide, counts, uncounted)
        leave_to_readers(stages)
        if integer:
            set_ranges(stages)
            agree_on_width(stages, wide)
            _shift_biases(stages)
        else:
            set_input_formats(stages)
        rounding = FixedRounding()
        inputs, outputs = stages.build(batch, rounding)
        plain = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=model.name)
    return Frozen(
        model=plain,
        weights=tuple(_weights(stages, lambda part: part.kernel)),
        trained=tuple(_weights(stages, lambda part: part.trained)),
        left_out=tuple(_left_out(stages)) if integer else (),
        points=tuple(rounding.points),
        paths=stages.paths,
        lstms=tuple(_lstms(stages)),
        whole=stages.unfolded.whole,
        steps=frozenset(stages.steps),
        step_roundings=frozenset(rounding.steps),
        formatted=tuple(rounding.formatted),
        sums=rounding.sums,
        nearest=rounding.nearest,
    )


def _lstms(stages: Stages) -> Iterator[tuple[str, FusedLSTM]]:
    layers = {
        id(stage.part.layer): (stage.path, stage.part.layer)
        for stage in stages.of_calls()
        if isinstance(stage.part.layer, FusedLSTM)
    }
    yield from layers.values()


def _weights(
    stages: Stages, encoded_of: Callable[[Part], EncodedTensor | None]
) -> Iterator[FrozenWeight]:
    by_part = {id(stage.part): stage for stage in stages.of_calls()}
    for stage in by_part.values():
        part, encoded = stage.part, encoded_of(stage.part)
        if encoded is not None and not stages.is_constant(part):
            is_step = getattr(part.layer, "name", "") in stages.steps
            uses = stages.uses(part)
            yield FrozenWeight(stage.path, part.layer, encoded, uses, is_step, stage.shift)


def _left_out(stages: Stages) -> list[str]:
    paths = {
        stages.graph.path(call.operation): None
        for call in stages.graph.calls
        if isinstance(call.operation, Compressed)
        and call.operation.transforms_kernel
        and not isinstance(call.operation.layer, placement.LINEAR)
    }
    return [*paths]


def _shift_biases(stages: Stages) -> None:
    """Takes half a step off the biases of layers of whose results only the signs are used."""
    for call in stages.graph.calls:
        own = stages.of(call)
        if id(call) in stages.folded:
            call = stages.folded[id(call)]
            own = own + stages.of(call)
        if not own or own[0].part.kernel is None:
            continue
        first, *rest = own
        idle = [stage for stage in rest if isinstance(stage.part.layer, keras.layers.Identity)]
        grids = [stage.rounding for stage in own if isinstance(stage.rounding, Grid)]
        if not grids or idle != rest or not _is_free(stages, first, grids[0]):
            continue
        if isinstance(own[-1].rounding, Signs) or _only_signs(stages, call):
            shift = _SHIFT * grids[0].step
            stages.shift(first, shifted(first.part, -shift), shift)


def _is_free(stages: Stages, stage: Stage, grid: Grid) -> bool:
    """Returns whether training leaves open how the results of a layer are rounded."""
    once = stages.uses(stage.part) == 1 and not stage.is_step
    linear = placement.activation_name(stage.part.layer) == "linear"
    return once and linear and not (grid.trained or grid.is_prescribed)


def _only_signs(stages: Stages, call: Call) -> bool:
    """Returns whether all that reads the results of a call takes their signs."""
    graph = stages.graph
    readers = [
        (tensor, reader) for tensor in call.output_tensors for reader in graph.consumers(tensor)
    ]
    if not readers or graph.is_output(call):
        return False
    for tensor, reader in readers:
        entry = stages.entry(reader)
        if entry:
            places = [p for p, given in enumerate(reader.first_argument) if given is tensor]
            found = [entry[place] for place in places if place in entry]
            if not all(isinstance(stage.rounding, Signs) for stage in found):
                return False
            continue
        layer = placement.plain(reader.operation)
        keeps = isinstance(layer, placement.MOVING) and not averages(layer)
        if not keeps or not _only_signs(stages, reader):
            return False
    return True


@contextlib.contextmanager
def _float32_policy() -> Iterator[None]:
    """Makes new layers compute in float32, whatever the user trains in."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
