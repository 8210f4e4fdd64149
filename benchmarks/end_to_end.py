"""Whole networks with binary, sparse and codebook weights against the same networks in int8.

Two networks for images of 224 x 224. `quicknet` is like QuickNet of Larq's zoo: a stem and
transitions of int8 layers, and four sections of residual 3x3 convolutions whose weights and inputs
are signs, padded with ones; the int8 file has plain convolutions in their place. `mobilenet_v2` is
MobileNetV2 0.35, whose pointwise and dense kernels are pruned by 75 % and clustered to 16 values;
the int8 file is of the plain network. Weights are random: bytes and milliseconds do not mind, and
accuracy is not measured.

Both files of a network run in turns on one thread of the stock interpreter, ours with the plugin.
`speed` is how many times as fast ours is, the median of the ratios within a turn; `noise` how far
off it may be. `forms` counts how kernels are stored. `instructions` and `int8_instructions` are
those of one invoke on emulated Cortex-A72 and A76, by the name of the CPU, and `fewer` how many
times fewer ours are; see kernels_arm.py.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import edgeax
from benchmarks.formats import say
from benchmarks.harness import Benchmark, run
from benchmarks.hosts import prepare_arm
from benchmarks.kernels_arm import CPUS, Tools, written
from edgeax.runtime import latency

SIZE = 224
FILTERS = (64, 128, 256, 512)
LAYERS = 4  # binary ones of a section
ALPHA = 0.35
SPARSITY = 0.75
CLUSTERS = 16
QUICK_SIZE = 32
QUICK_FILTERS = (16, 32)

_CLASSES = 1000
_SAMPLES = 4
_REPEATS = 100
_QUICK_REPEATS = 5

layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Network:
    """A network in two forms.

    Attributes:
        name: As in a report.
        int8: Returns the plain network, a small one if its argument says that this will do.
        ours: Returns the network with low-bit or sparse weights, likewise.
    """

    name: str
    int8: Callable[[bool], keras.Model]
    ours: Callable[[bool], keras.Model]


def quicknet(quick: bool, binary: bool) -> keras.Model:
    """Returns a network of residual 3x3 convolutions, binary or plain ones.

    Args:
        quick: Whether a small one will do.
        binary: Whether weights and inputs of these convolutions are signs.
    """
    keras.utils.set_random_seed(0)
    filters, size = (QUICK_FILTERS, QUICK_SIZE) if quick else (FILTERS, SIZE)
    given = keras.Input((size, size, 3))
    x = _normalized(layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(given), True)
    x = _normalized(layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x))
    for section, width in enumerate(filters):
        if section:
            x = layers.ReLU()(x)
            x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
        x = _normalized(layers.Conv2D(width, 1, use_bias=False)(x))
        for _ in range(LAYERS):
            x = layers.Add()([x, _normalized(_convolution(width, binary)(x))])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(given, layers.Dense(_CLASSES)(x), name="quicknet")


def _convolution(width: int, binary: bool) -> keras.layers.Layer:
    if not binary:
        return layers.Conv2D(width, 3, padding="same", use_bias=False)
    return edgeax.layers.QuantConv2D(
        width,
        3,
        padding="same",
        pad_values=1.0,
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
        use_bias=False,
    )


def _normalized(tensor: Any, rectified: bool = False) -> Any:
    normal = layers.BatchNormalization()(tensor)
    return layers.ReLU()(normal) if rectified else normal


def mobilenet(quick: bool) -> keras.Model:
    """Returns MobileNetV2 0.35, for small images if a quick one will do."""
    keras.utils.set_random_seed(0)
    size = QUICK_SIZE if quick else SIZE
    return keras.applications.MobileNetV2((size, size, 3), ALPHA, weights=None, classes=_CLASSES)


def compressed(model: keras.Model) -> keras.Model:
    """Returns a network whose pointwise and dense kernels are pruned and clustered."""

    def is_matrix(layer: keras.layers.Layer) -> bool:
        is_pointwise = isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1)
        return is_pointwise or isinstance(layer, layers.Dense)

    pruned = edgeax.prune(model, SPARSITY, layers=is_matrix)
    return edgeax.sharing.cluster(pruned, CLUSTERS, layers=is_matrix)


NETWORKS = (
    Network("quicknet", lambda quick: quicknet(quick, False), lambda quick: quicknet(quick, True)),
    Network("mobilenet_v2", mobilenet, lambda quick: compressed(mobilenet(quick))),
)


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a network."""
    plugin = prepare_arm("end_to_end")
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools.build(plugin, Path(folder))
        for network in NETWORKS:
            row = row_of(network, quick, tools, Path(folder))
            benchmark.row(**row)
            say(f"{network.name}: {row['speed']:.2f} times as fast")


def row_of(network: Network, quick: bool, tools: Tools, folder: Path) -> dict[str, Any]:
    """Returns bytes, times and instructions of both files of a network.

    Args:
        network: Which.
        quick: Whether a small one and few repeats will do.
        tools: What counts instructions.
        folder: For the files.
    """
    files, forms, stays_float, samples = exported(network, quick)
    interpreters = {
        name: edgeax.Interpreter(model_content=file, num_threads=1) for name, file in files.items()
    }
    repeats = _QUICK_REPEATS if quick else _REPEATS
    times_ms = latency.turns(interpreters, samples[:1], repeats)
    paths = written(files.values(), folder)
    counts = {cpu: dict(zip(files, tools.count(cpu, paths), strict=True)) for cpu in CPUS}
    return {
        "network": network.name,
        "size_bytes": len(files["ours"]),
        "int8_size_bytes": len(files["int8"]),
        "share": len(files["ours"]) / len(files["int8"]),
        "ms": statistics.median(times_ms["ours"]),
        "int8_ms": statistics.median(times_ms["int8"]),
        "speed": latency.speed(times_ms["ours"], times_ms["int8"]),
        "noise": latency.noise(times_ms["ours"], times_ms["int8"]),
        "instructions": {cpu: found["ours"] for cpu, found in counts.items()},
        "int8_instructions": {cpu: found["int8"] for cpu, found in counts.items()},
        "fewer": {cpu: found["int8"] / found["ours"] for cpu, found in counts.items()},
        "forms": forms,
        "stays_float": stays_float,
    }


def exported(
    network: Network, quick: bool
) -> tuple[dict[str, bytes], dict[str, int], int, np.ndarray]:
    """Exports both forms of a network.

    Args:
        network: Which.
        quick: Whether a small one will do.
    Returns:
        The files `int8` and `ours`, how many kernels of ours are stored in which way, how many
        layers of ours stay float, and inputs.
    """
    plain, model = network.int8(quick), network.ours(quick)
    samples = np.random.default_rng(0).normal(size=(_SAMPLES, *plain.input_shape[1:]))
    samples = samples.astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, f"{name}.tflite") for name in ("int8", "ours")}
        settings = {"samples": samples, "measure": False}
        edgeax.export(plain, paths["int8"], runtime="stock", **settings)
        result = edgeax.export(model, paths["ours"], **settings)
        files = {name: path.read_bytes() for name, path in paths.items()}
    forms = dict(Counter(kernel.how for kernel in result.kernels))
    return files, forms, len(result.stays_float), samples


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("end_to_end", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
