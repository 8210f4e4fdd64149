"""Number formats side by side: one small network for Fashion-MNIST, fine-tuned in each of them.

The network is trained once in float per seed. Every format goes on from there, for the same epochs
at the same learning rate; so does float, with which the formats are compared. By the convention of
the field the first and the last layer keep 8-bit weights (1 % of all), and activations are int8
where a row names no other. Rows give the mean over the seeds and the spread, highest less lowest.

The last tenth of the training images is for choices: it chose the activations of the network whose
weights and activations are binary, zero and a gain behind a ReLU rather than signs, and the number
of epochs. Each row reads the test images once, at its end.

Images come from `fashion_mnist.npz` in the folder EDGEAX_TEST_DATA, else from keras.datasets;
`--quick` takes the bundled piece, and only the formats that have a target. A picture of accuracy
against bits is drawn beside the JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import edgeax
from benchmarks.harness import REPOSITORY, Benchmark, run

BUNDLED = REPOSITORY / "demos" / "data" / "fashion_mnist_subset.npz"
CLASSES = 10
BATCH = 128
SEEDS = (0, 1, 2)
FLOAT_EPOCHS = 8
FLOAT_RATE = 3e-3
TUNE_EPOCHS = 3
TUNE_RATE = 1e-3
FLOAT = "float32"

_SAMPLES = 256
_STEPS_PER_EXECUTION = 32
_PREDICT_BATCH = 1000
_TICKS = (1, 2, 3, 4, 5, 6, 8, 16, 32)  # bits
_HEIGHTS = 4  # at which labels of neighbors stand in the picture

layers = keras.layers

# Returns the transforms of kernels for a training of so many steps.
Kernel = Callable[[int], Any]


@dataclasses.dataclass(frozen=True)
class Images:
    """Images in 0..1, shape `(count, 28, 28, 1)`, with labels; training counts whole batches."""

    name: str
    x: np.ndarray
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclasses.dataclass(frozen=True)
class Setting:
    """One row of the report.

    Attributes:
        name: What it is called.
        kernel: What quantizes the kernels of all layers but the first and the last, or what returns
            it for a number of training steps; None: everything stays float.
        output: What quantizes the outputs of all layers but the last.
        signs: Whether outputs become -1 or 1, so that no ReLU stands before.
        most_points_lost: Target: points of accuracy that it may lose against float.
    """

    name: str
    kernel: str | edgeax.transforms.Transform | Kernel | None
    output: str = "int8"
    signs: bool = False
    most_points_lost: float | None = None


def incremental(steps: int) -> edgeax.Incremental:
    """Returns INQ for a training of so many steps: a round at each quarter."""
    return edgeax.Incremental([0, steps // 4, steps // 2, 3 * steps // 4])


SETTINGS = (
    Setting(FLOAT, None),
    Setting("bfloat16", "bfloat16"),
    Setting("int8", "int8", most_points_lost=0.3),
    Setting("int4", "int4", most_points_lost=0.8),
    Setting("int3", "int3"),
    Setting("int2", "int2"),
    Setting("LSQ 4", "lsq4"),
    Setting("LSQ 2", "lsq2"),
    Setting("fixed point 1.5", "fixed1_5"),
    Setting("fp8_e4m3", "fp8_e4m3", most_points_lost=0.3),
    Setting("fp8_e5m2", "fp8_e5m2"),
    Setting("fp6_e3m2", "fp6_e3m2"),
    Setting("fp4_e2m1", "fp4_e2m1"),
    Setting("AdaptivFloat 4", "adaptivfloat4_e2"),
    Setting("S2FP8", "s2fp8"),
    Setting("block float 8", "bfp8"),
    Setting("log 5", "log5"),
    Setting("log 4", "log4"),
    Setting("INQ power of two 5", incremental),
    Setting("balanced 4", "balanced4"),
    Setting("LQ-Net 2", "lq2"),
    Setting("ternary", "ternary"),
    Setting("ternary, learned", "ttq", most_points_lost=1.5),
    Setting("binary weights", "bwn", most_points_lost=2.0),
    Setting("DoReFa w4, PACT a4", "dorefa4", output="pact4"),
    Setting("DoReFa w1 a2", "dorefa1", output="dorefa2"),
    Setting("binary weights and activations", "bwn", output="lq1", most_points_lost=6.0),
    Setting("binary weights, signs", "bwn", output="ste_sign", signs=True),
)


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a setting, and the targets the issue names."""
    started = time.perf_counter()
    data = images("fashion_mnist", quick)
    settings = [
        setting
        for setting in SETTINGS
        if not quick or setting.kernel is None or setting.most_points_lost is not None
    ]
    compare(benchmark, settings, data, SEEDS[:1] if quick else SEEDS, 3 if quick else FLOAT_EPOCHS)
    say(f"{(time.perf_counter() - started) / 60:.1f} minutes")


def compare(
    benchmark: Benchmark,
    settings: Sequence[Setting],
    data: Images,
    seeds: Sequence[int],
    float_epochs: int,
) -> None:
    """Trains every setting from the float network of each seed, and adds rows and targets."""
    found: dict[str, list[dict[str, Any]]] = {setting.name: [] for setting in settings}
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = network()
        learn(model, data, float_epochs, FLOAT_RATE)
        weights = model.get_weights()
        for setting in settings:
            fact = tuned(setting, weights, data, seed, with_file=seed == seeds[0])
            found[setting.name].append(fact)
            say(f"seed {seed}  {setting.name}: {fact}")
    float_percent = over_seeds(found[FLOAT])["percent"]
    places = {}
    for setting in settings:
        facts = found[setting.name]
        row = {
            "data": data.name,
            "setting": setting.name,
            "bits_per_weight": facts[0]["bits_per_weight"],
            **over_seeds(facts),
        }
        row["points_lost"] = float_percent - row["percent"]
        places[setting.name] = (benchmark.row(**row), row)
    add_wanted(benchmark, settings, places)


def add_wanted(
    benchmark: Benchmark,
    settings: Iterable[Setting],
    places: dict[str, tuple[int, dict[str, Any]]],
) -> None:
    """Adds the targets of the settings that have one, and that of AdaptivFloat beside int4."""
    for setting in settings:
        most = setting.most_points_lost
        if most is not None:
            place, row = places[setting.name]
            lost = row["points_lost"]
            benchmark.wanted(
                f"{setting.name} points lost", lost, f"<= {most}", lost <= most, row=place
            )
    if {"AdaptivFloat 4", "int4"} <= places.keys():
        place, row = places["AdaptivFloat 4"]
        behind = places["int4"][1]["percent"] - row["percent"]
        benchmark.wanted(
            "AdaptivFloat 4 points behind int4", behind, "<= 0.3", behind <= 0.3, row=place
        )


def over_seeds(facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the means of what each seed gave, the spread, and the file of the first seed."""
    percents = [fact["percent"] for fact in facts]
    return {
        "percent": statistics.mean(percents),
        "spread": max(percents) - min(percents),
        "validation_percent": statistics.mean(fact["validation_percent"] for fact in facts),
        "file_bytes": facts[0]["file_bytes"],
        "file_percent": facts[0]["file_percent"],
        "seeds": len(facts),
    }


def network(with_relu: bool = True) -> keras.Model:
    """Returns a CNN of 50,000 weights for images `(28, 28, 1)`, whose outputs are logits."""
    given = x = keras.Input((28, 28, 1))

    def normalized(tensor: Any) -> Any:
        tensor = layers.BatchNormalization(momentum=0.95)(tensor)
        return layers.ReLU()(tensor) if with_relu else tensor

    for place, filters in enumerate((12, 24, 48)):
        conv = layers.Conv2D(
            filters, 3, strides=2, padding="same", use_bias=False, name=f"conv{place}"
        )
        x = normalized(conv(x))
    x = normalized(layers.Dense(48, use_bias=False, name="dense")(layers.Flatten()(x)))
    return keras.Model(given, layers.Dense(CLASSES, name="logits")(x))


def recipe_of(setting: Setting, steps: int) -> edgeax.Recipe:
    """Returns the recipe of a setting for a training of so many steps."""
    kernel: Any = setting.kernel
    if callable(kernel) and not isinstance(kernel, edgeax.transforms.Transform):
        kernel = kernel(steps)
    return edgeax.Recipe(
        [
            edgeax.Rule(".*", kernel=kernel, input="int8", output=setting.output),
            edgeax.Rule(["@first", "@last"], kernel="int8"),
            edgeax.Rule("@last", output="int8"),
        ],
        setting.name,
    )


def tuned(
    setting: Setting, weights: list[np.ndarray], data: Images, seed: int, with_file: bool
) -> dict[str, Any]:
    """Goes on from a float network in a setting and returns what came of it."""
    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(seed)
    model = network(with_relu=not setting.signs)
    model.set_weights(weights)
    if setting.kernel is not None:
        steps = TUNE_EPOCHS * -(-len(data.x) // BATCH)
        model = edgeax.compress(model, recipe_of(setting, steps))
    learn(model, data, TUNE_EPOCHS, TUNE_RATE)
    file = exported(model, data) if with_file else {"file_bytes": None, "file_percent": None}
    return {
        "bits_per_weight": bits_per_weight(model),
        "validation_percent": percent(model, data.x_validation, data.y_validation),
        "percent": percent(model, data.x_test, data.y_test),
        **file,
    }


def learn(
    model: keras.Model,
    data: Images,
    epochs: int,
    rate: float,
    augment: Callable[[np.ndarray], np.ndarray] | None = None,
) -> None:
    """Trains a model by Adam with a learning rate that falls to zero.

    Args:
        model: Its outputs are logits.
        data: The images.
        epochs: How often they are seen.
        rate: The first learning rate.
        augment: What is done to the images before each epoch.
    """
    compile_for(model, data, epochs, rate)
    for epoch in range(epochs):
        x = data.x if augment is None else augment(data.x)
        model.fit(x, data.y, batch_size=BATCH, initial_epoch=epoch, epochs=epoch + 1, verbose=0)


def compile_for(model: keras.Model, data: Images, epochs: int, rate: float) -> None:
    """Compiles a model whose outputs are logits, for Adam with a rate that falls to zero."""
    steps = epochs * -(-len(data.x) // BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=_STEPS_PER_EXECUTION,
        jit_compile=False,
    )


def percent(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """Returns how many of a hundred images a model knows."""
    # Not `predict`: it unrolls as many steps as are executed at once.
    batches = range(0, len(x), _PREDICT_BATCH)
    logits = [model.predict_on_batch(x[start : start + _PREDICT_BATCH]) for start in batches]
    return 100.0 * float(np.mean(np.concatenate(logits).argmax(-1) == y))


def exported(model: keras.Model, data: Images, count: int = 1000) -> dict[str, Any]:
    """Returns the bytes of a model's file, and its accuracy on the first `count` test images.

    A plain model becomes a float file.
    """
    is_plain = not any(isinstance(layer, edgeax.Compressed) for layer in model.layers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        result = edgeax.export(
            model,
            path,
            data.x[:_SAMPLES],
            activations="float32" if is_plain else "int8",
            measure=False,
        )
        answers = edgeax.Interpreter(path).run(data.x_test[:count]).argmax(-1)
    return {
        "file_bytes": result.size_bytes,
        "file_percent": 100.0 * float(np.mean(answers == data.y_test[:count])),
    }


def bits_per_weight(model: keras.Model) -> float:
    """Returns the mean width of a stored kernel weight, without scales."""
    counts = {
        layer.name: layer.kernel.shape.num_elements()
        for layer in model.layers
        if hasattr(layer, "kernel")
    }
    widths = {row.path: row.weight_bits for row in edgeax.summary(model).rows}
    return float(np.average([widths[name] for name in counts], weights=list(counts.values())))


def images(name: str, quick: bool) -> Images:
    """Returns a data set of keras.datasets, or the bundled piece of Fashion-MNIST.

    The last tenth of the training images is for validation.

    Args:
        name: `"fashion_mnist"` or `"mnist"`.
        quick: Whether to take the bundled piece.
    """
    folder = Path(os.environ.get("EDGEAX_TEST_DATA", ""))
    path = BUNDLED if quick else folder / f"{name}.npz"
    if path.is_file():
        with np.load(path) as arrays:
            x, y = arrays["x_train"], arrays["y_train"]
            x_test, y_test = arrays["x_test"], arrays["y_test"]
    else:
        (x, y), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    order = np.random.default_rng(0).permutation(len(y))
    cut = len(y) * 9 // 10 // BATCH * BATCH
    train, validation = order[:cut], order[cut:]
    return Images(
        "bundled piece" if quick else name,
        _scaled(x[train]),
        y[train].astype(np.int32),
        _scaled(x[validation]),
        y[validation].astype(np.int32),
        _scaled(x_test),
        y_test.astype(np.int32),
    )


def _scaled(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., None].astype(np.float32) / np.float32(255.0)


def say(text: str) -> None:
    """Prints progress beside the report."""
    print(text, file=sys.stderr, flush=True)


def draw(rows: Sequence[dict[str, Any]], path: Path) -> bool:
    """Draws accuracy against bits per weight, and returns whether matplotlib is there to do it.

    Args:
        rows: Those of the report.
        path: The PNG to write.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        say('no picture: matplotlib is missing. Install it: pip install "edgeax[plot]"')
        return False
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots()
    in_order = sorted(rows, key=lambda row: (row["bits_per_weight"], row["percent"]))
    for place, row in enumerate(in_order):
        bits, height = row["bits_per_weight"], row["percent"]
        axes.errorbar(bits, height, row["spread"] / 2, fmt="o", markersize=4, capsize=2)
        side = 1 if place % 2 else -1
        axes.annotate(
            row["setting"],
            (bits, height),
            (6 * side, 9 * (place % _HEIGHTS - 1.5)),
            textcoords="offset points",
            fontsize=7,
            ha="left" if side > 0 else "right",
            va="center",
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(_TICKS, labels=map(str, _TICKS))
    axes.set_xlabel("bits per weight")
    axes.set_ylabel("test accuracy, percent; bars: spread over the seeds")
    axes.set_title(f"{rows[0]['data']}: accuracy against bits")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)
    return True


def main() -> int:
    """Runs the benchmark from the command line and draws beside the JSON."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", type=Path)
    given, _ = parser.parse_known_args()
    code = run("formats", measure)
    if given.json:
        draw(json.loads(given.json.read_text())["rows"], given.json.with_suffix(".png"))
    return code


if __name__ == "__main__":
    sys.exit(main())
