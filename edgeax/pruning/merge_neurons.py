"""merge_neurons(): of two neurons with similar weights one goes, and the other speaks for it.

No data is needed: where `w_i . x = w_j . x` for every x, what reads both may read one twice.
"""

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.formats.tables import text_table
from edgeax.model.channels import ChannelGroup, ChannelSlice, channel_groups, values_of
from edgeax.model.copying import copy_of
from edgeax.model.rewrite import compile_like, layers_by_path
from edgeax.model.select_channels import remove_channels
from edgeax.pruning.slices import is_even, is_named, positions_of_units

_DENSE = (keras.layers.Dense,)
_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


@dataclasses.dataclass(frozen=True)
class Merge:
    """A neuron that went.

    Attributes:
        removed: Its number in the group.
        into: The number of the neuron that took its outgoing weights over.
        saliency: What that costs; see `saliency_curve`.
    """

    removed: int
    into: int
    saliency: float


@dataclasses.dataclass(frozen=True, eq=False)
class MergedNeurons:
    """A model some of whose neurons were merged. Prints as a table.

    Attributes:
        model: A plain Keras model, compiled if the original was.
        merged: The merges of each layer in their order, by its path.
        sizes: How many neurons each of these layers had.
        skipped: Why other layers were left as they were, by their paths.
        parameters_before: Weights of the original, all counted.
        parameters_after: The same of `model`.
    """

    model: keras.Model
    merged: dict[str, tuple[Merge, ...]]
    sizes: dict[str, int]
    skipped: dict[str, str]
    parameters_before: int
    parameters_after: int

    def __str__(self) -> str:
        before, after = self.parameters_before, self.parameters_after
        rows = [
            {
                "layer": name,
                "neurons": self.sizes[name],
                "merged": len(merges),
                "largest saliency": max((m.saliency for m in merges), default=None),
            }
            for name, merges in self.merged.items()
        ]
        lines = [
            text_table(rows),
            f"parameters: {before:,} -> {after:,} ({100.0 * after / max(before, 1):.1f} %)",
            *(f"left as it was: {name}: {why}" for name, why in self.skipped.items()),
        ]
        return "\n".join(lines)


@implements(
    "SB15", test="tests/pruning/test_merge_neurons.py::test_sb15_duplicates_go_and_nothing_changes"
)
def merge_neurons(
    model: keras.Model,
    count: int | Mapping[str, int] | None = None,
    convolutions: bool = False,
) -> MergedNeurons:
    """Returns a smaller copy of `model` in which similar neurons of Dense layers are merged.

    Neuron j goes into neuron i at the saliency `<a_j**2> |W_i - W_j|**2`, W the weights and the
    bias that make a neuron, `<a_j**2>` the mean square of those that read it. j is removed,
    `a_i += a_j`, and the saliencies are taken anew; the lowest is merged first. Exact duplicates go
    at 0, and nothing changes. Needs no data and no training. Source: [SB15].

    Args:
        model: A built Sequential or functional model, not compressed. It is not changed.
        count: How many neurons go of each layer, or of some by their paths. None: as many as
            `mode_cutoff` says.
        convolutions: Whether the filters of convolutions are merged too. What is folded into them
            by `edgeax.fold_batch_norm` counts; those with a batch normalization behind stay.

    Raises:
        ValueError: The model or `count` is unusable, or no layer can lose a neuron.

    Example: `print(edgeax.merge_neurons(model, count={"hidden": 100}))`
    """
    kinds = (*_DENSE, *(_CONVOLUTIONS if convolutions else ()))
    groups = channel_groups(model)
    copy = copy_of(model)
    reasons = [_why_not(copy, group, kinds) for group in groups]
    chosen = [group for group, why in zip(groups, reasons, strict=True) if not why]
    names = {group.name for group in chosen}
    skipped = {
        group.name: why
        for group, why in zip(groups, reasons, strict=True)
        if why and group.name not in names
    }
    counts = _counts(count, {group.name: group.size for group in chosen}, skipped)
    merged = {group.name: _merge(copy, group, counts[group.name]) for group in chosen}
    gone = {name: [m.removed for m in merges] for name, merges in merged.items() if merges}
    smaller = remove_channels(copy, gone)
    compile_like(smaller.model, model)
    return MergedNeurons(
        smaller.model,
        merged,
        {group.name: group.size for group in chosen},
        skipped,
        smaller.parameters_before,
        smaller.parameters_after,
    )


def saliency_curve(incoming: np.ndarray, outgoing: np.ndarray) -> list[Merge]:
    """Returns the merges of a layer down to one neuron, each the one of the lowest saliency.

    Args:
        incoming: W, float64 `(neurons, inputs)`, the bias among the inputs.
        outgoing: a, float64 `(neurons, outputs)`.
    """
    outgoing = np.array(outgoing, np.float64)
    distances = _squared_distances(np.asarray(incoming, np.float64))
    np.fill_diagonal(distances, np.inf)
    alive = np.ones(len(distances), bool)
    nearest = distances.argmin(0)
    squares = np.mean(outgoing**2, axis=1)
    merges = []
    while alive.sum() > 1:
        left = np.flatnonzero(alive)
        saliencies = squares[left] * distances[nearest[left], left]
        lowest = int(np.argmin(saliencies))
        removed, into = int(left[lowest]), int(nearest[left[lowest]])
        merges.append(Merge(removed, into, float(saliencies[lowest])))
        outgoing[into] += outgoing[removed]
        squares[into] = np.mean(outgoing[into] ** 2)
        alive[removed] = False
        distances[removed] = np.inf
        stale = np.flatnonzero(alive & (nearest == removed))
        nearest[stale] = distances[:, stale].argmin(0)
    return merges


def mode_cutoff(merges: list[Merge]) -> int:
    """Returns how many merges of a saliency curve come before one above the mode of the curve.

    The mode, where its values lie most densely, is found by taking the narrowest half of them until
    two are left; it is their mean.
    """
    values = np.sort([merge.saliency for merge in merges])
    while len(values) > 2:
        half = (len(values) + 1) // 2
        widths = values[half - 1 :] - values[: len(values) - half + 1]
        start = int(np.argmin(widths))
        values = values[start : start + half]
    mode = float(np.mean(values)) if len(values) else 0.0
    above = [place for place, merge in enumerate(merges) if merge.saliency > mode]
    return above[0] if above else len(merges)


def _squared_distances(rows: np.ndarray) -> np.ndarray:
    """Returns `|W_i - W_j|**2`, exactly 0 for equal rows."""
    return np.stack([np.sum((rows - row) ** 2, axis=1) for row in rows])


def _merge(model: keras.Model, group: ChannelGroup, count: int | None) -> tuple[Merge, ...]:
    """Merges neurons of a group in the model; those that went are read with zeros."""
    incoming = np.concatenate([_by_unit(model, group, one) for one in group.makers], axis=1)
    read = [_by_unit(model, group, one) for one in group.readers]
    curve = saliency_curve(incoming, np.concatenate(read, axis=1))
    merges = curve[: mode_cutoff(curve) if count is None else count]
    for one, outgoing in zip(group.readers, read, strict=True):
        for merge in merges:
            outgoing[merge.into] += outgoing[merge.removed]
            outgoing[merge.removed] = 0.0
        _set_by_unit(model, group, one, outgoing)
    return tuple(merges)


def _by_unit(model: keras.Model, group: ChannelGroup, one: ChannelSlice) -> np.ndarray:
    """Returns what a weight has for each unit of a group, float64 `(units, values)`."""
    values = values_of(model, one).astype(np.float64)[positions_of_units(one.units, group.size)]
    return values.reshape(group.size, -1)


def _set_by_unit(
    model: keras.Model, group: ChannelGroup, one: ChannelSlice, values: np.ndarray
) -> None:
    layer = layers_by_path(model)[one.path]
    variable = next(v for v in layer.weights if is_named(v, one.weight))
    moved = np.moveaxis(np.asarray(variable).copy(), one.axis, 0)
    positions = positions_of_units(one.units, group.size)
    moved[positions] = values.reshape(*positions.shape, *moved.shape[1:])
    variable.assign(np.moveaxis(moved, 0, one.axis))


def _why_not(model: keras.Model, group: ChannelGroup, kinds: tuple[type, ...]) -> str:
    """Returns why neurons of a group are not merged, `""` if they are."""
    if group.reason:
        return group.reason
    layer = layers_by_path(model)[group.name]
    if type(layer) not in kinds:
        return f"it is a {type(layer).__name__}."
    others = [one for one in group.makers if one.path != group.name]
    if others:
        names = ", ".join(dict.fromkeys(repr(one.path) for one in others))
        return f"{names} makes or changes its channels too; fold batch normalizations first."
    if not group.readers:
        return "no layer with weights reads it."
    for one in (*group.makers, *group.readers):
        if not is_even(one.units, group.size):
            return f"{one.path!r} has not equally many channels for each of its neurons."
    return ""


def _counts(
    count: Any, sizes: Mapping[str, int], skipped: Mapping[str, str]
) -> dict[str, int | None]:
    """Returns how many neurons of each layer go; None where the mode says so.

    Raises:
        ValueError: There is no such layer, or a number is out of range.
    """
    if not sizes:
        raise ValueError(
            "`model` must have a layer whose neurons can be merged. Received: one in which all "
            f"stay: {dict(skipped)}."
        )
    if count is None:
        return dict.fromkeys(sizes)
    given = dict(count) if isinstance(count, Mapping) else dict.fromkeys(sizes, count)
    for name, value in given.items():
        if name not in sizes:
            raise ValueError(
                f"`count` must be for layers whose neurons can be merged, {[*sizes]}. "
                f"Received: {name!r}. {skipped.get(name, '')}".rstrip()
            )
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_whole or not 0 <= value < sizes[name]:
            raise ValueError(
                f"`count` must be an integer in [0, {sizes[name] - 1}] for {name!r}, which has "
                f"{sizes[name]} neurons. Received: {value!r}."
            )
    return {name: given.get(name, 0) for name in sizes}
