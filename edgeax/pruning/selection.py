"""Selection: which groups of weights go, by their scores, in each layer or in all together."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from edgeax.pruning.weights import Weight
from edgeax.transforms.checks import checked_choice
from edgeax.transforms.schedules import check_sparsity
from edgeax.transforms.structures import Blocks, NofM, Structure, structure_of

SCOPES = ("layer", "global")


@dataclasses.dataclass(frozen=True)
class Choice:
    """What is to go.

    Attributes:
        sparsity: Share of weights, in [0, 1).
        structure: Which weights go together.
        scope: `"layer"`: that share of each layer; `"global"`: of all layers together.
    """

    sparsity: float
    structure: Structure = dataclasses.field(default_factory=Blocks)
    scope: str = "layer"

    @property
    def is_single(self) -> bool:
        """Whether weights go one by one."""
        return self.structure == Blocks()


def checked_choice_of(sparsity: float | None, structure: str | Structure, scope: str) -> Choice:
    """Returns what is to go, from what a user gives.

    Raises:
        ValueError: An argument is out of its range, or they do not suit each other.
    """
    found = structure_of(structure)
    checked_choice("scope", scope, SCOPES)
    share = None if sparsity is None else check_sparsity("sparsity", sparsity)
    if isinstance(found, NofM):
        if scope == "global":
            raise ValueError(
                f"`scope` must be 'layer' for {found}, of which every layer has the same share. "
                "Received: scope='global'."
            )
        if share is not None and abs(share - found.sparsity) > 1e-6:
            raise ValueError(
                f"`sparsity` must be that of {found}, {found.sparsity:g}, or None. "
                f"Received: sparsity={share}."
            )
        return Choice(found.sparsity, found, scope)
    if share is None:
        raise ValueError(
            "`sparsity` must lie in [0, 1): the fraction of weights that become zero. Received: "
            "sparsity=None, which is for structures that have their own, such as '2:4'."
        )
    return Choice(share, found, scope)


def chosen_masks(
    weights: Sequence[Weight], scores: Sequence[np.ndarray], choice: Choice
) -> list[np.ndarray]:
    """Returns which weights stay, bool in canonical layout, one array for each of `weights`.

    The groups of the lowest mean score go; of equal ones the first.

    Args:
        weights: The kernels.
        scores: How much each weight matters, at least 0, canonical layout.
        choice: What is to go.

    Raises:
        ValueError: Nothing of a layer would be left, or the structure does not suit one. With
            scope `"global"` the best group of each layer stays in any case, with a warning.
    """
    tensors = [tf.constant(_comparable(score)) for score in scores]
    if choice.scope == "global":
        return _global_masks(weights, tensors, choice)
    check_each(weights, choice)
    return [
        choice.structure.mask(score, choice.sparsity, weight.layout.input_axes).numpy()
        for weight, score in zip(weights, tensors, strict=True)
    ]


def check_each(weights: Sequence[Weight], choice: Choice) -> None:
    """Checks that each kernel can be pruned by the share of a choice.

    Raises:
        ValueError: One cannot, or nothing of it would be left.
    """
    for weight in weights:
        try:
            choice.structure.check(weight.shape, choice.sparsity, weight.layout.input_axes)
        except ValueError as error:
            raise ValueError(f"{error} It is the kernel of {weight.name!r}.") from error


def _comparable(score: np.ndarray) -> np.ndarray:
    """Returns scores as float32, those that it cannot hold still above 0 and finite."""
    tiny, huge = np.finfo(np.float32).tiny, np.finfo(np.float32).max / 2**24
    limited = np.where(score > 0, np.clip(score, tiny, huge), score)
    return limited.astype(np.float32)


def _global_masks(
    weights: Sequence[Weight], scores: Sequence[tf.Tensor], choice: Choice
) -> list[np.ndarray]:
    structure = choice.structure
    axes = [weight.layout.input_axes for weight in weights]
    pairs = [*zip(scores, axes, strict=True)]
    sizes = [structure.sums(tf.ones_like(score), given).numpy() for score, given in pairs]
    means = [
        structure.sums(score, given).numpy() / size
        for (score, given), size in zip(pairs, sizes, strict=True)
    ]
    flat = np.nan_to_num(np.concatenate([mean.ravel() for mean in means]), nan=np.inf)
    counts = np.concatenate([size.ravel() for size in sizes])
    owners = np.repeat(np.arange(len(means)), [mean.size for mean in means])
    gone = _lowest(flat, counts, choice.sparsity)
    emptied = [place for place in range(len(means)) if gone[owners == place].all()]
    if emptied:
        best = [int(np.flatnonzero(owners == place)[means[place].argmax()]) for place in emptied]
        open_ones = np.setdiff1d(np.arange(flat.size), best)
        gone[:] = False
        share = min(1.0, choice.sparsity * counts.sum() / max(counts[open_ones].sum(), 1.0))
        gone[open_ones] = _lowest(flat[open_ones], counts[open_ones], share)
        warn_of_last_groups([weights[place].name for place in emptied])
    groups = np.split(~gone, np.cumsum([mean.size for mean in means])[:-1])
    return [
        structure.spread(tf.constant(kept.reshape(mean.shape)), weight.shape, given).numpy()
        for kept, mean, weight, given in zip(groups, means, weights, axes, strict=True)
    ]


def warn_of_last_groups(names: Sequence[str]) -> None:
    """Warns of layers that would have lost everything."""
    warnings.warn(
        "One threshold for all layers would leave nothing of some. The best group of each stays: "
        f"{', '.join(names)}. Prune less, use scope='layer', or leave them out by `layers`.",
        stacklevel=5,
    )


def _lowest(scores: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    """Returns which groups of the lowest scores go, so that about a share of all weights goes."""
    order = np.argsort(scores, kind="stable")
    reached = np.concatenate([[0.0], np.cumsum(sizes[order], dtype=np.float64)])
    count = int(np.abs(reached - share * reached[-1]).argmin())
    gone = np.zeros(scores.size, bool)
    gone[order[:count]] = True
    return gone
