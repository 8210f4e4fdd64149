"""Instructions of one operator on emulated Arm processors, beside XNNPACK's of the same shape.

Each row is one operator in the stock aarch64 LiteRT with edgeax's plugin, as `setup.py` builds it,
on one emulated CPU: the instructions of one invoke of a file with that operator alone, one thread,
counted exactly, what Python needs to call it included. `ratio` is how many times fewer they are
than those of XNNPACK's int8 operator of the same shape, in the same process; `int4_ratio`, for
matrix products, the same for XNNPACK's operator with static int4 weights. `per_instruction` is
multiply-accumulates of the dense layer an instruction.

Instructions are not time: a processor runs some of them faster than others.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.children import count_invokes
from benchmarks.harness import Benchmark, run
from benchmarks.hosts import prepare_arm
from benchmarks.layer_kinds import CONVOLUTIONS, LARGE_PRODUCT
from edgeax.formats.layer_shape import CONV, LayerShape, conv, fully_connected
from edgeax.runtime.drawn_layers import (
    Draw,
    as_options,
    blocks,
    codebook,
    groups,
    integers,
    sign_sums,
    signs,
    sub_vectors,
)
from edgeax.runtime.operator_files import built_in_file, custom_file
from tests.emulation import aarch64, counting, process

CHILD = Path(count_invokes.__file__).resolve()
CPUS = ("cortex-a72", "cortex-a76")
INT8, INT4 = "XNNPACK int8", "XNNPACK int4"
PRODUCTS = (fully_connected(1024, 1024), LARGE_PRODUCT)
SHAPES = (*CONVOLUTIONS, *PRODUCTS)
QUICK_SHAPES = (conv(7, 32, 32, 3), fully_connected(256, 256))


@dataclass(frozen=True)
class Kind:
    """A way to store weights.

    Attributes:
        name: Of the rows.
        draw: Returns a random layer of this kind.
        is_conv: Whether it is measured as a convolution, else as a matrix product.
        baseline: What an issue compares it with.
        wanted: CPU to the least ratio that the issue wants.
    """

    name: str
    draw: Draw
    is_conv: bool
    baseline: str
    wanted: Mapping[str, float]


def _wanted(on_a72: float, on_a76: float) -> dict[str, float]:
    return dict(zip(CPUS, (on_a72, on_a76), strict=True))


_CODEBOOK = codebook(4)
_TERNARY = integers(2, -1, 1)
_CODEWORDS = sub_vectors(16, 8)
_SIGN_SUMS, _GROUPS = sign_sums(2, 1), groups(4, 32)
KINDS = (
    Kind("binary", signs, True, INT8, _wanted(7.0, 2.3)),
    Kind("sparse 75 % 1x4", blocks(4, 4, 16), True, INT8, _wanted(3.0, 2.5)),
    Kind("ternary", _TERNARY, True, INT8, _wanted(1.4, 0.95)),
    Kind("codebook-16", _CODEBOOK, True, INT8, _wanted(1.0, 0.90)),
    Kind("ternary", _TERNARY, False, INT4, {"cortex-a72": 2.2}),
    Kind("codebook-16", _CODEBOOK, False, INT4, {"cortex-a72": 1.5}),
    Kind("sparse 4:16", blocks(1, 4, 16), False, INT8, _wanted(2.5, 1.5)),
    Kind("16 codewords of 8", _CODEWORDS, True, INT8, {}),
    Kind("16 codewords of 8", _CODEWORDS, False, INT8, {}),
    Kind("sums of 2 signs", _SIGN_SUMS, True, INT8, {}),
    Kind("sums of 2 signs", _SIGN_SUMS, False, INT8, {}),
    Kind("int4_g32_int8", _GROUPS, True, INT8, {}),
    Kind("int4_g32_int8", _GROUPS, False, INT4, {}),
)


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each CPU, shape and kind, and the targets."""
    plugin = prepare_arm("kernels_arm")
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools.build(plugin, Path(folder))
        for shape in QUICK_SHAPES if quick else SHAPES:
            files = write_files(shape, Path(folder))
            for cpu in CPUS:
                counts = tools.count(cpu, list(files.values()))
                add_rows(benchmark, cpu, shape, dict(zip(files, counts, strict=True)))


def kinds_of(shape: LayerShape) -> list[Kind]:
    """Returns what is measured of a shape."""
    return [kind for kind in KINDS if kind.is_conv == (shape.layer == CONV)]


def write_files(shape: LayerShape, folder: Path) -> dict[str, Path]:
    """Writes a file of each operator of a shape.

    Args:
        shape: What they compute.
        folder: Where they go.
    Returns:
        The file of each name of a row: those to compare with, then the kinds.
    """
    source = np.random.default_rng(0)
    scale = source.uniform(0.005, 0.01, shape.outputs).astype(np.float32)
    weights = source.integers(-127, 128, (shape.outputs, shape.depth)).astype(np.int8)
    contents = {INT8: built_in_file(shape, weights, scale, "int8")}
    if shape.layer != CONV:
        contents[INT4] = built_in_file(shape, weights >> 4, scale, "int4")
    for kind in kinds_of(shape):
        layer = kind.draw(shape, source)
        contents[kind.name] = custom_file(shape, layer.weights, scale, **as_options(layer, shape))
    return dict(zip(contents, written(contents.values(), folder), strict=True))


def written(contents: Iterable[bytes], folder: Path) -> list[Path]:
    """Writes files by their number into a folder."""
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{number}.tflite")
        paths[-1].write_bytes(content)
    return paths


@dataclass(frozen=True)
class Tools:
    """What counting needs.

    Attributes:
        plugin: edgeax's, for the emulated processor.
        counter: The plugin of QEMU.
        marks: The marks that Python calls.
        run_python: Runs a script on an emulated CPU, as `aarch64.run_python` does.
    """

    plugin: Path
    counter: Path
    marks: Path
    run_python: Callable[..., process.Outcome] = aarch64.run_python

    @classmethod
    def build(
        cls,
        plugin: Path,
        folder: Path,
        compiler: str = aarch64.COMPILER,
        run_python: Callable[..., process.Outcome] = aarch64.run_python,
    ) -> Tools:
        """Compiles the counter and the marks into a folder."""
        counter = counting.build_plugin(folder / "libregioncount.so")
        marks = counting.build_marks(compiler, folder / "libmarks.so")
        return cls(plugin, counter, marks, run_python)

    def count(self, cpu: str, files: Sequence[Path]) -> list[int]:
        """Returns the instructions of one invoke of each file, of as many in a process as the
        counter has regions.

        Raises:
            RuntimeError: the emulated interpreter failed.
        """
        counts: list[int] = []
        for first in range(0, len(files), count_invokes.EMPTY):
            counts += self._count(cpu, files[first : first + count_invokes.EMPTY])
        return counts

    def _count(self, cpu: str, files: Sequence[Path]) -> list[int]:
        counts = self.marks.with_name("counts")
        option = counting.plugin_option(self.counter, counts)
        outcome = self.run_python(cpu, CHILD, self.marks, self.plugin, *files, counter=option)
        if outcome.code != 0:
            raise RuntimeError(
                f"LiteRT on {cpu} must run {len(files)} files. Received: exit code {outcome.code}. "
                f"It said:\n{outcome.output}"
            )
        regions = counting.read(counts)
        empty = regions[count_invokes.EMPTY].instructions
        found = [regions[number].instructions - empty for number in range(len(files))]
        return [instructions // count_invokes.VISITS for instructions in found]


def add_rows(
    benchmark: Benchmark,
    cpu: str,
    shape: LayerShape,
    counts: Mapping[str, int],
    kinds: Sequence[Kind] | None = None,
) -> None:
    """Adds the rows of one shape on one CPU, and the targets of its kinds if it is one of `SHAPES`.

    Args:
        benchmark: Where they go.
        cpu: Name of the emulated CPU.
        shape: What is computed.
        counts: Instructions by name of a row, those to compare with among them.
        kinds: Those with the targets; None for `kinds_of(shape)`.
    """
    named = {kind.name: kind for kind in (kinds_of(shape) if kinds is None else kinds)}
    for name, count in counts.items():
        ratios = {side: counts[side] / count for side in (INT8, INT4) if side in counts}
        row = {
            "cpu": cpu,
            "shape": shape.name,
            "kind": name,
            "instructions": count,
            "per_instruction": shape.macs / count,
            "ratio": ratios[INT8],
            **({"int4_ratio": ratios[INT4]} if INT4 in ratios else {}),
        }
        place = benchmark.row(**row)
        print(row, file=sys.stderr, flush=True)
        kind = named.get(name)
        if kind is not None and shape in SHAPES and cpu in kind.wanted:
            ratio, least = ratios[kind.baseline], kind.wanted[cpu]
            target = f"{cpu}, {shape.name}: {name} to {kind.baseline}"
            benchmark.wanted(target, ratio, f">= {least}", ratio >= least, row=place)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark from the command line."""
    return run("kernels_arm", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
