"""Signs of weight gradients that are predicted beside those that are computed in full.

A small network learns Fashion-MNIST for `STEPS` steps; inputs and gradients of its layers are then
those of a batch, in codes of 8 and 16 bits. Each row is the kernel's gradient of one layer:
`predicted` is the share of weights that the prediction decides, from 4 and 10 bits with a beta of
0.05, as in the paper [WJC19]. Beside the operator stand the same one with no bit predicted, which
computes all products of 8 by 16 bits, and the float operator that plain training files have.

On this machine: medians of the times of one invoke, one thread, in turns, and of ratios by turns.
On emulated processors: instructions of one invoke, counted exactly. `saved_*` is how many times as
much the other takes. Rounding to codes is in none of them.
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
from edgeax.training.code_bits import codes_of, limit_of
from tests.tflite_kernels import sign_cases
from tests.tflite_kernels.gradient_cases import GradientCase, model_of

BATCH = 16
STEPS, QUICK_STEPS = 300, 5
ROUNDS, QUICK_ROUNDS = 31, 3
TURN_SECONDS = 0.02
PREDICTED, FULL, FLOAT = "predicted", "full", "float"

layers = keras.layers


def network() -> keras.Model:
    """Returns the network, from images `(28, 28, 1)` to logits."""
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1_to_16")(image)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_16_to_32")(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", name="conv_32_to_64")(x)
    x = layers.Conv2D(128, 1, activation="relu", name="pointwise_64_to_128")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(64, activation="relu", name="dense_128_to_64")(x)
    return keras.Model(image, layers.Dense(10, name="logits")(x))


class Seen(NamedTuple):
    """What a layer's kernel gradient is computed from: its input and its output's gradient."""

    layer: keras.Layer
    x: np.ndarray
    gradient: np.ndarray


def seen(quick: bool) -> list[Seen]:
    """Trains the network; returns what its layers see in the next step."""
    data = images("fashion_mnist", quick)
    keras.utils.set_random_seed(0)
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
    count = (QUICK_STEPS if quick else STEPS) * BATCH
    model.fit(data.x[:count], data.y[:count], batch_size=BATCH, epochs=1, verbose=0)
    kept = [layer for layer in model.layers if hasattr(layer, "kernel")]
    values = tf.constant(data.x[-BATCH:])
    inputs, sums = [], []
    with tf.GradientTape() as tape:
        for layer in model.layers[1:]:
            if layer in kept:
                activation, layer.activation = layer.activation, keras.activations.linear
                inputs.append(values)
                values = layer(values)
                tape.watch(values)
                sums.append(values)
                values, layer.activation = activation(values), activation
            else:
                values = layer(values)
        error = loss(data.y[-BATCH:], values)
    found = zip(kept, inputs, tape.gradient(error, sums), strict=True)
    return [Seen(layer, x.numpy(), gradient.numpy()) for layer, x, gradient in found]


def cases_of(one: Seen) -> dict[str, GradientCase]:
    """Returns the operators of a layer, by what they compute."""
    kernel = tuple(one.layer.kernel.shape)
    sizes = (1,) * (4 - len(kernel)) + kernel
    x, gradient = (a if a.ndim == 4 else a[:, None, None] for a in (one.x, one.gradient))
    stride = one.layer.strides[0] if hasattr(one.layer, "strides") else 1
    padding = one.layer.padding.upper() if hasattr(one.layer, "padding") else "VALID"
    window = {"strides": [1, stride, stride, 1], "padding": padding}
    codes = codes_of(x, limit_of(x, "batch"), 8).numpy().astype(np.int8)
    errors = codes_of(gradient, limit_of(gradient, "gradient"), 16).numpy().astype(np.int16)

    def case(operator: str, attributes: dict, x: np.ndarray, gradient: np.ndarray) -> GradientCase:
        inputs = {"input": x, "filter_sizes": np.int32(sizes), "out_backprop": gradient}
        return GradientCase(one.layer.name, operator, window | attributes, inputs, sizes)

    paper = sign_cases.PAPER
    return {
        PREDICTED: case(sign_cases.CONV, paper, codes, errors),
        FULL: case(sign_cases.CONV, {**paper, "predicted_bits": 0}, codes, errors),
        FLOAT: case("Conv2DBackpropFilter", {}, x, gradient),
    }


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
    """Yields the columns of each layer that are counted on an emulated processor."""
    paths = []
    for number, cases in enumerate(all_cases):
        for name, case in cases.items():
            paths.append(folder / f"{number}-{name}.tflite")
            paths[-1].write_bytes(model_of(case).write())
            np.savez(paths[-1].with_suffix(".npz"), **case.fed)
    counts = iter(tools.count(cpu, paths))
    for cases in all_cases:
        found = {name: next(counts) for name in cases}
        saved = {f"saved_to_{name}": found[name] / found[PREDICTED] for name in (FULL, FLOAT)}
        yield {**{f"{name}_instructions": count for name, count in found.items()}, **saved}


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each layer and processor."""
    every = seen(quick)
    all_cases = [cases_of(one) for one in every]
    shares = []
    for one, cases in zip(every, all_cases, strict=True):
        _, decided = sign_cases.expected_signs(cases[PREDICTED])
        shares.append({"layer": one.layer.name, "predicted": float(decided.mean())})
    for share, cases in zip(shares, all_cases, strict=True):
        columns = times_of(cases, QUICK_ROUNDS if quick else ROUNDS)
        _add(benchmark, {"cpu": "this machine", **share}, columns)
    if quick:
        return
    plugin = prepare_arm("psg_step")
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools.build(plugin, Path(folder))
        for cpu in CPUS:
            columns = counts_of(all_cases, tools, Path(folder), cpu)
            for share, counted in zip(shares, columns, strict=True):
                _add(benchmark, {"cpu": cpu, **share}, counted)


def _add(benchmark: Benchmark, names: dict, columns: dict[str, float]) -> None:
    row = benchmark.row(**names, **columns)
    say(f"{names}: {columns}")
    saved = columns[f"saved_to_{FULL}"]
    label = f"{names['cpu']}, {names['layer']}: saved to full computation"
    benchmark.wanted(label, saved, "> 1", saved > 1, row=row)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("psg_step", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
