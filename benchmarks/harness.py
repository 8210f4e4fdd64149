"""The language all benchmarks speak: rows, wanted values, the environment, one JSON report.

A benchmark is a module whose `main` hands a measuring function to `run`. It exits with 0 when it
ran, whatever holds: a target that was missed is a fact to report, not a crash.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeax.formats.files import check_writable, write_atomically
from edgeax.formats.tables import text_table
from edgeax.runtime.processor import processor_name

REPOSITORY = Path(__file__).resolve().parents[1]

_REPORTED_PACKAGES = (
    "edgeax",
    "numpy",
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "ai-edge-litert",
    "tflite-runtime",
)


class Benchmark:
    """What one run measured: rows of facts, and the targets an issue names."""

    def __init__(self, name: str) -> None:
        """Starts an empty report.

        Args:
            name: Name of the benchmark's module, e.g. `"fit_overhead"`.
        """
        self.name = name
        self._rows: list[dict[str, Any]] = []
        self._wanted: list[dict[str, Any]] = []

    def row(self, **values: Any) -> int:
        """Adds one row of measured values and returns its number, for `wanted(row=...)`.

        Args:
            **values: Column name to value; units stand in the names (`step_ms`, `size_bytes`).
        """
        self._rows.append(values)
        return len(self._rows) - 1

    def wanted(
        self, name: str, value: float, wanted: str, holds: bool, *, row: int | None = None
    ) -> None:
        """Adds one target that an issue names.

        Args:
            name: Name of the measured value, as in the issue.
            value: What this run measured.
            wanted: The target in words a reader can check, e.g. `"<= 1.15"`.
            holds: Whether the value meets the target.
            row: Number of the row that gives the value, as returned by `row`.
        """
        entry = {"name": name, "value": value, "wanted": wanted, "holds": bool(holds)}
        self._wanted.append(entry if row is None else {**entry, "row": row})

    def report(self) -> dict[str, Any]:
        """Everything measured, with the environment it was measured in, ready for JSON."""
        return {
            "benchmark": self.name,
            "environment": environment(),
            "rows": self._rows,
            "wanted": self._wanted,
        }

    def table(self) -> str:
        """The rows, then the targets, as plain text."""
        targets = [{**entry, "holds": "yes" if entry["holds"] else "NO"} for entry in self._wanted]
        return "\n\n".join(text_table(rows) for rows in (self._rows, targets) if rows)

    def write(self, path: str | Path) -> None:
        """Writes the report as JSON, whole or not at all."""
        text = json.dumps(self.report(), indent=2, default=_plain)
        write_atomically(path, (text + "\n").encode())


def run(
    name: str, measure: Callable[[Benchmark, bool], None], argv: Sequence[str] | None = None
) -> int:
    """Reads the common flags, measures, prints the table and writes the report.

    Args:
        name: Name of the benchmark's module.
        measure: Called with the empty `Benchmark` and whether `--quick` was given.
        argv: Arguments without the program's name; `sys.argv[1:]` when None.
    Returns:
        The exit code, 0.
    Raises:
        ValueError: The file of `--json` cannot be written; raised before measuring.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--json", type=Path, help="write the report to this file")
    parser.add_argument("--quick", action="store_true", help="fewer repeats: a smoke test")
    arguments = parser.parse_args(argv)
    if arguments.json:
        check_writable(arguments.json)  # said before an hour of measuring, not after it
    benchmark = Benchmark(name)
    measure(benchmark, arguments.quick)
    print(benchmark.table())
    if arguments.json:
        benchmark.write(arguments.json)
    return 0


def _plain(value: Any) -> Any:
    """Returns a number of numpy's as one of Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"A report holds numbers, text and lists. Received: {value!r}.")


def environment() -> dict[str, Any]:
    """Date, machine, versions and commit of this run."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": processor_name(),
        "cpu_count": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": _versions(),
        "commit": _commit(),
    }


def _versions() -> dict[str, str]:
    """Versions of the installed packages that a measurement can depend on."""
    found = {}
    for package in _REPORTED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit measured, with `-dirty` when files differ from it; None outside a repository."""
    try:
        finished = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
    except OSError:  # git is not installed
        return None
    return finished.stdout.strip() or None
