"""deep_compression(): the recipe that prunes, clusters and rounds, with training between."""

import numbers
from collections.abc import Mapping
from typing import Any

from edgeax.formats.methods import implements
from edgeax.model.recipe import Recipe, Rule
from edgeax.transforms.base import Transform
from edgeax.transforms.checks import checked_count
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.prune import Prune
from edgeax.transforms.quantize import Quantize
from edgeax.transforms.schedules import PolynomialDecay

PRUNED_AT = 0.4
"""Share of the steps after which the wanted sparsity is reached."""

CLUSTERED_AT = 0.6
"""Share of the steps after which weights are clustered."""

_LEAST_STEPS = 10

_ANY_LAYER = ".*"


@implements(
    "SH16",
    test="tests/model/test_deep_compression.py::test_sh16_prunes_then_clusters_then_trains_on",
)
def deep_compression(
    steps: int,
    sparsity: float | Mapping[str, float] = 0.9,
    number_of_clusters: int | Mapping[str, int] = 16,
) -> Recipe:
    """Returns the recipe of Deep Compression, for a trained model and one `fit` of so many steps.

    Kernels are pruned by magnitude during the first 0.4 of the steps, and what is left is trained
    on. After 0.6 it is clustered to a few int8 values, with one scale for each kernel, and these
    are trained to the end. Inputs and outputs of layers are rounded to int8. The file gets small by
    `edgeax.export(..., optimize="size")`, which codes the kernels.

    Source: [SH16], with a ramp of the sparsity instead of rounds, and with clusters that weights
    may change.

    Args:
        steps: Training steps in all, at least 10.
        sparsity: Share of each kernel that goes, in [0, 1), or such shares by regular expressions
            searched in the paths of layers; the last one that matches counts. Kernels that none
            matches are only rounded.
        number_of_clusters: Values of each kernel, 2 to 256, counting zero, or such numbers by the
            same regular expressions.

    Raises:
        ValueError: An argument is out of its range, or the regular expressions differ.

    Example: `edgeax.compress(model, edgeax.deep_compression(5000, {".*": 0.9, "conv": 0.7}))`
    """
    steps = checked_count("steps", steps, _LEAST_STEPS)
    activation = Quantize("int8")
    rules = [Rule(_ANY_LAYER, kernel=Quantize("int8"), input=activation, output=activation)]
    for pattern, share, clusters in _by_layer(sparsity, number_of_clusters):
        rules.append(Rule(pattern, kernel=_kernel(steps, share, clusters)))
    return Recipe(rules, name="deep_compression")


def _by_layer(sparsity: Any, clusters: Any) -> list[tuple[str, float, int]]:
    """Returns regular expressions, each with its sparsity and its number of clusters."""
    given = [value for value in (sparsity, clusters) if isinstance(value, Mapping)]
    patterns = list(given[0]) if given else [_ANY_LAYER]
    if any(set(value) != set(patterns) for value in given):
        raise ValueError(
            "`number_of_clusters` must have the regular expressions of `sparsity`, or be one "
            f"number. Received: {list(clusters)} and {list(sparsity)}."
        )
    shares, counts = (
        value if isinstance(value, Mapping) else dict.fromkeys(patterns, value)
        for value in (sparsity, clusters)
    )
    return [(pattern, _checked_share(shares[pattern]), counts[pattern]) for pattern in patterns]


def _checked_share(share: Any) -> float:
    if not isinstance(share, numbers.Real) or not 0.0 <= float(share) < 1.0:
        raise ValueError(f"`sparsity` must lie in [0, 1). Received: sparsity={share!r}.")
    return float(share)


def _kernel(steps: int, sparsity: float, clusters: int) -> list[Transform]:
    """Returns what a kernel gets: pruning where there is a sparsity, clusters, and their grid."""
    ramp = PolynomialDecay(0.0, sparsity, 0, round(PRUNED_AT * steps))
    pruned: list[Transform] = [Prune(ramp)] if sparsity else []
    begin = round(CLUSTERED_AT * steps)
    return [*pruned, Cluster(clusters, begin_step=begin, at_most=True), Quantize("int8")]
