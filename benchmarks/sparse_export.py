"""Pruned kernels in the file: bytes and milliseconds against dense int8.

Two networks of several hundred kB of int8 weights, so that the graph around them hides nothing:
LeNet-300-100 and a small residual network. Their weights are random normal and pruned by magnitude:
bytes and milliseconds do not mind, and accuracy is not measured. Every kernel is int8 with one
scale per output channel; all but the residual network's stem (1,152 weights) are pruned.

For each network, structure of the zeros and sparsity: the file as `edgeax.export` writes it, and
the one of `runtime="stock"`, which is dense int8. `share` is the first one's part of the second
one's bytes, `ratio` the same of their milliseconds, measured in turns by one thread: above 1, the
sparse file is slower. `noise` is how far off the ratio may be. `forms` counts how kernels are
stored: places of the blocks, and codes in a block.

`other_codes` is the part of the int8 outputs in which both files differ. Our sums are exact and
rounded as fixed point; XNNPACK rounds the same sums in float32, where one in millions falls on the
other side of a half, and a deep network carries that on.

Two columns show what others offer for the same zeros: `gzip_share`, the dense file compressed by
gzip -9, which has to be unpacked before it runs; and `float_sparse_share`, the converter's
`Optimize.EXPERIMENTAL_SPARSITY` in float, both as parts of dense int8.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import statistics
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import edgeax
from benchmarks.formats import say
from benchmarks.harness import Benchmark, run
from edgeax.runtime import latency

SPARSITIES = (0.5, 0.75, 0.9)
ELEMENT = "element"
MOST_SHARE = 0.25
STEM = "stem"

_SAMPLES = 32
_REPEATS = 200
_QUICK_REPEATS = 20
_NORMAL = {
    "kernel_initializer": keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
}

layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Structure:
    """How zeros lie.

    Attributes:
        name: What it is called.
        sparsities: Which parts of the weights it can make zero.
        prune: Returns what prunes a kernel to a sparsity.
    """

    name: str
    sparsities: Sequence[float]
    prune: Callable[[float], edgeax.Prune]


def blocks(inputs: int) -> Structure:
    """Returns blocks of neighbouring inputs of one output channel."""
    return Structure(f"1x{inputs}", SPARSITIES, lambda part: edgeax.Prune(part, block=(1, inputs)))


STRUCTURES = (
    Structure(ELEMENT, SPARSITIES, edgeax.Prune),
    blocks(4),
    blocks(16),
    Structure("2:4", (0.5,), lambda _: edgeax.Prune(structure="2:4")),
)


def lenet_300_100() -> keras.Model:
    """Returns a dense network of 266,200 weights for 784 pixels."""
    given = keras.Input((784,))
    x = layers.Dense(300, activation="relu", name="hidden_300", **_NORMAL)(given)
    x = layers.Dense(100, activation="relu", name="hidden_100", **_NORMAL)(x)
    return keras.Model(given, layers.Dense(10, name="logits", **_NORMAL)(x), name="lenet_300_100")


def small_resnet() -> keras.Model:
    """Returns a residual network of 307,584 weights for images `(32, 32, 4)`, three blocks wide."""
    given = keras.Input((32, 32, 4))

    def conv(x: Any, name: str, filters: int, size: int = 3, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, size, strides, "same", use_bias=False, name=name, **_NORMAL)(x)
        return layers.BatchNormalization()(x)

    x = layers.ReLU()(conv(given, STEM, 32))
    for place, (filters, strides) in enumerate(((32, 1), (64, 2), (128, 2))):
        y = layers.ReLU()(conv(x, f"first_{place}", filters, strides=strides))
        y = conv(y, f"second_{place}", filters)
        if strides > 1:
            x = conv(x, f"shortcut_{place}", filters, 1, strides)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(10, name="logits", **_NORMAL)(x), name="small_resnet")


NETWORKS = (lenet_300_100, small_resnet)


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a network, structure and sparsity, and adds the targets."""
    for network in NETWORKS:
        for structure in STRUCTURES[:1] if quick else STRUCTURES:
            for sparsity in structure.sparsities[-1:] if quick else structure.sparsities:
                row = row_of(network, structure, sparsity, _QUICK_REPEATS if quick else _REPEATS)
                place = benchmark.row(**row)
                say(str(row))
                if (structure.name, sparsity) == (ELEMENT, 0.9):
                    add_wanted(benchmark, row, place)


def add_wanted(benchmark: Benchmark, row: dict[str, Any], place: int) -> None:
    """Adds the target of a network whose weights are pruned one by one to 90 %."""
    name = f"{row['network']}: share of dense int8 at 90 %, element-wise"
    share = row["share"]
    benchmark.wanted(name, share, f"<= {MOST_SHARE}", share <= MOST_SHARE, row=place)


def row_of(
    network: Callable[[], keras.Model], structure: Structure, sparsity: float, repeats: int
) -> dict[str, Any]:
    """Returns a row: what a network with some zeros takes as each kind of file."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = pruned(network(), structure, sparsity)
    shape = model.input_shape[1:]
    samples = np.random.default_rng(0).normal(size=(_SAMPLES, *shape)).astype(np.float32)
    model(samples, training=True)  # activations have been seen, as after any training
    with tempfile.TemporaryDirectory() as folder:
        paths = {"edgeax": Path(folder, "sparse.tflite"), "stock": Path(folder, "dense.tflite")}
        results = {
            runtime: edgeax.export(model, path, samples, io="int8", runtime=runtime, measure=False)
            for runtime, path in paths.items()
        }
        dense = paths["stock"].read_bytes()
        speed = compared(paths, samples, repeats)
    dense_bytes, file_bytes = results["stock"].size_bytes, results["edgeax"].size_bytes
    return {
        "network": model.name,
        "zeros": structure.name,
        "sparsity": sparsity,
        "dense_bytes": dense_bytes,
        "file_bytes": file_bytes,
        "share": file_bytes / dense_bytes,
        **speed,
        "forms": forms(results["edgeax"]),
        "gzip_share": len(gzip.compress(dense, 9)) / dense_bytes,
        "float_sparse_share": float_sparse_bytes(model) / dense_bytes,
    }


def pruned(model: keras.Model, structure: Structure, sparsity: float) -> keras.Model:
    """Returns a network with int8 kernels, all but the stem's pruned."""
    int8 = edgeax.Quantize("int8", axis=-1)
    activation = edgeax.Quantize("int8")
    rules = [
        edgeax.Rule(".*", kernel=int8, input=activation, output=activation),
        edgeax.Rule(f"^(?!{STEM}$)", kernel=[structure.prune(sparsity), int8]),
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Blocks of")  # 16 do not divide 300 inputs
        return edgeax.compress(model, edgeax.Recipe(rules))


def compared(paths: dict[str, Path], samples: np.ndarray, repeats: int) -> dict[str, Any]:
    """Returns the milliseconds of both files in turns, and how many codes differ."""
    interpreters = {
        runtime: edgeax.Interpreter(path, num_threads=1) for runtime, path in paths.items()
    }
    sparse, dense = (interpreter.run(samples) for interpreter in interpreters.values())
    turns = latency.turns(interpreters, samples[:1], repeats)
    dense_ms, file_ms = (statistics.median(turns[name]) for name in ("stock", "edgeax"))
    return {
        "other_codes": float(np.mean(sparse != dense)),
        "dense_ms": dense_ms,
        "file_ms": file_ms,
        "ratio": file_ms / dense_ms,
        "noise": latency.noise(turns["edgeax"], turns["stock"]),
    }


def forms(result: edgeax.Result) -> str:
    """Returns how many kernels are stored in each way."""
    ways = Counter(
        f"{kernel.details['places']} x{kernel.details['block']}" if kernel.details else kernel.how
        for kernel in result.kernels
    )
    return ", ".join(f"{count} {way}" for way, count in ways.most_common())


def float_sparse_bytes(model: keras.Model) -> int:
    """Returns the size of the converter's own sparse file, which is float."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(edgeax.strip(model))
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    with contextlib.redirect_stdout(io.StringIO()):  # Keras prints what it saves
        return len(converter.convert())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("sparse_export", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
