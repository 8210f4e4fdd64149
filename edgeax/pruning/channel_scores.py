"""Criteria: how much a channel is worth. Those of the lowest score go."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.model.channels import ChannelGroup, ChannelSlice
from edgeax.model.wrapper import slot_of
from edgeax.pruning.channel_case import ChannelCase, ChannelCriterion, ChannelSelection
from edgeax.pruning.lasso import Lasso
from edgeax.pruning.slices import per_unit
from edgeax.pruning.thinet import ThiNet
from edgeax.transforms.checks import checked_positive, named_object

_TEST = "tests/pruning/test_channel_scores.py::"
_WHOLE = "tests/pruning/test_channels.py::"


class _OfFilters(ChannelCriterion):
    """A sum over all weights that make a unit."""

    def scores(self, case: ChannelCase) -> dict[str, np.ndarray]:
        """See `ChannelCriterion.scores`."""
        return {group.name: _over_filters(case, group, self._measure) for group in case.groups}

    def _measure(self, weights: np.ndarray) -> np.ndarray:
        raise NotImplementedError


@implements(
    "LKD17",
    test=_WHOLE + "test_lkd17_the_smallest_filters_go_and_the_masked_model_computes_the_same",
)
class FilterL1(_OfFilters):
    """The l1 norm of the filters that make a unit, summed over all layers that make it together.

    Larger filters have larger norms: within a layer it compares, across layers it favours those
    with many inputs. Source: [LKD17].
    """

    def _measure(self, weights: np.ndarray) -> np.ndarray:
        return np.abs(weights)


class FilterL2(_OfFilters):
    """The l2 norm of all weights that make a unit."""

    def _measure(self, weights: np.ndarray) -> np.ndarray:
        return np.square(weights)

    def scores(self, case: ChannelCase) -> dict[str, np.ndarray]:
        """See `ChannelCriterion.scores`."""
        return {name: np.sqrt(squares) for name, squares in super().scores(case).items()}


@implements(
    *("CDZM19", "CDZM20"), test=_WHOLE + "test_cdzm19_cdzm20_one_filter_less_misses_the_target"
)
class GlobalRank(ChannelCriterion):
    """`alpha * |filter|_2**2 + kappa`, with an alpha and a kappa for each group, over all layers.

    The squared norms of layers that make a unit together add up. The defaults, 1 and 0, rank all
    filters of the model by their norm; a search for better ones is not done here.
    Source: [CDZM19], [CDZM20].

    Args:
        alpha: One number, or numbers above 0 by the names of groups; 1 for those left out.
        kappa: The same with any finite numbers; 0 for those left out.

    Raises:
        ValueError: An argument is none of these, or, when it scores, names no group.
    """

    scope = "global"

    def __init__(
        self, alpha: float | Mapping[str, float] = 1.0, kappa: float | Mapping[str, float] = 0.0
    ) -> None:
        for name, given in {"alpha": alpha, "kappa": kappa}.items():
            values = np.asarray([*given.values()] if isinstance(given, Mapping) else [given])
            is_number = np.issubdtype(values.dtype, np.number) or not values.size
            if not is_number or not np.isfinite(values).all():
                raise ValueError(f"`{name}` must be finite. Received: {name}={given!r}.")
            if name == "alpha" and not (values > 0.0).all():
                raise ValueError(f"`alpha` must be above 0. Received: alpha={given!r}.")
        self.alpha = alpha
        self.kappa = kappa

    def scores(self, case: ChannelCase) -> dict[str, np.ndarray]:
        """See `ChannelCriterion.scores`."""
        for name, given in {"alpha": self.alpha, "kappa": self.kappa}.items():
            groups = [group.name for group in case.groups]
            unknown = sorted({*given} - {*groups}) if isinstance(given, Mapping) else []
            if unknown:
                raise ValueError(
                    f"`{name}` must be for groups of channels that can go, {groups}. "
                    f"Received: {unknown}."
                )
        found = {}
        for group in case.groups:
            alpha, kappa = (
                given.get(group.name, otherwise) if isinstance(given, Mapping) else given
                for given, otherwise in ((self.alpha, 1.0), (self.kappa, 0.0))
            )
            found[group.name] = alpha * _over_filters(case, group, np.square) + kappa
        return found


@implements("LLS17", test=_WHOLE + "test_lls17_one_percentile_of_all_gammas_is_the_threshold")
class BatchNormScale(ChannelCriterion):
    """|gamma| of the batch normalization of a unit, over all layers: network slimming.

    Where several normalize the same unit, the mean of theirs. Train with an l1 penalty on the
    gammas before. Groups without a gamma are left alone. Source: [LLS17].
    """

    scope = "global"

    def scores(self, case: ChannelCase) -> dict[str, np.ndarray]:
        """See `ChannelCriterion.scores`."""
        found = {}
        for group in case.groups:
            gammas = [one for one in group.makers if one.weight == "gamma"]
            if not gammas:
                case.skipped[group.name] = "no batch normalization scales it."
                continue
            sums = [_of_slice(case, one, group.size, np.abs) for one in gammas]
            counts = [per_unit(np.ones(len(g.units)), g.units, group.size) for g in gammas]
            found[group.name] = sum(sums) / np.maximum(sum(counts), 1.0)
        return found


@implements("MTK16", test=_TEST + "test_mtk16_ranks_like_the_change_of_the_loss_better_than_norms")
class ChannelTaylor(ChannelCriterion):
    """How much the loss changes without a unit, to first order: `|a * dL/da|`.

    a is what the layers read that read the unit. `a * dL/da` is averaged over the positions of a
    sample, its magnitude over the samples, and the scores of a group are divided by their l2 norm,
    which makes sums do for means. Source: [MTK16].

    Args:
        macs_weight: The lambda of `score - lambda * (share of the model's multiply-accumulates that
            goes with the unit)`, at least 0; 0 looks at the loss alone.

    Raises:
        ValueError: `macs_weight` is out of its range.
    """

    needs_samples = True
    needs_labels = True
    scope = "global"

    def __init__(self, macs_weight: float = 0.0) -> None:
        if not 0.0 <= macs_weight < np.inf:
            raise ValueError(
                f"`macs_weight` must be at least 0 and finite. Received: {macs_weight!r}."
            )
        self.macs_weight = macs_weight

    def scores(self, case: ChannelCase) -> dict[str, np.ndarray]:
        """See `ChannelCriterion.scores`."""
        groups = case.seen_groups
        sums = {group.name: np.zeros(group.size) for group in groups}
        for inputs, labels in case.batches():
            for name, slopes in _gate_slopes(case, groups, inputs, labels).items():
                sums[name] += np.abs(slopes).sum(0)
        found = {}
        for group in groups:
            norm = np.linalg.norm(sums[group.name])
            scores = sums[group.name] / (norm if norm > 0.0 else 1.0)
            if self.macs_weight:
                saved = case.macs.saved(group.name, group.size) / max(case.macs.total, 1)
                scores = scores - self.macs_weight * saved
            found[group.name] = scores
        return found


class NearZeroChannels(ChannelCriterion):
    """The mean share of the values of a unit that are not near zero where they are read.

    Args:
        threshold: What is below it in magnitude is near zero; above 0.

    Raises:
        ValueError: `threshold` is not above 0.
    """

    needs_samples = True

    def __init__(self, threshold: float = 1e-3) -> None:
        self.threshold = checked_positive("threshold", threshold)

    def scores(self, case: ChannelCase) -> dict[str, np.ndarray]:
        """See `ChannelCriterion.scores`."""
        groups = case.seen_groups
        large = {group.name: np.zeros(group.size) for group in groups}
        counts = {group.name: np.zeros(group.size) for group in groups}
        readers: dict[str, list[tuple[ChannelGroup, ChannelSlice]]] = {}
        for group in groups:
            for one in group.readers:
                readers.setdefault(one.path, []).append((group, one))

        def watch(path: str, given: Any) -> None:
            flat = np.asarray(given).reshape(-1, given.shape[-1])
            found = np.count_nonzero(np.abs(flat) >= self.threshold, axis=0)
            for group, one in readers[path]:
                large[group.name] += per_unit(found, one.units, group.size)
                ones = np.full(flat.shape[1], len(flat))
                counts[group.name] += per_unit(ones, one.units, group.size)

        for inputs, _ in case.batches():
            case.run(inputs, watch=watch)
        return {group.name: large[group.name] / counts[group.name] for group in groups}


class RandomChannels(ChannelCriterion):
    """Random scores, uniform in [0, 1): what every other criterion should beat."""

    def scores(self, case: ChannelCase) -> dict[str, np.ndarray]:
        """See `ChannelCriterion.scores`."""
        generator = np.random.default_rng(case.seed)
        return {group.name: generator.random(group.size) for group in case.groups}


CHANNEL_CRITERIA: dict[str, Callable[[], ChannelCriterion | ChannelSelection]] = {
    "l1": FilterL1,
    "l2": FilterL2,
    "batch_norm_scale": BatchNormScale,
    "taylor": ChannelTaylor,
    "near_zero": NearZeroChannels,
    "random": RandomChannels,
    "global_rank": GlobalRank,
    "lasso": Lasso,
    "thinet": ThiNet,
}


def channel_criterion_of(given: Any) -> ChannelCriterion | ChannelSelection:
    """Returns the criterion that a word or object stands for.

    Raises:
        ValueError: There is no such criterion.
    """
    return named_object("criterion", given, CHANNEL_CRITERIA, (ChannelCriterion, ChannelSelection))


def _gate_slopes(
    case: ChannelCase, groups: list[ChannelGroup], inputs: list[np.ndarray], labels: Any
) -> dict[str, np.ndarray]:
    """Returns the sum over positions of `a * dL/da`, L the loss of a sample, by group.

    It is the slope of the loss along a gate that multiplies the unit wherever it is read.

    Returns:
        float64 `(samples, units)` for each group.
    """
    if case.objective is None:
        raise ValueError("`objective` must be given with labels. Received: None.")
    count = len(inputs[0])
    gates = {group.name: tf.ones((count, group.size)) for group in groups}
    with tf.GradientTape() as tape:
        tape.watch(gates)
        outputs = case.run(inputs, gates)
        loss = count * case.objective(inputs, labels, outputs)  # it is the mean over samples
    slopes = tape.gradient(loss, gates, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {name: np.asarray(slope, np.float64) for name, slope in slopes.items()}


def _over_filters(
    case: ChannelCase, group: ChannelGroup, measure: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    kernels = [one for one in group.makers if _is_kernel(one)]
    return sum((_of_slice(case, one, group.size, measure) for one in kernels), np.zeros(group.size))


def _of_slice(
    case: ChannelCase,
    one: ChannelSlice,
    size: int,
    measure: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    return per_unit(measure(case.weight(one)).sum(1), one.units, size)


def _is_kernel(one: ChannelSlice) -> bool:
    return slot_of(one.weight.rpartition("/")[2]) == "kernel"
