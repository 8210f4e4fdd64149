"""What wrapping costs in `fit`: step time of the int8 model over the plain one and over TFMOT's.

One network, one data set, one batch size, four processes that take turns: Keras 3 plain and
wrapped by edgeax, Keras 2 plain and wrapped by TFMOT, the last two in an environment of their own.
Times are of the train function that `fit` calls, without its tracing, on real images.
"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.harness import Benchmark, run
from benchmarks.pairing import Child, PairedTimes, run_paired
from benchmarks.peers import peer_python

FLOAT, EDGEAX, TF_KERAS, TFMOT = "keras float", "edgeax int8", "tf_keras float", "tfmot int8"
BATCH_SIZE = 128
MOST_OVER_FLOAT = 1.15
MOST_OVER_TFMOT = 1.1


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a side and the two ratios the issue names."""
    rounds, steps = (3, 2) if quick else (100, 3)
    times = run_paired(_children(steps), rounds)
    rows = {side: benchmark.row(**_row(times, side, rounds, steps)) for side in times.step_ms}
    for name, baseline, most in (
        ("ratio_to_float", FLOAT, MOST_OVER_FLOAT),
        ("ratio_to_tfmot", TFMOT, MOST_OVER_TFMOT),
    ):
        ratio = times.ratio(EDGEAX, baseline)
        benchmark.wanted(name, ratio, f"<= {most}", ratio <= most, row=rows[EDGEAX])


def _row(times: PairedTimes, side: str, rounds: int, steps: int) -> dict[str, Any]:
    """One side: its median step, and its ratios with the quartiles that tell how sure they are."""
    low, high = times.ratio_quartiles(side, FLOAT)
    return {
        "side": side,
        "step_ms": times.median_ms(side),
        "over_keras_float": times.ratio(side, FLOAT),
        "first_quartile": low,
        "third_quartile": high,
        "over_tfmot": times.ratio(side, TFMOT),
        "rounds": rounds,
        "steps_per_round": steps,
        "batch_size": BATCH_SIZE,
    }


def _children(steps: int) -> dict[str, Child]:
    """The four sides, each doing `steps` timed train steps a turn."""
    ours, peer = sys.executable, str(peer_python("tfmot"))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    legacy = {**quiet, "TF_USE_LEGACY_KERAS": "1"}  # TFMOT knows Keras 2 only

    def child(python: str, module: str, variables: dict[str, str]) -> Child:
        work = ["--steps", str(steps), "--batch-size", str(BATCH_SIZE)]
        return Child([python, "-m", f"benchmarks.children.{module}", *work], variables)

    return {
        FLOAT: child(ours, "fit_float", quiet),
        EDGEAX: child(ours, "fit_edgeax", quiet),
        TF_KERAS: child(peer, "fit_tf_keras", legacy),
        TFMOT: child(peer, "fit_tfmot", legacy),
    }


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("fit_overhead", measure)


if __name__ == "__main__":
    sys.exit(main())
