"""LeNet-5 on MNIST with ternary [LZL16] and binary [CBD15, RORF16] weights, beside float.

Every layer has such weights, the first and the last one too; activations are int8. The float
network is trained first, on images shifted by up to two pixels, and the others go on from it. Rows
give the mean over the seeds and the spread, highest less lowest. The last tenth of the training
images is for choices; none had to be made. The test images are read once per row.

Images come from `mnist.npz` in the folder EDGEAX_TEST_DATA, else from keras.datasets. `--quick` is
a smoke test on the bundled piece of Fashion-MNIST.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

import edgeax
from benchmarks.formats import Images, exported, images, learn, over_seeds, percent, say
from benchmarks.harness import Benchmark, run
from edgeax.formats import Ternary

SEEDS = (0, 1)
FLOAT_EPOCHS = 6
FLOAT_RATE = 2e-3
TUNE_EPOCHS = 5
TUNE_RATE = 1e-3
MOST_MINUTES = 30.0

_MOST_SHIFT = 2

layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Weights:
    """One row of the report.

    Attributes:
        name: What it is called.
        kernel: What quantizes all kernels; None: everything stays float.
        least_percent: Target of the accuracy.
    """

    name: str
    kernel: Any
    least_percent: float


ROWS = (
    Weights("float", None, 99.3),
    # One threshold and one scale per layer, as in the paper.
    Weights("ternary", Ternary(), 99.2),
    Weights("binary", "bwn", 98.9),
)


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row for each kind of weights, and the targets the issue names."""
    started = time.perf_counter()
    data = images("mnist", quick)
    compare(benchmark, data, SEEDS[:1] if quick else SEEDS, quick)
    minutes = (time.perf_counter() - started) / 60
    benchmark.wanted("minutes", minutes, f"<= {MOST_MINUTES}", minutes <= MOST_MINUTES)


def compare(benchmark: Benchmark, data: Images, seeds: Sequence[int], quick: bool) -> None:
    """Trains each kind of weights with each seed, and adds rows and targets."""
    found: dict[str, list[dict[str, Any]]] = {kind.name: [] for kind in ROWS}
    for seed in seeds:
        trained = None
        for kind in ROWS:
            model = train(kind, trained, data, seed, quick)
            trained = trained or model
            facts = {
                "validation_percent": percent(model, data.x_validation, data.y_validation),
                "percent": percent(model, data.x_test, data.y_test),
            }
            if seed == seeds[0]:
                facts |= exported(model, data)
            found[kind.name].append(facts)
            say(f"seed {seed}  {kind.name}: {facts}")
    for kind in ROWS:
        row = over_seeds(found[kind.name])
        place = benchmark.row(weights=kind.name, data=data.name, **row)
        benchmark.wanted(
            f"{kind.name} percent",
            row["percent"],
            f">= {kind.least_percent}",
            row["percent"] >= kind.least_percent,
            row=place,
        )


def train(
    kind: Weights, trained: keras.Model | None, data: Images, seed: int, quick: bool
) -> keras.Model:
    """Returns a trained network with one kind of weights.

    Args:
        kind: The kind.
        trained: The float network to go on from, None for the float network itself.
        data: The images.
        seed: Of weights, order and shifts.
        quick: Whether one epoch is enough.
    """
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    model = lenet() if trained is None else trained
    if kind.kernel is not None:
        model = edgeax.compress(
            model, edgeax.Recipe([edgeax.Rule(".*", kind.kernel, input="int8", output="int8")])
        )
    epochs, rate = (FLOAT_EPOCHS, FLOAT_RATE) if trained is None else (TUNE_EPOCHS, TUNE_RATE)
    learn(model, data, 1 if quick else epochs, rate, lambda x: shifted(x, generator))
    return model


def lenet() -> keras.Model:
    """Returns Caffe's LeNet-5, 20-50-500-10, with batch normalization; its outputs are logits."""
    given = x = keras.Input((28, 28, 1))
    for place, filters in enumerate((20, 50)):
        x = layers.Conv2D(filters, 5, use_bias=False, name=f"conv{place}")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))
        x = layers.MaxPooling2D()(x)
    x = layers.Dense(500, use_bias=False, name="hidden")(layers.Flatten()(x))
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))
    return keras.Model(given, layers.Dense(10, name="logits")(x))


def shifted(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns images, each moved at random by up to two pixels each way, zeros where nothing was.

    Args:
        x: Shape `(count, height, width, 1)`.
        generator: Draws the shifts.
    """
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (_MOST_SHIFT, _MOST_SHIFT), (_MOST_SHIFT, _MOST_SHIFT), (0, 0)))
    span = 2 * _MOST_SHIFT + 1
    places = generator.integers(0, span**2, len(x))
    result = np.empty_like(x)
    for place in range(span**2):
        chosen, (down, right) = places == place, divmod(place, span)
        result[chosen] = padded[chosen, down : down + height, right : right + width]
    return result


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("mnist_binary_ternary", measure)


if __name__ == "__main__":
    sys.exit(main())
