"""Classes that arrive in five parts: what a small memory of earlier images is worth.

A convolutional network learns Fashion-MNIST, its images halved to 14x14, two classes after the
other: it sees each part for the same epochs and never again. Of a buffer of earlier images
(`edgeax.lifelong.RehearsalBuffer`, 4 bits a pixel) every batch has a share, so that all classes
that have come are equally many in it. "joint" learns all classes at once for the same epochs; "no
buffer" has the new part alone. Accuracy is over all ten classes at the end.

The share and the number of epochs were chosen on validation images of seed 0; each row reads the
test images once for each seed. The spread is highest less lowest.

Images come from `fashion_mnist.npz` in the folder EDGEAX_TEST_DATA, else from keras.datasets.
`--quick` is a smoke test on a few images with one seed.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys
import time
from collections.abc import Sequence

import keras
import numpy as np

from benchmarks.formats import images, percent, say
from benchmarks.harness import Benchmark, run
from benchmarks.low_precision_training import halved
from benchmarks.workers import in_processes
from edgeax.lifelong import RehearsalBuffer, rehearse

SEEDS = (0, 1)
COUNT = 20_000
EPOCHS = 3
BATCH = 64
RATE = 2e-3
PARTS = 5
CLASSES = 10
MOST_BYTES = 200_000
MOST_POINTS_BEHIND = 5.0
MUCH_WORSE = 20.0

layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Setting:
    """One row of the report.

    Attributes:
        name: What it is called.
        capacity_bytes: Of the buffer, 0 for none; None: all classes come at once.
        bits: Of a pixel in it.
    """

    name: str
    capacity_bytes: int | None
    bits: int = 4


JOINT = Setting("joint", None)
BUFFER = Setting("200 kB", MOST_BYTES)
NOTHING = Setting("no buffer", 0)
SETTINGS = (
    JOINT,
    BUFFER,
    Setting("200 kB, 8 bits", MOST_BYTES, 8),
    Setting("50 kB", 50_000),
    NOTHING,
)


def network() -> keras.Model:
    """Returns the network, for images `(14, 14, 1)`; its outputs are logits."""
    given = keras.Input((14, 14, 1))
    x = given
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(CLASSES)(x))


def learn(model: keras.Model, data: keras.utils.PyDataset, epochs: int) -> None:
    """Trains with a rate that falls along a cosine."""
    rates = [RATE * (1.0 + math.cos(math.pi * epoch / epochs)) / 2.0 for epoch in range(epochs)]
    falling = keras.callbacks.LearningRateScheduler(lambda epoch: rates[epoch])
    model.fit(data, epochs=epochs, verbose=0, callbacks=[falling])


def lived(
    setting: Setting,
    x: np.ndarray,
    y: np.ndarray,
    x_other: np.ndarray,
    y_other: np.ndarray,
    seed: int,
    epochs: int,
) -> tuple[list[float], int]:
    """Returns the percent answered right after each part, and the bytes of the buffer.

    The percents are over all classes that have come. Runs in a process of its own.
    """
    keras.utils.set_random_seed(seed)
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss, jit_compile=False)
    capacity = setting.capacity_bytes
    bits, shape = setting.bits, x.shape[1:]
    buffer = RehearsalBuffer(capacity or MOST_BYTES, shape, CLASSES, bits, seed=seed)
    parts = 1 if capacity is None else PARTS
    found = []
    for part in range(parts):
        mine, seen = y * parts // CLASSES == part, y_other * parts // CLASSES <= part
        share = part / (part + 1) if capacity else 0.0
        new = max(1, round(BATCH * (1.0 - share)))
        learn(model, rehearse(buffer, x[mine], y[mine], share, new, seed), epochs)
        if capacity:
            buffer.add(x[mine], y[mine])
        found.append(percent(model, x_other[seen], y_other[seen]))
    return found, buffer.bytes if capacity else 0


def measure(benchmark: Benchmark, quick: bool, settings: Sequence[Setting] = SETTINGS) -> None:
    """Fills the report with a row for each setting, and the targets the issue names."""
    started = time.perf_counter()
    whole = images("fashion_mnist", quick)
    count, epochs = (256, 1) if quick else (COUNT, EPOCHS)
    x, y = halved(whole.x[:count]), whole.y[:count]
    tested = slice(count if quick else None)
    x_test, y_test = halved(whole.x_test[tested]), whole.y_test[tested]
    seeds = SEEDS[:1] if quick else SEEDS
    jobs = [(setting, seed) for setting in settings for seed in seeds]
    done = in_processes(lived, [(one, x, y, x_test, y_test, seed, epochs) for one, seed in jobs])
    found: dict[str, list[list[float]]] = {}
    sizes: dict[str, int] = {}
    for (setting, seed), (percents, size) in zip(jobs, done, strict=True):
        found.setdefault(setting.name, []).append(percents)
        sizes[setting.name] = size
        say(f"{setting.name}, seed {seed}: {percents[-1]:.2f} %")
    for setting in settings:
        add_row(benchmark, setting, whole.name, found, sizes[setting.name])
    add_targets(benchmark, found, sizes[BUFFER.name])
    say(f"{(time.perf_counter() - started) / 60:.1f} minutes")


def last(found: dict[str, list[list[float]]], name: str) -> list[float]:
    """Returns the percents over all classes at the end, one for each seed."""
    return [percents[-1] for percents in found[name]]


def add_row(
    benchmark: Benchmark,
    setting: Setting,
    data: str,
    found: dict[str, list[list[float]]],
    size: int,
) -> None:
    """Adds the row of a setting."""
    percents = last(found, setting.name)
    after = zip(*found[setting.name], strict=True)
    benchmark.row(
        setting=setting.name,
        data=data,
        buffer_bytes=size,
        bits=setting.bits if size else None,
        percent=statistics.mean(percents),
        spread=max(percents) - min(percents),
        points_behind=statistics.mean(last(found, JOINT.name)) - statistics.mean(percents),
        percent_after_each_part=" ".join(f"{statistics.mean(values):.1f}" for values in after),
        seeds=len(percents),
    )


def add_targets(benchmark: Benchmark, found: dict[str, list[list[float]]], size: int) -> None:
    """Adds what the issue wants."""
    joint, kept, forgotten = (
        statistics.mean(last(found, one.name)) for one in (JOINT, BUFFER, NOTHING)
    )
    holds = size <= MOST_BYTES
    benchmark.wanted("bytes of the buffer", size, f"<= {MOST_BYTES:,}", holds)
    text, behind = f"<= {MOST_POINTS_BEHIND:.0f}", joint - kept
    benchmark.wanted("points behind joint training", behind, text, behind <= MOST_POINTS_BEHIND)
    text, worse = f">= {MUCH_WORSE:.0f}", kept - forgotten
    benchmark.wanted("points that the buffer is worth", worse, text, worse >= MUCH_WORSE)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("lifelong", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
