"""Tables of speeds for emulated Arm processors, as `edgeax tune` writes them on a real one.

Each row is an operator of edgeax in a shape on an emulated CPU: `speed` is how many times fewer
instructions one invoke takes than XNNPACK's int8 operator of the same shape, counted exactly, as in
`benchmarks.kernels_arm`; where ours puts its inputs on few values itself, than that one with the
built-in ones that do so. Instructions are not time: a tenth is taken for the noise. The tables go
to build/targets; those that come with edgeax lie in edgeax/formats/targets.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import REPOSITORY, Benchmark, environment, run
from benchmarks.hosts import NEWEST, prepare_arm
from benchmarks.kernels_arm import Tools, written
from edgeax.formats.layer_shape import LayerShape, conv, depthwise, fully_connected
from edgeax.formats.speeds import Form, Speed, Speeds
from edgeax.runtime.tune import built_in_of, forms_of

FOLDER = REPOSITORY / "build" / "targets"
KERNELS = {"cortex-a72": "neon", "cortex-a76": "neon_dotprod"}
"""CPU to the kernels of the plugin that run there."""

SHAPES = (
    conv(14, 128, 128, 3),
    fully_connected(1024, 1024),
    depthwise(14, 128, 3),
    conv(7, 512, 512, 1),
    conv(8, 64, 64, 3),
    fully_connected(256, 256),
    conv(14, 64, 128, 1),
    conv(16, 32, 32, 3),
    conv(7, 256, 256, 3),
)
_NOISE = 0.1


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row an entry, and writes the table of each CPU."""
    plugin = prepare_arm("arm_targets")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools.build(plugin, Path(folder))
        for cpu in KERNELS:
            table = table_of(tools, cpu, SHAPES[:1] if quick else SHAPES, Path(folder))
            for entry in table.entries:
                benchmark.row(
                    cpu=cpu, shape=entry.shape.name, weights=entry.form.name, speed=entry.speed
                )
            table.write(FOLDER / f"{cpu}.json")


def table_of(tools: Tools, cpu: str, shapes: Sequence[LayerShape], folder: Path) -> Speeds:
    """Counts the instructions of all forms of some shapes on an emulated CPU."""
    versions = environment()["versions"]
    return Speeds(
        target=cpu,
        kernels=KERNELS[cpu],
        processor="emulated by QEMU",
        date=datetime.date.today().isoformat(),
        method="instructions of one invoke, one thread, which are not time; "
        f"edgeax {versions['edgeax']}, ai_edge_litert {NEWEST.version}",
        entries=tuple(speed for shape in shapes for speed in speeds_of(tools, cpu, shape, folder)),
    )


def speeds_of(tools: Tools, cpu: str, shape: LayerShape, folder: Path) -> list[Speed]:
    """Counts the instructions of all forms of a shape.

    Args:
        tools: What counts.
        cpu: Name of the emulated CPU.
        shape: What is computed.
        folder: Where files go.
    """
    forms = {form: file for form, file in forms_of(shape) if is_counted(form)}
    built_in = {form.placed: built_in_of(shape, form) for form in forms}
    files = written((*built_in.values(), *forms.values()), folder)
    counts = tools.count(cpu, files)
    theirs = dict(zip(built_in, counts[: len(built_in)], strict=True))
    return [
        Speed(form, shape, round(theirs[form.placed] / count, 4), _NOISE)
        for form, count in zip(forms, counts[len(built_in) :], strict=True)
    ]


def is_counted(form: Form) -> bool:
    """Whether a way to store weights is measured: as many as two processes take."""
    if form.is_sparse:
        return form.balanced or form.block == 4
    if form.operator.startswith(("EdgeaxVector", "EdgeaxGrouped")):
        return form.bits == 4 and form.block in (8, 32)
    if form.placed:
        return form.bits == 4 or form.planes == 2
    return form.bits in (4, 2)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark from the command line."""
    return run("arm_targets", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
