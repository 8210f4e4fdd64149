"""Groupings of a million weights: the error of each against the time it takes.

Weights are drawn as those of a trained layer are spread, half from a Laplace and half from a normal
distribution, and put into 16 and into 256 groups by every grouping of `edgeax.cluster`. `error` is
the sum of squared errors, and `of_optimal` that as a multiple of the least one there is, which
`optimal` finds by dynamic programming. Where weights count by an importance, `counted` is "drawn":
a gamma distribution of shape 1/2 stands for the diagonal of a Hessian, and the optimum is the one
for these. `bits` is the entropy of the codes. Groupings that weigh the error against something else
make it larger on purpose.

`cpu_seconds` is the time of one core, so that what else runs on the machine does not count.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.formats import say
from benchmarks.harness import Benchmark, run
from edgeax.sharing import GROUPINGS

COUNT = 1_000_000
QUICK_COUNT = 20_000
CLUSTERS = (16, 256)
OPTIMAL = "optimal"
MOST_SECONDS = 5.0
NEEDS_IMPORTANCE = tuple(name for name, make in GROUPINGS.items() if make().importance is not None)
EITHER_WAY = (OPTIMAL, "kmeans++", "entropy")


def weights(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns weights as of a trained layer, float32, and an importance for each."""
    generator = np.random.default_rng(seed)
    is_laplace = generator.random(count) < 0.5
    laplace, normal = generator.laplace(0, 0.03, count), generator.normal(0, 0.05, count)
    return np.where(is_laplace, laplace, normal).astype(np.float32), generator.gamma(0.5, 1, count)


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a grouping and number of clusters, and adds the targets."""
    values, drawn = weights(QUICK_COUNT if quick else COUNT)
    GROUPINGS[OPTIMAL]().group(values[:100], None, 2)  # loads the library
    for clusters in CLUSTERS:
        for counted, importance in (("equally", None), ("drawn", drawn)):
            names = [name for name in GROUPINGS if name not in NEEDS_IMPORTANCE]
            if importance is not None:
                names = [*EITHER_WAY, *NEEDS_IMPORTANCE]
            rows = [row_of(name, values, importance, clusters, counted) for name in names]
            add_rows(benchmark, rows)


def row_of(
    name: str, values: np.ndarray, importance: np.ndarray | None, clusters: int, counted: str
) -> dict[str, Any]:
    """Returns what a grouping makes of values, and how long it takes."""
    grouping = GROUPINGS[name]()
    started = time.process_time()
    groups = grouping.group(values, importance, clusters)
    seconds = time.process_time() - started
    say(f"{name}, {clusters} clusters, counted {counted}: {seconds:.2f} s")
    return {
        "grouping": name,
        "weights": values.size,
        "clusters": clusters,
        "counted": counted,
        "found": groups.centroids.size,
        "error": groups.error(values, importance),
        "bits": groups.entropy_bits,
        "cpu_seconds": seconds,
    }


def add_rows(benchmark: Benchmark, rows: Sequence[dict[str, Any]]) -> None:
    """Adds rows of the same weights and number of clusters, and their targets."""
    (best,) = (row for row in rows if row["grouping"] == OPTIMAL)
    places = {}
    for row in rows:
        of_optimal = row["error"] / best["error"]
        places[row["grouping"]] = benchmark.row(**row, of_optimal=of_optimal)
    clusters, counted = best["clusters"], best["counted"]
    if clusters == max(CLUSTERS) and counted == "equally":
        seconds = best["cpu_seconds"]
        benchmark.wanted(
            f"dynamic programming seconds, {clusters} clusters",
            seconds,
            f"<= {MOST_SECONDS:g}",
            seconds <= MOST_SECONDS,
            row=places[OPTIMAL],
        )
    nearest = min((row for row in rows if row is not best), key=lambda row: row["error"])
    least = nearest["error"] / best["error"]
    benchmark.wanted(
        f"optimal <= every other SSE, {clusters} clusters, counted {counted}: the least as a "
        "multiple of it",
        least,
        ">= 1",
        least >= 1.0 - 1e-12,
        row=places[nearest["grouping"]],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("clustering", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
