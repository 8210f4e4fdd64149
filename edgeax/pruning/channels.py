"""prune_channels(): whole channels removed from a trained model in one shot."""

import dataclasses
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.formats.tables import text_table
from edgeax.model.case import take_labeled
from edgeax.model.channels import ChannelGroup, channel_groups
from edgeax.model.copying import copy_of
from edgeax.model.objective import Objective
from edgeax.model.rewrite import compile_like, layers_by_path
from edgeax.model.select_channels import remove_channels
from edgeax.pruning import thinet
from edgeax.pruning.channel_case import ChannelCase, ChannelCriterion, ChannelSelection
from edgeax.pruning.channel_choice import (
    ChannelChoice,
    Order,
    removal_order,
    share_of_all,
    share_of_each,
    until_macs,
)
from edgeax.pruning.channel_readings import Pruning
from edgeax.pruning.channel_scores import FilterL1, channel_criterion_of
from edgeax.pruning.reading import Reading
from edgeax.transforms.checks import checked_choice, checked_count, checked_seed

_SCOPES = ("global", "layer")
_MOST_BUILDS = 8

Mending = Callable[[Reading, np.ndarray, np.random.Generator], np.ndarray]
"""Gets what a reader makes of a group and the units that are kept; returns its new kernel."""

RECONSTRUCTIONS: dict[str, Mending] = {
    "least_squares": lambda reading, kept, generator: reading.least_squares(kept),
    "scale": thinet.rescaled,
}
"""How the kernel that reads a group is changed so that its outputs stay as they were."""


@dataclasses.dataclass(frozen=True, eq=False)
class PrunedChannels:
    """A model that has lost channels. Prints as a table of what went.

    Attributes:
        model: A plain Keras model, compiled if the original was.
        removed: The units that went, sorted, int, of each group by its name; see
            `edgeax.channel_groups`.
        sizes: How many units each of these groups had.
        skipped: Why groups were left as they were, by their names.
        notes: What could not be done as asked.
        macs_before: Multiply-accumulates of one sample in the original; None where sizes may vary.
        macs_after: The same in `model`.
        parameters_before: Weights of the original, all counted.
        parameters_after: The same of `model`.
    """

    model: keras.Model
    removed: dict[str, np.ndarray]
    sizes: dict[str, int]
    skipped: dict[str, str]
    notes: tuple[str, ...]
    macs_before: int | None
    macs_after: int | None
    parameters_before: int
    parameters_after: int

    def __str__(self) -> str:
        rows = [
            {"group": name, "units": size, "removed": len(self.removed[name])}
            for name, size in self.sizes.items()
        ]
        counts = [
            ("MACs", self.macs_before, self.macs_after),
            ("parameters", self.parameters_before, self.parameters_after),
        ]
        lines = [
            text_table(rows),
            *(
                f"{name}: {before:,} -> {after:,} ({100.0 * after / max(before, 1):.1f} %)"
                for name, before, after in counts
                if before is not None and after is not None
            ),
            *(f"left as it was: {name}: {why}" for name, why in self.skipped.items()),
            *self.notes,
        ]
        return "\n".join(lines)


def prune_channels(
    model: keras.Model,
    sparsity: float | Mapping[str, float] | None = None,
    macs: float | None = None,
    criterion: str | ChannelCriterion | ChannelSelection = "l1",
    scope: str | None = None,
    samples: Any = None,
    labels: Any = None,
    loss: Any = None,
    reconstruct: str | bool | None = None,
    min_units: int = 1,
    multiple_of: int = 1,
    places: int = 10,
    seed: int = 0,
) -> PrunedChannels:
    """Returns a smaller copy of `model` without the channels that a criterion finds least needed.

    Channels that depend on each other, such as those that a residual connection adds, go as one
    unit; `edgeax.channel_groups` lists them. Nothing is trained: `fit` the result for a while.

    Args:
        model: A built Sequential or functional model, not compressed. It is not changed.
        sparsity: Share of units to remove, in [0, 1): of each group, or of all together, as `scope`
            says. Or a share for each of some groups by their names; the others stay whole.
        macs: Instead: the share of multiply-accumulates to keep, in (0, 1). The lowest scores go
            one by one until no more are left than that.
        criterion: What units are worth: `"l1"`, `"l2"` [LKD17], `"batch_norm_scale"` [LLS17],
            `"taylor"` [MTK16], `"near_zero"`, `"global_rank"` [CDZM20], `"random"`; or what chooses
            those that explain the outputs of the layer behind, `"lasso"` [HZS17], `"thinet"`
            [LWL17]; or an object of that kind, such as `edgeax.pruning.GlobalRank(kappa=...)`; see
            `edgeax.pruning.CHANNEL_CRITERIA`.
        scope: `"global"`: one threshold for the scores of all units. `"layer"`: each group loses
            the same share. None: as the criterion is meant; `"lasso"` and `"thinet"` know only
            `"layer"`.
        samples: Typical inputs, as for `edgeax.quantize`; of more than 512 the first. Needed by
            `"taylor"`, `"near_zero"`, `"lasso"`, `"thinet"` and `reconstruct`.
        labels: Of the samples, as `fit` takes them. None: those of a `tf.data.Dataset`. Needed by
            `"taylor"`.
        loss: A name, a Keras loss or a function, for a model with one output. None: what the model
            was compiled with.
        reconstruct: How the layer behind makes up for what it does not get any more, in the order
            of the layers, the outputs of the original as target: `"least_squares"` gives it new
            weights [HZS17], `"scale"` one factor for each channel [LWL17]. None: as the criterion
            is meant, which is not at all but for `"lasso"` and `"thinet"`. False: not at all.
            Groups that one Dense or convolution reads can be made up for, others not.
        min_units: What every group keeps at least, 1 or more; those that have no more stay whole.
        multiple_of: What a group that loses channels keeps is a multiple of this: vector units take
            8 or 16 channels at a time, and a few less would gain no time.
        places: At how many random places of each sample the layer behind is looked at, 1 or more.
        seed: Of what is random, at least 0. The same seed gives the same model.

    Raises:
        ValueError: The model or an argument is unusable, samples or labels are missing, nothing can
            be removed, or `macs` cannot be reached.

    Example: `edgeax.prune_channels(model, macs=0.5, criterion="lasso", samples=images).model`
    """
    chosen = channel_criterion_of(criterion)
    mending = _mending(chosen, reconstruct)
    scope = _checked_scope(chosen, scope)
    _check_amounts(sparsity, macs, min_units=min_units, multiple_of=multiple_of, places=places)
    seed = checked_seed(seed)
    groups = channel_groups(model)
    free = [group for group in groups if not group.reason]
    fixed = {group.name: group.reason for group in groups if group.reason}
    case = _case(model, free, chosen, mending, samples, labels, loss, seed)
    scorer = FilterL1() if isinstance(chosen, ChannelSelection) else chosen
    scores = _scores(scorer, case)
    skipped = {**{n: w for n, w in fixed.items() if n not in scores}, **case.skipped}
    case.groups = [group for group in free if group.name in scores]
    if not case.groups:
        reasons = "".join(f"\n- {name}: {why}" for name, why in skipped.items())
        raise ValueError(
            "`model` must have channels that can go. Received: one in which all stay. "
            f"Look at edgeax.channel_groups(model).{reasons}"
        )
    order = removal_order(scores, scope, multiple_of)
    sizes = {group.name: group.size for group in case.groups}
    if macs is None:
        choice = _share(order, sizes, sparsity, scope, min_units)
        return _built(case, choice, chosen, mending, places, min_units, skipped)
    most = goal = macs * case.macs.total
    for _ in range(_MOST_BUILDS):
        choice = until_macs(order, sizes, case.macs, goal, min_units)
        if not choice.complete:
            break
        result = _built(case, choice, chosen, mending, places, min_units, skipped)
        over = (result.macs_after or 0) - most
        if over <= 0:
            return result
        goal -= over  # layers whose count is no product of their channels
    raise ValueError(
        f"`macs` must be a share that can be reached. Received: macs={macs}, of which removing "
        f"all but min_units={min_units} of each group falls short. Ask for less, or see why "
        f"layers keep their channels: {skipped or 'all groups lose some'}."
    )


def _share(
    order: Order,
    sizes: Mapping[str, int],
    sparsity: Any,
    scope: str,
    min_units: int,
) -> ChannelChoice:
    if not isinstance(sparsity, Mapping):
        if scope == "global":
            return share_of_all(order, sizes, sparsity, min_units)
        return share_of_each(order, sizes, dict.fromkeys(sizes, sparsity), min_units)
    unknown = sorted({*sparsity} - {*sizes})
    if unknown:
        raise ValueError(
            f"`sparsity` must be for groups of channels that can go, {[*sizes]}. "
            f"Received: {unknown}."
        )
    return share_of_each(order, sizes, {**dict.fromkeys(sizes, 0.0), **sparsity}, min_units)


def _built(
    case: ChannelCase,
    choice: ChannelChoice,
    chosen: ChannelCriterion | ChannelSelection,
    mending: Mending | None,
    places: int,
    min_units: int,
    skipped: Mapping[str, str],
) -> PrunedChannels:
    """Returns the pruned model."""
    removed = {name: np.sort(units) for name, units in choice.removed.items()}
    kernels: dict[str, np.ndarray] = {}
    sizes = {group.name: group.size for group in case.groups}
    notes = [
        _held(name, sizes[name], sizes[name] - len(removed[name]), min_units)
        for name in choice.at_least
    ]
    if isinstance(chosen, ChannelSelection) or mending is not None:
        removed, kernels, more = _reconstructed(case, removed, chosen, mending, places)
        notes += more
    gone = {name: units for name, units in removed.items() if len(units)}
    result = remove_channels(_with_kernels(case.model, kernels), gone)
    if not result.model.compiled:
        compile_like(result.model, case.model)
    return PrunedChannels(
        result.model,
        removed,
        sizes,
        dict(skipped),
        tuple(notes),
        result.macs_before,
        result.macs_after,
        result.parameters_before,
        result.parameters_after,
    )


def _held(name: str, size: int, kept: int, min_units: int) -> str:
    """Returns the note on a group that was kept from losing more."""
    if kept == min_units < size:
        return f"{name} is down to min_units={min_units}."
    how = f"all its {size}" if kept == size else f"{kept} of its {size}"
    return f"{name} keeps {how} units, because of min_units={min_units}."


def _reconstructed(
    case: ChannelCase,
    removed: Mapping[str, np.ndarray],
    chosen: ChannelCriterion | ChannelSelection,
    mending: Mending | None,
    places: int,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[str]]:
    """Returns the units that go, the kernels that change, and notes: group by group, as the layers
    follow each other.
    """
    selection = chosen if isinstance(chosen, ChannelSelection) else None
    pruning = Pruning(case, places)
    generator = np.random.default_rng(case.seed)
    gone, notes = {}, []
    for group in pruning.in_order():
        units = removed[group.name]
        if len(units):
            why = pruning.why_not(group)
            kept = np.setdiff1d(np.arange(group.size), units)
            if why:
                how = "chosen by l1 and not reconstructed" if selection else "not reconstructed"
                notes.append(f"{group.name} is {how}: {why}")
            else:
                reading = pruning.reading(group, generator)
                if selection is not None:
                    kept = selection.chosen(reading, len(kept), generator)
                if mending is not None:
                    pruning.set_kernel(group, mending(reading, kept, generator))
            pruning.keep(group, kept)
            units = np.setdiff1d(np.arange(group.size), kept)
        gone[group.name] = units
    return {group.name: gone[group.name] for group in case.groups}, pruning.kernels, notes


def _with_kernels(model: keras.Model, kernels: Mapping[str, np.ndarray]) -> keras.Model:
    """Returns the model, or a copy in which some layers have other kernels."""
    if not kernels:
        return model
    copy = copy_of(model)
    layers = layers_by_path(copy)
    for path, kernel in kernels.items():
        layers[path].kernel.assign(kernel)
    return copy


def _scores(criterion: ChannelCriterion, case: ChannelCase) -> dict[str, np.ndarray]:
    scores = criterion.scores(case)
    for name, values in scores.items():
        if not np.isfinite(values).all():
            raise ValueError(
                f"`criterion` must give finite scores. Received: NaN or infinity for {name!r} from "
                f"{type(criterion).__name__}. Look at the loss of the samples and their labels."
            )
    return scores


def _case(
    model: keras.Model,
    groups: Sequence[ChannelGroup],
    chosen: ChannelCriterion | ChannelSelection,
    mending: Mending | None,
    samples: Any,
    labels: Any,
    loss: Any,
    seed: int,
) -> ChannelCase:
    """Returns the case with what the criterion needs, and no more.

    Raises:
        ValueError: It is missing.
    """
    case = ChannelCase(model, groups, seed=seed)
    name = type(chosen).__name__
    if not chosen.needs_samples and mending is None:
        return case
    if samples is None:
        raise ValueError(
            f"`samples` must be typical inputs: {name} and reconstruct look at what layers read. "
            "Received: None. Pass a few hundred: an array, or a tf.data.Dataset."
        )
    case.samples, given, _ = take_labeled(samples, labels, model)
    if chosen.needs_labels:
        if given is None:
            raise ValueError(
                f"`labels` must be those of the samples: {name} looks at how the loss changes. "
                "Received: None. Pass them as fit() takes them."
            )
        case.labels = given
        case.objective = Objective(model, loss)
        case.objective.check(given)
    return case


def _mending(
    chosen: ChannelCriterion | ChannelSelection, reconstruct: str | bool | None
) -> Mending | None:
    if reconstruct is None:
        reconstruct = getattr(chosen, "reconstruct", False)
    if reconstruct is False:
        return None
    if not isinstance(reconstruct, str) or reconstruct not in RECONSTRUCTIONS:
        raise ValueError(
            f"`reconstruct` must be one of {sorted(RECONSTRUCTIONS)}, False or None. "
            f"Received: {reconstruct!r}."
        )
    return RECONSTRUCTIONS[reconstruct]


def _checked_scope(chosen: ChannelCriterion | ChannelSelection, scope: str | None) -> str:
    scope = checked_choice("scope", chosen.scope if scope is None else scope, _SCOPES)
    if scope == "global" and isinstance(chosen, ChannelSelection):
        raise ValueError(
            f"`scope` must be 'layer' for {type(chosen).__name__}, which compares the channels of "
            "one layer only. Received: 'global'."
        )
    return scope


def _check_amounts(sparsity: Any, macs: Any, **counts: Any) -> None:
    if (sparsity is None) == (macs is None):
        raise ValueError(
            "`sparsity` or `macs` must be given, and not both. Received: "
            f"sparsity={sparsity!r}, macs={macs!r}. Pass e.g. macs=0.5."
        )
    shares = [*sparsity.values()] if isinstance(sparsity, Mapping) else [sparsity]
    for share in shares if macs is None else []:
        if not isinstance(share, numbers.Real) or not 0.0 <= float(share) < 1.0:
            raise ValueError(f"`sparsity` must lie in [0, 1). Received: sparsity={sparsity!r}.")
    if macs is not None and not (isinstance(macs, numbers.Real) and 0.0 < float(macs) < 1.0):
        raise ValueError(f"`macs` must lie in (0, 1). Received: macs={macs!r}.")
    for name, value in counts.items():
        checked_count(name, value)
