"""Exact instruction counts: builds counter/regioncount.c and reads what it wrote.

The counts are of instructions, not of cycles, and the same in every run. A program marks its
regions by counter/markers.h, or by the functions of counter/marks.c.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.emulation import places, process


@dataclass(frozen=True)
class Region:
    """What ran between a region's marks: how often it was left, and its instructions in all."""

    visits: int
    instructions: int


def build_plugin(output: Path) -> Path:
    """Compiles the counter.

    Args:
        output: Shared library to write.
    Returns:
        `output`.
    """
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared"]
    process.compile_or_raise(["gcc", *flags, "-o", output, places.COUNTER / "regioncount.c"])
    return output


def build_marks(compiler: str, output: Path) -> Path:
    """Compiles the marks as functions `begin_region(int)` and `end_region(int)`.

    Args:
        compiler: For the emulated processor.
        output: Shared library to write.
    Returns:
        `output`.
    """
    flags = ["-x", "c", "-std=c11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-nostdlib"]
    process.compile_or_raise([compiler, *flags, "-o", output, places.COUNTER / "marks.c"])
    return output


def plugin_option(plugin: Path, counts: Path) -> str:
    """Value of QEMU's -plugin option that makes the counter write to the file `counts`."""
    return f"{plugin},out={counts}"


def read(counts: Path) -> dict[int, Region]:
    """The regions, by number, that a run wrote to the file `counts`."""
    rows = [[int(word) for word in line.split()] for line in counts.read_text().splitlines()]
    return {region: Region(visits, instructions) for region, visits, instructions in rows}
