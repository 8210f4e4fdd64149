"""One file, every interpreter: the quickstart's outputs bit for bit, and the memory it takes.

The files of `demos/quickstart.py` run on test images of Fashion-MNIST in each interpreter of
`benchmarks/hosts.py`, as a user runs them: one process, one argument for the plugin. All outputs
are compared with those of ai-edge-litert 2.3.0 where the plugin computes with its reference
kernels, so that the fast kernels of that release are judged too.

`equal_without_xnnpack` compares runs in which TFLite's own kernels compute what the plugin does
not. One True of the two shows that the plugin agrees; the False one then is a built-in operator
that rounds otherwise: MEAN of int8, which tflite-runtime 2.14.0 does not give to XNNPACK, or the
last bit of DEQUANTIZE in TFLite's own kernels (2026-11-23).
`*_peak_mib` is the peak of memory above the interpreter without a model, in a fresh process for
each file, one thread. On an emulated processor it would be the emulator's, and is left out.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import REPOSITORY, Benchmark, run
from benchmarks.hosts import INTERPRETERS, NEWEST, Host, prepare

QUICKSTART = REPOSITORY / "build" / "quickstart"
DATA = REPOSITORY / "demos" / "data" / "fashion_mnist_subset.npz"
STAND_IN = "untrained stand-in, made by --quick"


@dataclass(frozen=True)
class Files:
    """What is run.

    Attributes:
        edgeax: The packed file, which needs the plugin.
        int8: The same network with built-in int8 operators only.
        source: Where they come from, for the report.
    """

    edgeax: Path
    int8: Path
    source: str


@dataclass(frozen=True)
class Amount:
    """How much is run: images here, images on an emulated processor, processes per peak."""

    images: int
    emulated_images: int
    repeats: int


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row and one target an interpreter."""
    amount = Amount(20, 4, 1) if quick else Amount(300, 20, 3)
    with np.load(DATA) as data:
        images = data["x_test"][: amount.images, ..., None].astype(np.float32) / np.float32(255)
        labels = data["y_test"][: amount.images]
    with tempfile.TemporaryDirectory() as folder:
        files = find_files(quick, Path(folder), images)
        hosts = [prepare(interpreter) for interpreter in INTERPRETERS]  # a missing one is said now
        compare(benchmark, hosts, files, (images, labels), amount)


def compare(
    benchmark: Benchmark,
    hosts: list[Host],
    files: Files,
    data: tuple[np.ndarray, np.ndarray],
    amount: Amount,
) -> None:
    """Runs the files in every host.

    Args:
        benchmark: Where rows and targets go.
        hosts: The interpreters; `NEWEST` must be among them.
        files: The files, for batch 1.
        data: Images in the type of the files' input, and their classes.
        amount: How much to run.
    """
    images, labels = data
    newest = next(host for host in hosts if host.interpreter == NEWEST)
    expected = {
        xnnpack: newest.run(
            files.edgeax, images, plugin=True, isa="reference", xnnpack=xnnpack
        ).outputs
        for xnnpack in (True, False)
    }
    for host in hosts:
        name, emulated = host.interpreter.name, host.interpreter.cpu is not None
        count = amount.emulated_images if emulated else amount.images
        own = host.run(files.edgeax, images[:count], plugin=True)
        built_in = host.run(files.edgeax, images[:count], plugin=True, xnnpack=False)
        equal = same_bits(own.outputs, expected[True][:count])
        row = benchmark.row(
            name=name,
            equal=equal,
            version=own.version,
            images=count,
            values=own.outputs.size,
            values_that_differ=differing(own.outputs, expected[True][:count]),
            equal_without_xnnpack=same_bits(built_in.outputs, expected[False][:count]),
            accuracy=float(np.mean(own.outputs.argmax(-1) == labels[:count])),
            **({} if emulated else _peaks(host, files, images, amount.repeats)),
            int8_bytes=files.int8.stat().st_size,
            edgeax_bytes=files.edgeax.stat().st_size,
            files=files.source,
        )
        benchmark.wanted(name, equal, "equal bit for bit", equal, row=row)


def same_bits(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two arrays have the same type, shape and bytes; unlike ==, tells -0 from 0."""
    alike = (found.dtype, found.shape) == (expected.dtype, expected.shape)
    return alike and found.tobytes() == expected.tobytes()


def differing(found: np.ndarray, expected: np.ndarray) -> int:
    """How many values have other bits; all of them where type or shape differ."""
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return found.size
    width = found.dtype.itemsize
    pairs = (np.frombuffer(array.tobytes(), np.uint8) for array in (found, expected))
    first, second = (array.reshape(-1, width) for array in pairs)
    return int((first != second).any(-1).sum())


def _peaks(host: Host, files: Files, images: np.ndarray, repeats: int) -> dict[str, Any]:
    """Median peaks of both files, each process running all images."""
    int8 = [host.run(files.int8, images).peak_mib for _ in range(repeats)]
    edgeax = [host.run(files.edgeax, images, plugin=True).peak_mib for _ in range(repeats)]
    return {"int8_peak_mib": statistics.median(int8), "edgeax_peak_mib": statistics.median(edgeax)}


def find_files(quick: bool, folder: Path, samples: np.ndarray) -> Files:
    """Returns the quickstart's files, by running the quickstart where they are missing.

    Args:
        quick: Whether an untrained network may stand in for them; the report then says so.
        folder: Where the stand-in goes.
        samples: Images that calibrate the stand-in.
    Raises:
        subprocess.CalledProcessError: the quickstart failed, with its messages on stderr.
    """
    files = QUICKSTART / "model.tflite", QUICKSTART / "int8.tflite"
    if not all(file.is_file() for file in files):
        if quick:
            return _stand_in(folder, samples)
        print(f"interpreters: {QUICKSTART} lacks files: running the quickstart", file=sys.stderr)
        command = [sys.executable, "demos/quickstart.py", "--output", str(QUICKSTART)]
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=sys.stderr)
    return Files(*files, "demos/quickstart.py")


def _stand_in(folder: Path, samples: np.ndarray) -> Files:
    """Exports a small network with random weights."""
    import keras

    import edgeax
    from benchmarks.networks import fashion_cnn

    keras.utils.set_random_seed(0)
    network = fashion_cnn(keras)
    small = edgeax.compress(network, "static_wc4_ai8")
    files = Files(folder / "model.tflite", folder / "int8.tflite", STAND_IN)
    edgeax.export(small, files.edgeax, samples, measure=False)
    edgeax.export(network, files.int8, samples, runtime="stock", measure=False)
    return files


def main() -> int:
    """Runs the benchmark from the command line."""
    return run("interpreters", measure)


if __name__ == "__main__":
    sys.exit(main())
