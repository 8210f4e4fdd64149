"""Signs of weight gradients that are predicted beside those that are computed in full.

A network of residual and of depthwise separable blocks learns a part of Fashion-MNIST, its images
halved to 14x14, for `STEPS` steps with predicted signs; what a row measures are the codes that a
layer multiplies in the next step. Settings are the paper's [WJC19], 4 bits of the input and 10 of
the gradient, and `bytes`, 8 of each, from which a full gradient goes on. `sure` is the share of
weights that the prediction decides, `wrong` the share of these whose sign is another than that of
all bits.

Beside the operator stand the same one with no bit predicted, which computes all products of 8 by
16 bits, and the float operator, of which files without this operator need two. On this machine:
medians of the times of one invoke, one thread, in turns, and of ratios by turns. On emulated
processors: instructions of one invoke, counted exactly. `saved_*` is how many times as much the
other takes. Rounding to codes is in none of them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import edgeax
from benchmarks.formats import images, say
from benchmarks.gradients import turn
from benchmarks.harness import Benchmark, run
from benchmarks.hosts import prepare_arm
from benchmarks.kernels_arm import CPUS, Tools
from benchmarks.low_precision_training import halved
from tests.tflite_kernels import sign_cases
from tests.tflite_kernels.gradient_cases import GradientCase, model_of

BATCH = 16
STEPS, QUICK_STEPS = 400, 5
RATE = 0.002
ROUNDS, QUICK_ROUNDS = 31, 3
TURN_SECONDS = 0.02
PREDICTED, FULL, FLOAT = "predicted", "full", "float"
PAPER, BYTES = "paper", "bytes"
SETTINGS = {PAPER: sign_cases.PAPER, BYTES: sign_cases.BYTES}

layers = keras.layers


def network() -> keras.Model:
    """Returns the network, from images `(14, 14, 1)` to logits; the layers with names are shown."""

    def norm(x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.BatchNormalization(momentum=0.9)(x)

    def conv(x: keras.KerasTensor, filters: int, size: int = 3, **settings: object) -> object:
        return norm(layers.Conv2D(filters, size, padding="same", use_bias=False, **settings)(x))

    image = keras.Input((14, 14, 1))
    x = layers.ReLU()(conv(image, 16, name="conv_1_to_16"))
    inner = layers.ReLU()(conv(x, 16, name="conv_16_to_16"))
    x = layers.ReLU()(layers.Add()([x, conv(inner, 16)]))
    short = conv(x, 32, 1, strides=2)
    inner = layers.ReLU()(conv(x, 32, strides=2, name="conv_16_to_32_strided"))
    x = layers.ReLU()(layers.Add()([short, conv(inner, 32, name="conv_32_to_32")]))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise_32")(x)
    x = layers.ReLU()(norm(x))
    x = layers.ReLU()(conv(x, 64, 1, name="pointwise_32_to_64"))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, name="dense_64_to_10")(x))


SHOWN = (
    "conv_1_to_16",
    "conv_16_to_16",
    "conv_16_to_32_strided",
    "conv_32_to_32",
    "depthwise_32",
    "pointwise_32_to_64",
    "dense_64_to_10",
)


class Seen(NamedTuple):
    """What a layer's kernel gradient is computed from: codes of its input and of its output's
    gradient."""

    layer: keras.Layer
    codes: np.ndarray
    errors: np.ndarray


def seen(setting: str, quick: bool) -> list[Seen]:
    """Trains the network; returns what its layers see in the next step."""
    data = images("fashion_mnist", quick)
    count = (QUICK_STEPS if quick else STEPS) * BATCH
    x, y = halved(data.x[: count + BATCH]), data.y[: count + BATCH]
    keras.utils.set_random_seed(0)
    config = {name: SETTINGS[setting][name] for name in SETTINGS[setting] if name != "carry"}
    model = edgeax.with_predictive_gradients(network(), **config)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(edgeax.optimizers.PredictiveSignSGD(RATE), loss)
    model.fit(x[:-BATCH], y[:-BATCH], batch_size=BATCH, epochs=1, verbose=0)
    found: dict[str, Seen] = {}

    def record(layer: keras.Layer) -> None:
        def operator(codes: tf.Tensor, errors: tf.Tensor) -> tf.Tensor:
            found[layer.name] = Seen(layer, codes.numpy(), errors.numpy())
            return tf.zeros_like(layer.kernel.value)

        layer.sign_operator = operator

    for name in SHOWN:
        record(model.get_layer(name))
    with tf.GradientTape() as tape:
        error = loss(y[-BATCH:], model(x[-BATCH:], training=True))
    tape.gradient(error, [v.value for v in model.trainable_variables])
    return [found[name] for name in SHOWN]


def cases_of(one: Seen, setting: str) -> dict[str, GradientCase]:
    """Returns the operators of a layer, by what they compute."""
    kernel = tuple(one.layer.kernel.shape)
    sizes = (1,) * (4 - len(kernel)) + kernel
    x, gradient = (a if a.ndim == 4 else a[:, None, None] for a in (one.codes, one.errors))
    stride = one.layer.strides[0] if hasattr(one.layer, "strides") else 1
    padding = one.layer.padding.upper() if hasattr(one.layer, "padding") else "VALID"
    window = {"strides": [1, stride, stride, 1], "padding": padding}
    is_depthwise = isinstance(one.layer, layers.DepthwiseConv2D)

    def case(operator: str, attributes: dict, x: np.ndarray, gradient: np.ndarray) -> GradientCase:
        inputs = {"input": x, "filter_sizes": np.int32(sizes), "out_backprop": gradient}
        return GradientCase(one.layer.name, operator, window | attributes, inputs, sizes)

    signs = sign_cases.DEPTHWISE if is_depthwise else sign_cases.CONV
    real = "DepthwiseConv2dNativeBackpropFilter" if is_depthwise else "Conv2DBackpropFilter"
    codes, errors = x.astype(np.int8), gradient.astype(np.int16)
    settings = SETTINGS[setting]
    return {
        PREDICTED: case(signs, settings, codes, errors),
        FULL: case(signs, {**settings, "predicted_bits": 0}, codes, errors),
        FLOAT: case(real, {}, x.astype(np.float32), gradient.astype(np.float32)),
    }


def shares_of(cases: dict[str, GradientCase]) -> dict[str, float]:
    """Returns the shares of the signs that are sure, and of these that are wrong."""
    signs, sure = sign_cases.expected_signs(cases[PREDICTED])
    full, _ = sign_cases.expected_signs(cases[FULL])
    return {"sure": float(sure.mean()), "wrong": float((signs != full)[sure].mean())}


def interpreter_of(case: GradientCase) -> Interpreter:
    """Returns an interpreter of one operator, with its inputs set."""
    interpreter = Interpreter(
        model_content=model_of(case).write(),
        experimental_delegates=[edgeax.load_delegate()],
        num_threads=1,
    )
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], case.inputs[detail["name"]])
    interpreter.invoke()
    return interpreter


def times_of(cases: dict[str, GradientCase], rounds: int) -> dict[str, float]:
    """Returns the columns that are measured on this machine."""
    calls = {name: interpreter_of(case).invoke for name, case in cases.items()}
    turns = [
        {name: turn(call, TURN_SECONDS) for name, call in calls.items()} for _ in range(rounds)
    ]
    columns = {f"{name}_us": 1e6 * statistics.median(t[name] for t in turns) for name in calls}
    for name in (FULL, FLOAT):
        ratios = [t[name] / t[PREDICTED] for t in turns]
        columns[f"saved_to_{name}"] = statistics.median(ratios)
    return columns


def counts_of(
    all_cases: Sequence[dict[str, GradientCase]], tools: Tools, folder: Path, cpu: str
) -> Iterator[dict[str, float]]:
    """Yields the columns of each layer that are counted on an emulated processor.

    What is computed in full takes as many instructions whatever the numbers are: it is counted once
    for each layer.
    """
    paths: dict[tuple[str, str], Path] = {}
    for number, cases in enumerate(all_cases):
        for name, case in cases.items():
            key = (case.name, name if name != PREDICTED else f"{name} {number}")
            if key in paths:
                continue
            paths[key] = folder / f"{number}-{name}.tflite"
            paths[key].write_bytes(model_of(case).write())
            np.savez(paths[key].with_suffix(".npz"), **case.fed)
    counts = dict(zip(paths, tools.count(cpu, [*paths.values()]), strict=True))
    for number, cases in enumerate(all_cases):
        name = cases[PREDICTED].name
        found = {other: counts[name, other] for other in (FULL, FLOAT)}
        found[PREDICTED] = counts[name, f"{PREDICTED} {number}"]
        saved = {f"saved_to_{other}": found[other] / found[PREDICTED] for other in (FULL, FLOAT)}
        yield {**{f"{other}_instructions": count for other, count in found.items()}, **saved}


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each layer, setting and processor."""
    names, all_cases = [], []
    for setting in SETTINGS:
        for one in seen(setting, quick):
            cases = cases_of(one, setting)
            names.append({"layer": one.layer.name, "setting": setting, **shares_of(cases)})
            all_cases.append(cases)
    for name, cases in zip(names, all_cases, strict=True):
        columns = times_of(cases, QUICK_ROUNDS if quick else ROUNDS)
        _add(benchmark, {"cpu": "this machine", **name}, columns)
    if quick:
        return
    plugin = prepare_arm("psg_step")
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools.build(plugin, Path(folder))
        for cpu in CPUS:
            columns = counts_of(all_cases, tools, Path(folder), cpu)
            for name, counted in zip(names, columns, strict=True):
                _add(benchmark, {"cpu": cpu, **name}, counted)


def _add(benchmark: Benchmark, names: dict, columns: dict[str, float]) -> None:
    row = benchmark.row(**names, **columns)
    say(f"{names}: {columns}")
    if names["setting"] != BYTES:
        return
    saved = columns[f"saved_to_{FULL}"]
    label = f"{names['cpu']}, {names['layer']}: saved to full computation"
    benchmark.wanted(label, saved, "> 1", saved > 1, row=row)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("psg_step", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
