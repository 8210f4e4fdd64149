"""Granularity: what is kept of a model's weights when they are pruned finely or coarsely."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.formats.tables import text_table
from edgeax.model.recipe import Filter
from edgeax.pruning.weights import Weight, masked_copy
from edgeax.transforms.schedules import check_sparsity
from edgeax.transforms.structures import Blocks, Structure, structure_of

STRUCTURES: dict[str, str | Structure] = {
    "element": "element",
    "block 1x4": Blocks(1, 4),
    "block 4x4": Blocks(4, 4),
    "row": "row",
    "kernel": "kernel",
    "filter": "filter",
}
"""Ways to prune, from fine to coarse, by the names that the table gives them."""


@dataclasses.dataclass(frozen=True)
class GranularityRow:
    """What one structure keeps at one sparsity.

    Attributes:
        structure: Which weights go together.
        sparsity: What was asked for.
        reached: The share of weights that is zero: groups cannot be divided.
        retained: The share of the sum of all magnitudes that is kept.
        whole: Paths of layers that were left whole, because all their groups would have gone or
            the structure does not suit them.
    """

    structure: str
    sparsity: float
    reached: float
    retained: float
    whole: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Granularity:
    """One row for each structure and sparsity. Prints as a table of what is retained.

    Attributes:
        rows: Structures in the order given, sparsities within them.
    """

    rows: tuple[GranularityRow, ...]

    def __str__(self) -> str:
        table: dict[str, dict[str, object]] = {}
        for row in self.rows:
            cells = table.setdefault(row.structure, {"structure": row.structure})
            cells[f"at {row.sparsity:g}"] = row.retained
            cells[f"reached {row.sparsity:g}"] = row.reached
        lines = [text_table([*table.values()])]
        for row in self.rows:
            if row.whole:
                where = ", ".join(row.whole)
                lines.append(f"left whole by {row.structure} at {row.sparsity:g}: {where}")
        return "\n".join(lines)


@implements(
    "MHP17",
    test="tests/pruning/test_granularity.py::test_mhp17_fine_pruning_retains_at_least_what_coarse_does",
)
def granularity(
    model: keras.Model,
    sparsities: Sequence[float] = (0.5, 0.75, 0.9),
    structures: Mapping[str, str | Structure] | None = None,
    layers: Filter = ".*",
) -> Granularity:
    """Returns which share of a model's magnitudes is kept when weights, rows of kernels, kernels,
    or filters of the smallest mean magnitude go, each layer by the same share.

    The finer, the more is kept at equal sparsity; coarser ones save more time and store fewer
    places. Nothing is trained, and `model` is not changed. Source: [MHP17].

    Args:
        model: A built model, plain or one whose kernels have a Mask or a Prune.
        sparsities: Shares of weights that go, each in [0, 1).
        structures: Ways to prune by name, as `edgeax.Prune` takes them; None for `STRUCTURES`.
        layers: As for `edgeax.prune`.

    Raises:
        ValueError: An argument is unusable.

    Example: `print(edgeax.granularity(model))`
    """
    ways = _checked_ways(STRUCTURES if structures is None else structures)
    shares = _checked_shares(sparsities)
    _, weights = masked_copy(model, layers)
    rows = [_row(name, way, share, weights) for name, way in ways.items() for share in shares]
    return Granularity(tuple(rows))


def _checked_ways(structures: Any) -> dict[str, Structure]:
    if not isinstance(structures, Mapping) or not structures:
        raise ValueError(
            "`structures` must be a dict of at least one structure, by the names that the table "
            f"gives them. Received: structures={structures!r}. Pass e.g. "
            "{'element': 'element', 'block': Blocks(1, 4)}."
        )
    return {name: structure_of(way) for name, way in structures.items()}


def _checked_shares(sparsities: Any) -> list[float]:
    is_list = isinstance(sparsities, Iterable) and not isinstance(sparsities, str)
    shares = [check_sparsity("sparsities", share) for share in sparsities] if is_list else []
    if not shares:
        raise ValueError(
            "`sparsities` must be a list of at least one share in [0, 1). "
            f"Received: sparsities={sparsities!r}. Pass e.g. (0.5, 0.9)."
        )
    return shares


def _row(
    name: str, structure: Structure, sparsity: float, weights: Sequence[Weight]
) -> GranularityRow:
    total = kept = zeros = size = 0.0
    whole = []
    for weight in weights:
        scores = np.abs(weight.value)
        mask = np.ones(scores.shape, bool)
        try:
            structure.check(scores.shape, sparsity, weight.layout.input_axes)
        except ValueError:
            whole.append(weight.name)
        else:
            tensor = tf.constant(scores)
            mask = structure.mask(tensor, sparsity, weight.layout.input_axes).numpy()
        total += float(scores.sum(dtype=np.float64))
        kept += float(scores[mask].sum(dtype=np.float64))
        zeros += float(np.count_nonzero(~mask))
        size += scores.size
    retained = kept / total if total else 1.0
    return GranularityRow(name, sparsity, zeros / size, retained, tuple(whole))
