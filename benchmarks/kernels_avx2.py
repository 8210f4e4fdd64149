"""Instructions of one convolution on a processor with AVX2 and no AVX-512, beside XNNPACK's.

Each row is one operator in the stock LiteRT of this environment, on a Haswell that QEMU plays: ours
with the kernels for AVX2, TFLite's built-in operator with those that XNNPACK has for AVX2. What is
counted, and how, is as in `benchmarks.kernels_arm`: instructions of one invoke, one thread.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import kernels_arm
from benchmarks.harness import Benchmark, run
from benchmarks.hosts import X86_COMPILER, prepare_x86
from benchmarks.kernels_arm import Tools, add_rows, write_files
from benchmarks.layer_kinds import CONVOLUTIONS
from edgeax.formats.layer_shape import conv
from tests.emulation import x86

CPU = "Haswell"
WANTED = {"binary": 4.0}
QUICK_SHAPES = (conv(7, 32, 32, 3),)
KINDS = tuple(
    dataclasses.replace(kind, wanted={CPU: WANTED[kind.name]} if kind.name in WANTED else {})
    for kind in kernels_arm.KINDS
    if kind.is_conv
)


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each shape and kind, and the targets."""
    plugin = prepare_x86("kernels_avx2")
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools.build(plugin, Path(folder), X86_COMPILER, x86.run_python)
        for shape in QUICK_SHAPES if quick else CONVOLUTIONS:
            files = write_files(shape, Path(folder))
            counts = tools.count(CPU, list(files.values()))
            add_rows(benchmark, CPU, shape, dict(zip(files, counts, strict=True)), KINDS)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark from the command line."""
    return run("kernels_avx2", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
