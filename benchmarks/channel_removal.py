"""Half of the multiply-accumulates removed: what it costs in accuracy, and what it gains in time.

A residual network like MLPerf Tiny's ResNet-8 and one of inverted residual blocks like MobileNetV2
are trained on Fashion-MNIST. Whole channels go, those of the smallest first-order effect on the
loss [MTK16] first, in steps of sixteen, which is what vector units take at a time; what is left is
trained on. The dense network is trained for as many epochs more, so that both have seen the images
equally often.

Latencies are of the int8 files with built-in operators only, run in turns with one thread; the
ratio is the median of those within each round. Accuracies are means over the seeds, the spread is
highest less lowest. The last tenth of the training images is left out of training, for choices;
so far none were made by accuracy. The widths of the networks and the sixteen were chosen by
latency, with random weights. The test images are read once per row.

Images come from `fashion_mnist.npz` in the folder EDGEAX_TEST_DATA, else from keras.datasets.
`--quick` is a smoke test on the bundled piece with one seed.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

import edgeax
from benchmarks.formats import Images, images, learn, percent, say
from benchmarks.harness import Benchmark, run
from edgeax.runtime import latency

SEEDS = (0, 1)
DENSE_EPOCHS = 6
DENSE_RATE = 3e-3
TUNE_EPOCHS = 4
TUNE_RATE = 2e-3
MACS = 0.5
MULTIPLE = 16
SAMPLES = 512
TIMED_ROUNDS = 200
MOST_POINTS_LOST = 1.0
MOST_LATENCY_RATIO = 0.62

layers = keras.layers

CONV = {"padding": "same", "use_bias": False}


def normalized(tensor: Any) -> Any:
    """Returns a tensor behind a batch normalization."""
    return layers.BatchNormalization(momentum=0.95)(tensor)


def resnet_8() -> keras.Model:
    """Returns a network like MLPerf Tiny's ResNet-8, for images `(28, 28, 1)`: three stages of a
    residual block each; its outputs are logits.
    """
    given = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, strides=2, name="stem", **CONV)(given)
    x = layers.ReLU()(normalized(x))
    for stage, filters in enumerate((32, 64, 128)):
        stride = 1 if stage == 0 else 2
        y = layers.Conv2D(filters, 3, strides=stride, name=f"conv{stage}a", **CONV)(x)
        y = layers.ReLU()(normalized(y))
        y = normalized(layers.Conv2D(filters, 3, name=f"conv{stage}b", **CONV)(y))
        if stage:
            x = normalized(layers.Conv2D(filters, 1, strides=2, name=f"short{stage}", **CONV)(x))
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(10, name="logits")(x), name="resnet_8")


BLOCKS = ((32, 1), (48, 2), (48, 1), (64, 1))
"""Channels and stride of each inverted residual block."""

EXPANSION = 4


def mobile_net_v2() -> keras.Model:
    """Returns a small network of MobileNetV2's inverted residual blocks, for images `(28, 28, 1)`;
    its outputs are logits.
    """
    given = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, strides=2, name="stem", **CONV)(given)
    x = layers.ReLU(6.0)(normalized(x))
    for place, (filters, stride) in enumerate(BLOCKS):
        wide = EXPANSION * x.shape[-1]
        y = normalized(layers.Conv2D(wide, 1, name=f"expand{place}", **CONV)(x))
        y = layers.ReLU(6.0)(y)
        y = layers.DepthwiseConv2D(3, strides=stride, name=f"depthwise{place}", **CONV)(y)
        y = layers.ReLU(6.0)(normalized(y))
        y = normalized(layers.Conv2D(filters, 1, name=f"project{place}", **CONV)(y))
        x = layers.Add()([x, y]) if y.shape == x.shape else y
    x = layers.ReLU(6.0)(normalized(layers.Conv2D(128, 1, name="head", **CONV)(x)))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(10, name="logits")(x), name="mobile_net_v2")


NETWORKS: tuple[Callable[[], keras.Model], ...] = (resnet_8, mobile_net_v2)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one seed gave.

    Attributes:
        dense_percent: Test accuracy of the dense network, trained on.
        percent: That of the one without the channels.
        validation_percent: The same of the validation images.
        macs: Multiply-accumulates before and after.
        parameters: Weights before and after.
        latency: Of the two files; empty but for the first seed.
    """

    dense_percent: float
    percent: float
    validation_percent: float
    macs: tuple[int, int]
    parameters: tuple[int, int]
    latency: dict[str, float]


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each network, and the targets the issue names."""
    started = time.perf_counter()
    data = images("fashion_mnist", quick)
    seeds = SEEDS[:1] if quick else SEEDS
    for make in NETWORKS:
        outcomes = [outcome(make, data, seed, quick) for seed in seeds]
        add_row(benchmark, make.__name__, data.name, outcomes)
    say(f"{(time.perf_counter() - started) / 60:.1f} minutes")


def outcome(make: Callable[[], keras.Model], data: Images, seed: int, quick: bool) -> Outcome:
    """Trains a network, removes half of it, and trains on."""
    keras.utils.set_random_seed(seed)
    dense = make()
    learn(dense, data, 1 if quick else DENSE_EPOCHS, DENSE_RATE)
    count = min(SAMPLES, len(data.x))
    pruned = edgeax.prune_channels(
        dense,
        macs=MACS,
        criterion="taylor",
        samples=data.x[:count],
        labels=data.y[:count],
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        multiple_of=MULTIPLE,
    )
    small = pruned.model
    for model in (dense, small):
        learn(model, data, 1 if quick else TUNE_EPOCHS, TUNE_RATE)
    if pruned.macs_before is None or pruned.macs_after is None:
        raise ValueError("`make` must make networks of a fixed size. Received: one that varies.")
    found = Outcome(
        percent(dense, data.x_test, data.y_test),
        percent(small, data.x_test, data.y_test),
        percent(small, data.x_validation, data.y_validation),
        (pruned.macs_before, pruned.macs_after),
        (pruned.parameters_before, pruned.parameters_after),
        latencies(dense, small, data) if seed == SEEDS[0] else {},
    )
    say(f"{make.__name__}, seed {seed}: {found}")
    return found


def latencies(dense: keras.Model, small: keras.Model, data: Images) -> dict[str, float]:
    """Returns bytes and times of the int8 files with built-in operators of two networks."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"dense": Path(folder, "dense.tflite"), "small": Path(folder, "small.tflite")}
        for path, model in zip(files.values(), (dense, small), strict=True):
            edgeax.export(model, path, data.x[:SAMPLES], runtime="stock", measure=False)
        interpreters = {n: edgeax.Interpreter(p, num_threads=1) for n, p in files.items()}
        times = latency.turns(interpreters, data.x[:1], TIMED_ROUNDS)
        sizes = {f"{name}_bytes": path.stat().st_size for name, path in files.items()}
    rounds = zip(times["small"], times["dense"], strict=True)
    ratio = statistics.median(after / before for after, before in rounds)
    medians = {f"{name}_ms": statistics.median(found) for name, found in times.items()}
    noise = latency.noise(times["small"], times["dense"])
    return {**sizes, **medians, "latency_ratio": ratio, "noise": noise}


def add_row(benchmark: Benchmark, name: str, data: str, outcomes: Sequence[Outcome]) -> None:
    """Adds the row of a network and its targets."""
    percents = [found.percent for found in outcomes]
    dense = statistics.mean(found.dense_percent for found in outcomes)
    macs = outcomes[0].macs
    row = {
        "network": name,
        "data": data,
        "macs_before": macs[0],
        "macs_after": macs[1],
        "parameters_before": outcomes[0].parameters[0],
        "parameters_after": outcomes[0].parameters[1],
        "dense_percent": dense,
        "percent": statistics.mean(percents),
        "spread": max(percents) - min(percents),
        "validation_percent": statistics.mean(found.validation_percent for found in outcomes),
        **outcomes[0].latency,
        "seeds": len(outcomes),
    }
    place = benchmark.row(**row)
    left = max(found.macs[1] / found.macs[0] for found in outcomes)
    lost = dense - row["percent"]
    ratio = row["latency_ratio"]
    for what, value, most in (
        ("share of MACs left", left, MACS),
        ("points lost", lost, MOST_POINTS_LOST),
        ("latency ratio", ratio, MOST_LATENCY_RATIO),
    ):
        benchmark.wanted(f"{name}: {what}", value, f"<= {most}", value <= most, row=place)


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("channel_removal", measure)


if __name__ == "__main__":
    sys.exit(main())
