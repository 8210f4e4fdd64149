"""Robustness to rounding after training: one network with and without KURE and gradient-l1.

The network with depthwise layers is trained once in float per seed. Each way of training goes on
from there, for the same epochs at the same learning rate, plain training too; gradient-l1 is on for
the last three of five epochs. The targets are for both terms together; each alone has its row.

Then the kernels are rounded without training, one step a tensor from the largest weight, and batch
normalizations take their statistics anew from 256 training images: in a network this small rounding
moves all means, which would hide what is asked here (without that step every way loses about 40
points at 3 bits). The first and the last kernel keep 8 bits, by the convention of the field;
activations stay float. Drops are in points, of a way's own float accuracy, means over the seeds;
the spread is the highest float accuracy less the lowest. At one width every step is also made off
by a factor.

The last tenth of the training images is for choices: it chose the strengths, the epochs, and the
statistics taken anew. Each point reads the test images once.

Images come from `fashion_mnist.npz` in the folder EDGEAX_TEST_DATA, else from keras.datasets;
`--quick` takes the bundled piece and one seed. Pictures of accuracy against bits and against the
error of the step are drawn beside the JSON, for the first seed.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.depthwise_net import network
from benchmarks.formats import BATCH, Images, compile_for, images, say
from benchmarks.harness import Benchmark, run
from edgeax.search.robustness import RobustnessCurve, plot_curves, robustness_curve
from edgeax.training.gradient_l1 import GradientL1
from edgeax.training.kurtosis import KURE

SEEDS = (0, 1)
FLOAT_EPOCHS = 10
FLOAT_RATE = 3e-3
TUNE_EPOCHS = 5
TUNE_RATE = 1e-3
L1_FROM_EPOCH = 2
PLAIN = "plain"
JUDGED = "KURE and gradient-l1"
BITS = (8, 5, 4, 3, 2)
SAMPLES = 256
STEP_ERRORS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
STEP_BITS = 4
END_BITS = 8
JUDGED_BITS = (4, 3)
MOST_OF_PLAIN_DROP = 0.5
MOST_POINTS_LOST = 0.5

# Makes the callbacks of each way to go on.
WAYS: dict[str, Callable[[], list[keras.callbacks.Callback]]] = {
    PLAIN: lambda: [],
    "KURE": lambda: [KURE(1.0)],
    "gradient-l1": lambda: [GradientL1(0.004, begin_epoch=L1_FROM_EPOCH)],
    JUDGED: lambda: [KURE(1.0), GradientL1(0.004, begin_epoch=L1_FROM_EPOCH)],
}


def measure(benchmark: Benchmark, quick: bool) -> dict[str, RobustnessCurve]:
    """Fills the report, and returns the curves of the first seed by the way of training."""
    started = time.perf_counter()
    data = images("fashion_mnist", quick)
    seeds = SEEDS[:1] if quick else SEEDS
    curves = curves_of(data, seeds, 3 if quick else FLOAT_EPOCHS)
    add_rows(benchmark, data.name, curves)
    add_wanted(benchmark, curves)
    say(f"{(time.perf_counter() - started) / 60:.1f} minutes")
    return {way: of_seeds[0] for way, of_seeds in curves.items()}


def curves_of(
    data: Images, seeds: Sequence[int], float_epochs: int
) -> dict[str, list[RobustnessCurve]]:
    """Returns the curve of each seed for each way of training, on the test images."""
    found: dict[str, list[RobustnessCurve]] = {way: [] for way in WAYS}
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = network()
        learn(model, data, float_epochs, FLOAT_RATE, [])
        weights = model.get_weights()
        for way, make in WAYS.items():
            started = time.perf_counter()
            model = tuned(weights, data, seed, make())
            chosen = np.random.default_rng(seed).choice(len(data.x), SAMPLES, replace=False)
            curve = curve_of(model, data.x_test, data.y_test, data.x[chosen])
            say(f"seed {seed}  {way}: {in_short(curve)}")
            found[way].append(curve)
            say(f"seed {seed}  {way}: {time.perf_counter() - started:.0f} s")
    return found


def tuned(weights: list[np.ndarray], data: Images, seed: int, callbacks: list[Any]) -> keras.Model:
    """Returns a network that went on from `weights` with some callbacks."""
    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(seed)
    model = network()
    model.set_weights(weights)
    learn(model, data, TUNE_EPOCHS, TUNE_RATE, callbacks)
    return model


def learn(model: keras.Model, data: Images, epochs: int, rate: float, callbacks: list[Any]) -> None:
    """Trains a model in one plain `fit`, by Adam with a learning rate that falls to zero."""
    compile_for(model, data, epochs, rate)
    model.fit(data.x, data.y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=callbacks)


def curve_of(
    model: keras.Model, x: np.ndarray, y: np.ndarray, samples: np.ndarray
) -> RobustnessCurve:
    """Returns the curve of one trained network."""
    return robustness_curve(
        model,
        (x, y),
        BITS,
        STEP_ERRORS,
        STEP_BITS,
        end_bits=END_BITS,
        samples=samples,
        batch_size=1000,
    )


def in_short(curve: RobustnessCurve) -> str:
    """Returns float accuracy and that of each width, in percent."""
    points = ", ".join(f"{point.bits}: {100 * point.value:.2f}" for point in curve.by_bits)
    return f"float {100 * curve.float_value:.2f}; bits {points}"


def float_percent(curves: Sequence[RobustnessCurve]) -> float:
    """Returns the mean float accuracy in percent."""
    return 100.0 * statistics.mean(curve.float_value for curve in curves)


def points_lost(curves: Sequence[RobustnessCurve], place: int, by_step: bool = False) -> float:
    """Returns the mean drop at the width or the factor that stands at `place`, in points."""
    rows = [curve.by_step_error if by_step else curve.by_bits for curve in curves]
    return 100.0 * statistics.mean(row[place].lost for row in rows)


def add_rows(
    benchmark: Benchmark, data_name: str, curves: dict[str, list[RobustnessCurve]]
) -> None:
    """Adds a row for each way: its float accuracy, and what each rounding loses."""
    for way, of_seeds in curves.items():
        values = [100.0 * curve.float_value for curve in of_seeds]
        benchmark.row(
            data=data_name,
            training=way,
            float_percent=statistics.mean(values),
            spread=max(values) - min(values),
            **{f"points_lost_{bits}_bits": points_lost(of_seeds, i) for i, bits in enumerate(BITS)},
            **{
                f"points_lost_{STEP_BITS}_bits_step_x{error:g}": points_lost(of_seeds, i, True)
                for i, error in enumerate(STEP_ERRORS)
                if error != 1.0
            },
            seeds=len(of_seeds),
        )


def add_wanted(benchmark: Benchmark, curves: dict[str, list[RobustnessCurve]]) -> None:
    """Adds the targets of the issue for both terms together: half of the plain drop, and float
    accuracy kept.
    """
    plain, judged = curves[PLAIN], curves[JUDGED]
    number = [*curves].index(JUDGED)
    for bits in JUDGED_BITS:
        place = BITS.index(bits)
        part = points_lost(judged, place) / points_lost(plain, place)
        benchmark.wanted(
            f"drop at {bits} bits over plain",
            part,
            f"<= {MOST_OF_PLAIN_DROP}",
            part <= MOST_OF_PLAIN_DROP,
            row=number,
        )
    lost = float_percent(plain) - float_percent(judged)
    holds = lost <= MOST_POINTS_LOST
    benchmark.wanted("float points lost", lost, f"<= {MOST_POINTS_LOST}", holds, row=number)


def main() -> int:
    """Runs the benchmark from the command line and draws beside the JSON."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", type=Path)
    given, _ = parser.parse_known_args()
    curves: dict[str, RobustnessCurve] = {}
    code = run("robustness", lambda benchmark, quick: curves.update(measure(benchmark, quick)))
    if given.json:
        try:
            plot_curves(curves, given.json.with_suffix(".png"))
        except ImportError as error:
            say(f"no picture: {error}")
    return code


if __name__ == "__main__":
    sys.exit(main())
