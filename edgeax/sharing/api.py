"""cluster(): the weights of a model put into groups that share a value."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgeax.model.case import Case, case_for
from edgeax.model.recipe import Filter
from edgeax.sharing.grouping import Grouping
from edgeax.sharing.importance import MOST_SAMPLES
from edgeax.sharing.named import grouping_of
from edgeax.sharing.weights import Weight, by_table, clustered_copy, named_in_errors
from edgeax.transforms.checks import checked_count, checked_seed
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.scopes import checked_scope


def cluster(
    model: keras.Model,
    number_of_clusters: int = 16,
    grouping: str | Grouping = "kmeans",
    scope: str | int = "layer",
    samples: Any = None,
    labels: Any = None,
    loss: Any = None,
    layers: Filter = ".*",
    seed: int = 0,
    batch_size: int = 64,
    verbose: int = 0,
) -> keras.Model:
    """Returns a compressed copy of `model` whose kernels have few different values each, ready for
    `fit`, which trains these, and `edgeax.export`, which stores indices into a table.

    Kernels get an `edgeax.Cluster`: in a plain model it is all that they get; in the chain of a
    compressed one it stands right after a pruning, whose zeros stay, and before a rounding, on
    whose grid the values then lie. Where a grouping sends weights to other values than the nearest,
    they stay there for good; else each takes the nearest one at every step. Biases are left alone.

    Args:
        model: A built model, plain or compressed.
        number_of_clusters: How many values share a table, 2 to 256, the zero of a pruning among
            them. A grouping may come to fewer.
        grouping: How they are found: `"kmeans"`, from evenly spaced ones [SH16], `"density"` or
            `"kmeans++"`, from other starts; `"optimal"`, with the least squared error that there is
            [YYZ20]; `"hessian"` and `"optimizer"`, k-means where each weight counts by the
            curvature of the loss, from samples, or by the second moment of the optimizer that the
            model was trained with [CEL16]; `"uniform"`, bins of one width [CEL16]; `"entropy"`,
            which weighs errors against the length of codes [CEL16]; `"weighted_entropy"` [PAY17];
            or an object of that kind, such as `edgeax.sharing.Optimal("hessian")`.
        scope: Which weights share a table, as `edgeax.Cluster` has it: `"layer"`, `"network"`,
            `"channel"`, `"kernel"`, or a number of inputs.
        samples: Typical inputs, for a grouping that needs them: an array, a list or dict of arrays,
            or a `tf.data.Dataset` of batches; of more than 1000 the first.
        labels: Their labels, as the loss takes them.
        loss: The loss: a name, a Keras loss, or a function of labels and outputs; None for what the
            model was compiled with.
        layers: Which layers: a regular expression searched in their paths, or another filter of an
            `edgeax.Rule`; a callable gets the layers without the wrappers of a compressed model.
        seed: Of what is random, at least 0.
        batch_size: Samples in a batch, at least 1.
        verbose: 1 shows how far it is.

    Raises:
        ValueError: An argument is unusable or missing, a weight has fewer different values than
            clusters, or cannot be divided as the scope says.

    Example: `edgeax.cluster(model, 16, "optimal").fit(x, y)`
    """
    chosen = grouping_of(grouping)
    seed, batch_size = checked_seed(seed), checked_count("batch_size", batch_size)
    template = Cluster(
        number_of_clusters,
        scope=checked_scope(scope),
        assign_every=0 if chosen.keeps_codes else 1,
        seed=seed,
    )
    copy, weights = clustered_copy(model, template, layers)
    kind = f"grouping {grouping if isinstance(grouping, str) else type(grouping).__name__!r}"
    case = case_for(copy, weights, chosen.needs, kind, samples, labels, loss, MOST_SAMPLES)
    case.seed, case.batch_size, case.verbose = seed, batch_size, bool(verbose)
    share_values(case, model, chosen)
    return copy


def share_values(case: Case, model: keras.Model, grouping: Grouping) -> None:
    """Places what a grouping finds in the Clusters of a case.

    Args:
        case: With what the grouping needs.
        model: That which the case's model is a copy of.
        grouping: The grouping.

    Raises:
        ValueError: A weight has fewer different values than clusters, or how much each counts
            cannot be known.
    """
    for weight in case.weights:
        with named_in_errors(weight.name):
            weight.check()
    importances: list[np.ndarray | None] = [None] * len(case.weights)
    if grouping.importance is not None:
        importances = [*grouping.importance.of(case, model)]
    pairs = zip(case.weights, importances, strict=True)
    counted = {id(weight): importance for weight, importance in pairs}
    for weights in case.progress("Clusters", [*by_table(case.weights)]):
        found = [counted[id(weight)] for weight in weights]
        with named_in_errors(", ".join(weight.name for weight in weights)):
            place(weights, found, grouping, case.seed)


def place(
    weights: Sequence[Weight],
    importances: Sequence[np.ndarray | None],
    grouping: Grouping,
    seed: int,
) -> None:
    """Places the groups of weights that have the same tables.

    Args:
        weights: One, or those of a network.
        importances: How much each of their values counts, canonical layout; None: all alike.
        grouping: Finds the groups.
        seed: Of what is random.
    """
    cluster = weights[0].cluster
    parts = [weight.rows for weight in weights]
    rows = np.concatenate(parts, axis=1)
    counts: Sequence[np.ndarray | None] = [None] * len(rows)
    given = [
        weight.in_rows(importance)
        for weight, importance in zip(weights, importances, strict=True)
        if importance is not None
    ]
    if given:
        counts = [*np.concatenate(given, axis=1)]
    tables = np.zeros((cluster.groups, cluster.clusters))
    codes = np.zeros(rows.shape, np.int32)
    for group, (row, count) in enumerate(zip(rows, counts, strict=True)):
        tables[group], codes[group] = _table_of(row, count, cluster, grouping, seed)
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    for weight, own in zip(weights, np.split(codes, ends, axis=1), strict=True):
        kept = weight.cluster.division.ungrouped(own) if grouping.keeps_codes else None
        weight.cluster.place(tables, kept)


def _table_of(
    row: np.ndarray, counts: np.ndarray | None, cluster: Cluster, grouping: Grouping, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a table `(clusters,)` for a group of weights, and the codes of these.

    A zero that stays is its first entry; what is left over at its end repeats the last one.
    """
    is_grouped = row != 0 if cluster.has_zero else np.full(row.shape, row.any())
    table, codes = np.zeros(cluster.clusters), np.zeros(row.size, np.int32)
    first = int(cluster.has_zero)
    if is_grouped.any():
        importance = None if counts is None else counts[is_grouped]
        found = grouping.group(row[is_grouped], importance, cluster.clusters - first, seed)
        missing = cluster.clusters - first - found.centroids.size
        table[first:] = np.pad(found.centroids, (0, missing), "edge")
        codes[is_grouped] = found.codes + first
    return table, codes
