"""Low-bit and sparse operators against XNNPACK's int8, one whole operator in the stock interpreter.

Each row is a kind of weights and a shape. Two files, or three, with one operator each run in turns
on one thread: ours, and TFLite's built-in operator, which XNNPACK computes, with the same weights
as int8, or as int4 where an issue wants that too. `speed` is how many times as fast ours is, the
median of the ratios within a turn; `noise` how far off it may be. Inputs and outputs are int8;
those of binary layers are signs, so that both operators compute the same.

`cold` rows read a buffer of twice the largest cache before each invoke, so that weights come from
memory as in a network of many layers.

`two_threads` of convolutions is how many times as fast they are on two threads as on one, the two
taking turns, and `int8_two_threads` the same of XNNPACK. It takes a machine with two idle cores.

`other_codes` is the part of the outputs in which both differ: our sums are rounded as fixed point,
XNNPACK's in float32. `*_peak_mib` is the peak of memory of a process of its own, less that of a
process with a tiny layer of the same kind: the file, what is packed of it, and the tensors. Weights
that lay in memory twice, as they came and packed, would make it twice the file.
"""

from __future__ import annotations

import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import edgeax
from benchmarks import hosts
from benchmarks.harness import Benchmark, run
from benchmarks.layer_kinds import COLD, HEAVY, KINDS, TWO_THREADS, Kind
from edgeax.formats.layer_shape import CONV, LayerShape, conv, fully_connected
from edgeax.runtime import latency
from edgeax.runtime.drawn_layers import as_options
from edgeax.runtime.operator_files import built_in_file, custom_file
from tests.emulation import process

OURS = "ours"
_WARM_UP = 3
_SECONDS = 1.0  # of each side of a row
_MOST_ROUNDS = 500
_COLD_ROUNDS = 31
_QUICK_ROUNDS = 5
_TINY = {True: conv(4, 8, 8, 3), False: fully_connected(8, 8)}  # whether it is a convolution
_MOST_COPIES = 2
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNKNOWN_CACHE = 64 * 2**20


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a kind, shape and state of the caches, and adds the targets."""
    for kind in KINDS:
        for shape in kind.shapes[:1] if quick else kind.shapes:
            for cold in (False, True) if shape in COLD and not quick else (False,):
                _add_row(benchmark, kind, shape, cold, _QUICK_ROUNDS if quick else None)


def _add_row(
    benchmark: Benchmark, kind: Kind, shape: LayerShape, cold: bool, rounds: int | None
) -> None:
    """Measures one row and adds its targets."""
    where = f"{kind.name}, {shape.name}{', cold' if cold else ''}"
    targets = [w for w in kind.wanted if w.cold == cold and shape in w.shapes]
    row = row_of(kind, shape, cold, sorted({"int8", *(w.baseline for w in targets)}), rounds)
    place = benchmark.row(**row)
    print(row, file=sys.stderr, flush=True)
    for wanted in targets:
        speed = row["speed" if wanted.baseline == "int8" else f"speed_of_{wanted.baseline}"]
        name = f"{where}: speed of {wanted.baseline}"
        holds = speed >= wanted.speed
        benchmark.wanted(name, speed, f">= {wanted.speed}", holds, row=place)
    if "two_threads" in row:
        speed = row["two_threads"]
        name = f"{where}: speed of one thread, on two"
        benchmark.wanted(name, speed, f">= {TWO_THREADS}", speed >= TWO_THREADS, row=place)
    if shape in HEAVY and not cold:
        copies = row["peak_mib"] * 2**20 / row["file_bytes"]
        name = f"{where}: memory, as times the file"
        benchmark.wanted(name, copies, f"< {_MOST_COPIES}", copies < _MOST_COPIES, row=place)


def row_of(
    kind: Kind, shape: LayerShape, cold: bool, baselines: Sequence[str], rounds: int | None
) -> dict[str, Any]:
    """Returns a row: times, bytes and memory of a drawn layer.

    Args:
        kind: How weights are stored.
        shape: What the layer computes.
        cold: Whether caches are emptied before each invoke.
        baselines: Types of weights of the built-in operator, "int8" among them.
        rounds: How often each side is timed; None for as many as a few seconds take.
    """
    files, codes = drawn(kind, shape, baselines)
    interpreters = {
        name: edgeax.Interpreter(model_content=file, num_threads=1) for name, file in files.items()
    }
    ours, theirs = (interpreters[name].run(codes, raw=True) for name in (OURS, "int8"))
    times_ms = turns(interpreters, Evicter() if cold else nothing, rounds)
    speeds = {dtype: latency.speed(times_ms[OURS], times_ms[dtype]) for dtype in baselines}
    return {
        "kind": kind.name,
        "shape": shape.name,
        "caches": "cold" if cold else "warm",
        "speed": speeds["int8"],
        "noise": latency.noise(times_ms[OURS], times_ms["int8"]),
        "ms": statistics.median(times_ms[OURS]),
        "int8_ms": statistics.median(times_ms["int8"]),
        **{f"speed_of_{name}": speed for name, speed in speeds.items() if name != "int8"},
        "gmacs_per_s": shape.macs / statistics.median(times_ms[OURS]) / 1e6,
        **(two_threads(files, codes, rounds) if shape.layer == CONV else {}),
        "other_codes": float(np.mean(ours != theirs)),
        "file_bytes": len(files[OURS]),
        "int8_file_bytes": len(files["int8"]),
        "peak_mib": held_mib(kind, shape, OURS, files, codes),
        "int8_peak_mib": held_mib(kind, shape, "int8", files, codes),
    }


def drawn(
    kind: Kind, shape: LayerShape, baselines: Sequence[str]
) -> tuple[dict[str, bytes], np.ndarray]:
    """Draws a layer.

    Args:
        kind: How weights are stored.
        shape: What the layer computes.
        baselines: Types of weights of the built-in operator.
    Returns:
        The files, ours by `OURS` and the built-in operators by their types, and input codes.
    """
    source = np.random.default_rng(0)
    layer = kind.draw(shape, source)
    scale = source.uniform(0.005, 0.01, shape.outputs).astype(np.float32)
    codes = source.choice(np.array(kind.inputs, np.int8), shape.input)
    files = {OURS: custom_file(shape, layer.weights, scale, **as_options(layer, shape))}
    for dtype in baselines:
        weights = layer.weights if dtype == "int8" else layer.weights >> 4
        files[dtype] = built_in_file(shape, weights, scale, dtype)
    return files, codes


def two_threads(
    files: Mapping[str, bytes], codes: np.ndarray, rounds: int | None
) -> dict[str, float]:
    """Returns how many times as fast ours and int8's files are on two threads as on one.

    Args:
        files: As `drawn` gives them.
        codes: For their inputs.
        rounds: See `row_of`.
    """
    speeds = {}
    for name, column in ((OURS, "two_threads"), ("int8", "int8_two_threads")):
        interpreters = {
            str(count): edgeax.Interpreter(model_content=files[name], num_threads=count)
            for count in (1, 2)
        }
        for interpreter in interpreters.values():
            interpreter.feed(codes, raw=True)
        times_ms = turns(interpreters, nothing, rounds)
        speeds[column] = latency.speed(times_ms["2"], times_ms["1"])
    return speeds


def turns(
    interpreters: Mapping[str, edgeax.Interpreter],
    before: Callable[[], None],
    rounds: int | None,
) -> dict[str, list[float]]:
    """Times the interpreters one after the other, again and again.

    Args:
        interpreters: Name to interpreter, its input set.
        before: Called before each invoke, and not timed.
        rounds: How often, or None for as often as `_SECONDS` allow.
    Returns:
        Name to the milliseconds of each round.
    """
    times_ms: dict[str, list[float]] = {name: [] for name in interpreters}
    start = time.perf_counter()
    for _ in range(_WARM_UP):
        _take_turns(interpreters, before)
    if rounds is None:
        each = (time.perf_counter() - start) / (_WARM_UP * len(interpreters))
        rounds = max(_COLD_ROUNDS, min(_MOST_ROUNDS, int(_SECONDS / each)))
    for _ in range(rounds):
        for name, elapsed_ms in _take_turns(interpreters, before).items():
            times_ms[name].append(elapsed_ms)
    return times_ms


def _take_turns(
    interpreters: Mapping[str, edgeax.Interpreter], before: Callable[[], None]
) -> dict[str, float]:
    """Milliseconds of one invoke of each."""
    elapsed_ms = {}
    for name, interpreter in interpreters.items():
        before()
        start = time.perf_counter()
        interpreter.invoke()
        elapsed_ms[name] = 1000.0 * (time.perf_counter() - start)
    return elapsed_ms


def nothing() -> None:
    """What is done before an invoke whose weights may stay in caches."""


class Evicter:
    """Reads so much other memory that nothing else stays in any cache."""

    def __init__(self) -> None:
        self._buffer = np.ones(2 * largest_cache() // 8, np.int64)

    def __call__(self) -> None:
        """Reads it."""
        self._buffer.sum()


def largest_cache() -> int:
    """Bytes of the processor's largest cache as Linux knows it, else 64 MiB."""
    sizes = [file.read_text().strip() for file in _CACHES.glob("index*/size")]
    units = {"K": 2**10, "M": 2**20}
    return max((int(size[:-1]) * units[size[-1]] for size in sizes), default=_UNKNOWN_CACHE)


def held_mib(
    kind: Kind, shape: LayerShape, name: str, files: Mapping[str, bytes], codes: np.ndarray
) -> float:
    """Returns by how much a file's peak of memory lies above that of a tiny layer of its kind.

    Args:
        kind: How weights are stored.
        shape: What the layer computes.
        name: Of the file.
        files: As `drawn` gives them.
        codes: For its input.
    """
    return peak_mib(files[name], codes) - tiny_peaks(kind, shape.layer)[name]


@functools.cache
def tiny_peaks(kind: Kind, layer: str) -> dict[str, float]:
    """Peaks of memory of ours and int8's files of a tiny layer of a kind.

    Args:
        kind: How weights are stored.
        layer: Which layer, as in `LayerShape`.
    """
    files, codes = drawn(kind, _TINY[layer == CONV], ["int8"])
    return {name: peak_mib(file, codes) for name, file in files.items()}


def peak_mib(file: bytes, codes: np.ndarray) -> float:
    """Peak of memory that a file takes in a fresh process; the plugin is loaded for any file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(file)
        return _here().run(path, codes, plugin=True).peak_mib


def _here() -> hosts.Host:
    """The interpreter of this environment."""

    def execute(words: Sequence[str]) -> process.Outcome:
        return process.run([sys.executable, "-I", hosts.CHILD, *words], timeout_s=600)

    return hosts.Host(hosts.NEWEST, Path(edgeax.delegate_path()), execute)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("kernels", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
