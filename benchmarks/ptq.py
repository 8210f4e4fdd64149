"""Post-training quantization: what each calibration and each correction saves, width by width.

One CNN with batch normalization and depthwise layers is trained once on Fashion-MNIST. It is then
rounded after training to 8-8, 6-6, 4-8 and 4-4 bits of weights and activations, kernels with one
scale per output channel: by min-max, by each other calibration, by each correction on top of
min-max, and by the best combination. Each is done with three draws of 256 calibration images from
the training set; rows give the mean over the draws and the spread.

The last tenth of the training images is for choices: it chose the combinations in `BEST`, and the
calibrations and corrections that they are made of. Test images are read once for each row.

Last, the channels of the network, its normalizations folded, are spread by a factor of 100 without
changing what it computes, and rounded to 8 bits with one scale per tensor, with and without
cross-layer equalization.

Images come from `fashion_mnist.npz` in the folder EDGEAX_TEST_DATA, else from keras.datasets;
`--quick` takes the bundled piece, two widths and one draw.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

import edgeax
from benchmarks.depthwise_net import network
from benchmarks.formats import Images, images, learn, percent, say
from benchmarks.harness import Benchmark, run
from benchmarks.spread import spread_channels
from edgeax.post_training import CALIBRATIONS, CORRECTIONS

EPOCHS = 12
RATE = 3e-3
DRAWS = (0, 1, 2)
SAMPLES = 256
WIDTHS = ((8, 8), (6, 6), (4, 8), (4, 4))
MIN_MAX = "min_max"
FACTOR = 100.0


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to round.

    Attributes:
        name: What it is called.
        calibration: As `edgeax.quantize` takes it.
        corrections: As `edgeax.quantize` takes them.
    """

    name: str
    calibration: str | Mapping[str, str] = MIN_MAX
    corrections: Sequence[str] = ()


BEST = Setting(
    "best combination",
    {"weights": "mse", "activations": "hessian"},
    ("adaround", "bias_correction"),
)

SETTINGS = (
    Setting(MIN_MAX),
    *(Setting(name, name) for name in CALIBRATIONS if name != MIN_MAX),
    *(Setting(f"{MIN_MAX}, {name}", MIN_MAX, (name,)) for name in CORRECTIONS),
    BEST,
)


def recipe(weights: int, activations: int, axis: int | None = -1) -> edgeax.Recipe:
    """Returns the recipe of two widths."""
    activation = edgeax.Quantize(f"int{activations}")
    kernel = edgeax.Quantize(f"int{weights}", axis=axis)
    return edgeax.Recipe([edgeax.Rule(".*", kernel=kernel, input=activation, output=activation)])


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a setting and width, and the targets the issue names."""
    started = time.perf_counter()
    data = images("fashion_mnist", quick)
    keras.utils.set_random_seed(0)
    model = network()
    learn(model, data, 4 if quick else EPOCHS, RATE)
    float_percent = percent(model, data.x_test, data.y_test)
    benchmark.row(
        data=data.name, weights=32, activations=32, setting="float", percent=float_percent
    )
    say(f"float: {float_percent:.2f} %")
    draws = DRAWS[:1] if quick else DRAWS
    widths = ((8, 8), (4, 4)) if quick else WIDTHS
    lost: dict[tuple[tuple[int, int], str], tuple[int, float]] = {}
    for width in widths:
        for setting in SETTINGS:
            facts = [
                percents(rounded(model, data, setting, recipe(*width), draw), data)
                for draw in draws
            ]
            row = row_of(data, width, setting, facts, float_percent)
            lost[width, setting.name] = (benchmark.row(**row), row["points_lost"])
            say(f"{width} {setting.name}: {row}")
    add_wanted(benchmark, lost)
    equalize_spread_channels(benchmark, model, data, draws[0])
    say(f"{(time.perf_counter() - started) / 60:.1f} minutes")


def rounded(
    model: keras.Model, data: Images, setting: Setting, recipe: edgeax.Recipe, draw: int
) -> keras.Model:
    """Returns a model rounded in a setting, calibrated by a draw of training images."""
    chosen = np.random.default_rng(draw).choice(len(data.x), SAMPLES, replace=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a correction leaves out is the same in each run
        return edgeax.quantize(
            model,
            data.x[chosen],
            recipe,
            setting.calibration,
            list(setting.corrections),
            seed=draw,
        )


def percents(model: keras.Model, data: Images) -> dict[str, float]:
    """Returns the accuracy on the validation and the test images."""
    return {
        "validation_percent": percent(model, data.x_validation, data.y_validation),
        "percent": percent(model, data.x_test, data.y_test),
    }


def row_of(
    data: Images,
    width: tuple[int, int],
    setting: Setting,
    facts: Sequence[Mapping[str, float]],
    float_percent: float,
) -> dict[str, Any]:
    """Returns a row: means over the draws, and the spread of the test accuracy."""
    found = [fact["percent"] for fact in facts]
    mean = statistics.mean(found)
    return {
        "data": data.name,
        "weights": width[0],
        "activations": width[1],
        "setting": setting.name,
        "percent": mean,
        "spread": max(found) - min(found),
        "validation_percent": statistics.mean(fact["validation_percent"] for fact in facts),
        "points_lost": float_percent - mean,
    }


def add_wanted(
    benchmark: Benchmark, lost: Mapping[tuple[tuple[int, int], str], tuple[int, float]]
) -> None:
    """Adds the targets of the best combination."""
    for width, most in (((8, 8), 0.3), ((4, 8), 1.0)):
        if (width, BEST.name) in lost:
            place, points = lost[width, BEST.name]
            name = f"points that the best combination loses at {width[0]}-{width[1]}"
            benchmark.wanted(name, points, f"<= {most}", points <= most, row=place)
    place, points = lost[(4, 4), BEST.name]
    _, plain = lost[(4, 4), MIN_MAX]
    part = (plain - points) / plain if plain > 0 else 1.0
    benchmark.wanted(
        "part of what min-max loses at 4-4 that the best combination recovers",
        part,
        ">= 0.667",
        part >= 2 / 3,
        row=place,
    )


def equalize_spread_channels(
    benchmark: Benchmark, model: keras.Model, data: Images, draw: int
) -> None:
    """Adds what 8 bits per tensor make of a network with uneven channels, and its target."""
    spread = spread_channels(edgeax.fold_batch_norm(model), FACTOR, seed=0)
    float_percent = percent(spread, data.x_test, data.y_test)
    places = {}
    for setting in (
        Setting("channels spread"),
        Setting("channels spread, equalized", MIN_MAX, ("cross_layer_equalization",)),
    ):
        facts = [percents(rounded(spread, data, setting, recipe(8, 8, axis=None), draw), data)]
        row = row_of(data, (8, 8), setting, facts, float_percent)
        places[setting.name] = (benchmark.row(**row), row)
        say(f"{setting.name}: {row}")
    place, row = places["channels spread"]
    value = row["percent"]
    benchmark.wanted(
        "accuracy of spread channels at 8 bits per tensor: near chance",
        value,
        "<= 30 %",
        value <= 30.0,
        row=place,
    )
    place, row = places["channels spread, equalized"]
    points = row["points_lost"]
    benchmark.wanted("points lost once equalized", points, "<= 1", points <= 1.0, row=place)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("ptq", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
