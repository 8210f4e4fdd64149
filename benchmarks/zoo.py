"""Whole models as int8 files: what they cost to make, and how far they are from Keras.

Networks of keras.applications on Fashion-MNIST (from the folder EDGEAX_TEST_DATA where it holds
`fashion_mnist.npz`, else the bundled piece) as color images of 32 x 32; audio networks on Speech
Commands v2 features from the same folder, else on generated sequences. A network of random weights
proves nothing: each is trained from scratch by Adam for the epochs that its row says, on 2048
images or all sequences of the training part. Then its batch normalization is estimated again on
512 of these, it is compressed and fitted for one pass over 256, saved, loaded, and exported with 64
as samples. File and Keras are compared on 64 of the test part, which nothing was chosen by.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import edgeax
from benchmarks.harness import REPOSITORY, Benchmark, run
from benchmarks.recurrent import SPEECH, generated, speech
from edgeax.formats.flatbuffer import Model

FASHION = "fashion_mnist.npz"
BUNDLED = REPOSITORY / "demos" / "data" / "fashion_mnist_subset.npz"
RECIPE = "static_wi8_ai8"
MOST_RATIO = 1.5
LEAST_DB = 25.0
MOST_STEPS = 1.0
MARGIN_STEPS = 2.0
LEAST_CLASSES = 5
IMAGE_SIZE = 32
CLASSES = 10
SAMPLES = 64
UNSEEN = 256

_FIT_BATCH = 32
_MOST_BATCH_NORM_SAMPLES = 512

layers = keras.layers

# Inputs and labels to train on, then inputs and labels that were never seen.
Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One model of the zoo.

    Attributes:
        name: What it is called in the report.
        build: Returns the plain model, whose outputs are logits, for inputs of one shape (without
            the batch) and a number of classes.
        is_audio: Whether it takes sequences, not images.
        scales: Whether it takes pixels of 0..255 and scales them itself; others get -1..1.
        epochs: How often it sees its data before it is compressed.
        learning_rate: Of Adam meanwhile.
    """

    name: str
    build: Callable[[tuple[int, ...], int], keras.Model]
    is_audio: bool = False
    scales: bool = False
    epochs: int = 3
    learning_rate: float = 1e-3


def application(name: str) -> Callable[[tuple[int, ...], int], keras.Model]:
    """Returns what builds a model of keras.applications, untrained."""

    def build(shape: tuple[int, ...], classes: int) -> keras.Model:
        make = getattr(keras.applications, name)
        model: keras.Model = make(
            weights=None, input_shape=shape, classes=classes, classifier_activation=None
        )
        for layer in model.layers:
            if isinstance(layer, layers.Dropout):
                layer.rate = 0.0  # There is no time to overfit.
        return model

    return build


def ds_cnn(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Returns the keyword spotting network of MLPerf Tiny: depthwise separable convolutions."""

    def rounded(tensor: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization()(tensor))

    given = keras.Input(shape)
    x = layers.Reshape((*shape, 1))(given)
    x = rounded(layers.Conv2D(64, (10, 4), strides=2, padding="same")(x))
    for _ in range(4):
        x = rounded(layers.DepthwiseConv2D(3, padding="same")(x))
        x = rounded(layers.Conv2D(64, 1)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(classes, name="logits")(x))


def conv_gru(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Returns an audio network: a strided convolution over time, then a GRU."""
    given = keras.Input(shape)
    x = layers.Conv1D(32, 5, strides=3, padding="same", use_bias=False)(given)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(given, layers.Dense(classes, name="logits")(layers.GRU(32)(x)))


def lstm(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Returns one LSTM and a classifier."""
    given = keras.Input(shape)
    return keras.Model(given, layers.Dense(classes, name="logits")(layers.LSTM(32)(given)))


def bidirectional_lstm(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Returns an LSTM in both directions and a classifier."""
    given = keras.Input(shape)
    x = layers.Bidirectional(layers.LSTM(24))(given)
    return keras.Model(given, layers.Dense(classes, name="logits")(x))


def transformer(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Returns a transformer encoder of two layers behind a convolution over time."""
    width = 32
    given = keras.Input(shape)
    x = layers.Conv1D(width, 3, strides=2, padding="same", activation="relu")(given)
    for _ in range(2):
        attended = layers.MultiHeadAttention(num_heads=2, key_dim=width // 2)(x, x)
        x = layers.LayerNormalization()(layers.Add()([x, attended]))
        wide = layers.Dense(2 * width, activation="relu")(x)
        x = layers.LayerNormalization()(layers.Add()([x, layers.Dense(width)(wide)]))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(given, layers.Dense(classes, name="logits")(x))


ZOO = (
    Entry("MobileNetV2", application("MobileNetV2"), epochs=10),
    Entry("MobileNetV3Small", application("MobileNetV3Small"), scales=True, epochs=10),
    Entry("EfficientNetB0", application("EfficientNetB0"), scales=True, epochs=6),
    Entry("ResNet50V2", application("ResNet50V2")),
    Entry("DenseNet121", application("DenseNet121")),
    Entry("NASNetMobile", application("NASNetMobile"), epochs=6),
    Entry("DS-CNN", ds_cnn, is_audio=True),
    Entry("Conv1D + GRU", conv_gru, is_audio=True, epochs=6, learning_rate=3e-3),
    Entry("LSTM", lstm, is_audio=True, epochs=8, learning_rate=3e-3),
    Entry("bidirectional LSTM", bidirectional_lstm, is_audio=True, epochs=8, learning_rate=3e-3),
    Entry("transformer encoder", transformer, is_audio=True, epochs=6, learning_rate=3e-3),
)


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a model, and the targets the issue names for each."""
    if quick:
        add(benchmark, Entry("tiny CNN", tiny_cnn, epochs=3), images(256), rounds=1)
        audio = Entry("tiny audio", tiny_audio, is_audio=True, epochs=12, learning_rate=1e-2)
        add(benchmark, audio, sequences(from_folder=False), rounds=1)
        return
    seen, heard = images(2048), sequences()
    for entry in ZOO:
        print(f"{entry.name} ...", file=sys.stderr, flush=True)
        add(benchmark, entry, heard if entry.is_audio else seen, rounds=2)


def add(benchmark: Benchmark, entry: Entry, data: Data, rounds: int) -> None:
    """Adds the row of one model and its targets."""
    row = examine(entry, data, rounds)
    place = benchmark.row(**row)

    def wanted(column: str, rule: str, holds: Callable[[Any], bool]) -> None:
        value = row[column]
        met = value is not None and holds(value)
        benchmark.wanted(f"{entry.name} {column}", value, rule, met, row=place)

    if row["bare_seconds"] is not None:
        wanted("export_over_bare", f"<= {MOST_RATIO}", lambda value: value <= MOST_RATIO)
    wanted("file_to_keras_db", f">= {LEAST_DB}", lambda value: value >= LEAST_DB)
    wanted("median_steps", f"<= {MOST_STEPS}", lambda value: value <= MOST_STEPS)
    wanted("agreement_beyond_margin", "1.0", lambda value: value == 1.0)
    wanted("classes_predicted", f">= {LEAST_CLASSES}", lambda value: value >= LEAST_CLASSES)


def examine(entry: Entry, data: Data, rounds: int) -> dict[str, Any]:
    """Takes one model the whole way and returns what was measured."""
    keras.utils.set_random_seed(0)
    x, y, unseen, labels = data
    if entry.scales:
        x, unseen = 127.5 * (x + 1.0), 127.5 * (unseen + 1.0)
    samples, compared = x[:SAMPLES], unseen[:SAMPLES]
    model = entry.build(x.shape[1:], int(y.max()) + 1)
    train(model, entry, x, y)
    estimate_batch_norm(model, x[:_MOST_BATCH_NORM_SAMPLES])
    started = time.perf_counter()
    small = edgeax.compress(model, RECIPE)
    compress_seconds = time.perf_counter() - started
    small.compile(keras.optimizers.SGD(1e-5), _loss())
    small.fit(x[:256], y[:256], batch_size=_FIT_BATCH, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        saved, path = Path(folder) / "model.keras", Path(folder) / "model.tflite"
        small.save(saved)
        small = keras.models.load_model(saved)
        times: dict[str, list[float]] = {"bare": [], "export": []}
        for _ in range(rounds):
            started = time.perf_counter()
            bare, bare_error = bare_conversion(model, samples)
            times["bare"].append(time.perf_counter() - started)
            started = time.perf_counter()
            result = edgeax.export(small, path, samples, measure=False)
            times["export"].append(time.perf_counter() - started)
        file = _outputs(path.read_bytes(), compared)
        scale = output_scale(path.read_bytes())
    expected, exact = _logits(small, compared), _logits(model, compared)
    row = {
        "model": entry.name,
        "parameters": model.count_params(),
        "epochs": entry.epochs,
        "float_percent": 100.0 * float(np.mean(_logits(model, unseen).argmax(-1) == labels)),
        "compress_seconds": compress_seconds,
        "export_seconds": statistics.median(times["export"]),
        "bare_seconds": statistics.median(times["bare"]) if bare else None,
        "export_over_bare": None,
        "bare_error": bare_error,
        "file_to_keras_db": snr_db(file, expected),
        "file_to_float_db": snr_db(file, exact),
        "bare_to_float_db": snr_db(_outputs(bare, compared), exact) if bare else None,
        **_worst(result),
        **_steps(file, expected, scale),
        "classes_predicted": len(set(file.argmax(-1).tolist())),
        "stays_float": list(result.stays_float),
    }
    if bare:
        row["export_over_bare"] = row["export_seconds"] / row["bare_seconds"]
    keras.utils.clear_session()
    gc.collect()
    return row


def train(model: keras.Model, entry: Entry, x: np.ndarray, y: np.ndarray) -> None:
    """Trains a plain model, so that its predictions mean something."""
    model.compile(keras.optimizers.Adam(entry.learning_rate), _loss(), jit_compile=False)
    model.fit(x, y, batch_size=_FIT_BATCH, epochs=entry.epochs, verbose=0)


def estimate_batch_norm(model: keras.Model, x: np.ndarray) -> None:
    """Makes the moving statistics of every batch normalization those of `x`."""
    norms = [
        layer for layer in model._flatten_layers() if isinstance(layer, layers.BatchNormalization)
    ]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(x, training=True)
    for norm, value in zip(norms, momentum, strict=True):
        norm.momentum = value


def bare_conversion(model: keras.Model, samples: np.ndarray) -> tuple[bytes | None, str]:
    """Returns what TFLite alone makes of a plain model and samples, and why it makes nothing."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in samples)
    with _silence():
        try:
            return bytes(converter.convert()), ""
        except Exception as error:  # what the converter raises has no common base
            return None, f"the converter alone fails: {str(error).strip().splitlines()[0][:100]}"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keeps what the converter prints by Python out of the report."""
    with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
        yield


def snr_db(values: np.ndarray, expected: np.ndarray) -> float:
    """Returns the decibels of what is expected over the differences from it.

    Example: `snr_db([1.1, 1.9], [1.0, 2.0])` is `10 * log10(5 / 0.02)`, about 23.98.
    """
    right = np.asarray(expected, np.float64)
    noise = float(np.sum((np.asarray(values, np.float64) - right) ** 2))
    return 10.0 * float(np.log10(np.sum(right**2) / max(noise, 1e-30)))


def output_scale(content: bytes) -> float | None:
    """Returns the step of a file's one output, None where it is computed in float."""
    graph = Model.from_bytes(content).subgraphs[0]
    (index,) = graph.outputs
    producer = graph.producer(index)
    if producer is None or graph.operators[producer].name != "DEQUANTIZE":
        return None
    scale = graph.tensors[graph.operators[producer].inputs[0]].scale
    return None if scale is None else float(scale[0])


def _steps(file: np.ndarray, expected: np.ndarray, scale: float | None) -> dict[str, Any]:
    """Returns how many steps of the output the file is away, and how often it answers as Keras does
    where Keras's margin is more than two steps.
    """
    if scale is None:
        return {"median_steps": None, "samples_beyond_margin": 0, "agreement_beyond_margin": None}
    away = np.abs(np.rint(file / scale) - np.rint(expected / scale))
    second, first = np.sort(expected, axis=-1)[:, -2:].T
    sure = first - second > MARGIN_STEPS * scale
    same = (file.argmax(-1) == expected.argmax(-1))[sure]
    return {
        "median_steps": float(np.median(away)),
        "samples_beyond_margin": int(np.sum(sure)),
        "agreement_beyond_margin": float(np.mean(same)) if same.size else None,
    }


def _worst(result: edgeax.Result) -> dict[str, Any]:
    """Returns the layer whose results differ most from Keras's, fed with the same inputs."""
    differing = [layer for layer in result.parity.layers if layer.snr_db is not None]
    if not differing:
        return {"worst_layer": None, "worst_layer_db": None}
    worst = min(differing, key=lambda layer: layer.snr_db)
    return {"worst_layer": worst.path, "worst_layer_db": worst.snr_db}


def _outputs(content: bytes, samples: np.ndarray) -> np.ndarray:
    return np.asarray(edgeax.Interpreter(model_content=content).run(samples))


def _logits(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(x, verbose=0))


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def images(count: int, size: int = IMAGE_SIZE) -> Data:
    """Returns training images of Fashion-MNIST `(count, size, size, 3)` in -1..1 with labels, and
    others that were never seen.
    """
    given = Path(os.environ.get("EDGEAX_TEST_DATA", "")) / FASHION
    with np.load(given if given.is_file() else BUNDLED) as arrays:
        parts = [
            (arrays[f"x_{part}"][which], arrays[f"y_{part}"][which].astype(np.int32))
            for part, which in (("train", slice(count)), ("test", slice(-UNSEEN, None)))
        ]

    def colored(gray: np.ndarray) -> np.ndarray:
        resized = np.asarray(tf.image.resize(gray[..., None].astype(np.float32), (size, size)))
        return np.repeat(resized / 127.5 - 1.0, 3, axis=-1)

    (x, y), (unseen, labels) = parts
    return colored(x), y, colored(unseen), labels


def sequences(from_folder: bool = True) -> Data:
    """Returns audio features `(count, time, features)` in mixed order with labels, and others that
    were never seen.
    """
    folder = Path(os.environ.get("EDGEAX_TEST_DATA", ""))
    x, y, unseen, labels = (
        speech()[1] if from_folder and (folder / SPEECH).is_file() else generated()
    )
    generator = np.random.default_rng(0)
    order, unseen_order = generator.permutation(len(y)), generator.permutation(len(labels))[:UNSEEN]
    return x[order], y[order], unseen[unseen_order], labels[unseen_order]


def tiny_cnn(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Returns a residual network of a few hundred weights, for a smoke test."""
    given = keras.Input(shape)
    x = layers.Conv2D(8, 3, strides=4, use_bias=False)(given)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Add()([x, layers.Conv2D(8, 3, padding="same", activation="relu")(x)])
    x = layers.Flatten()(x)
    return keras.Model(given, layers.Dense(classes, name="logits")(x))


def tiny_audio(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Returns a convolution over time and a classifier, for a smoke test."""
    given = keras.Input(shape)
    x = layers.Conv1D(16, 3, strides=2, activation="relu")(given)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(given, layers.Dense(classes, name="logits")(x))


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("zoo", measure)


if __name__ == "__main__":
    sys.exit(main())
