"""TensorFlow Lite Micro's interpreter, in the environment that it needs.

Where that is missing the test skips, naming the cure. With the environment variable
EDGEAX_REQUIRE_TFLM=1, as in `make test` on the processor that it has wheels for, the test fails.
"""

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.source_tree import REPOSITORY

REQUIRE_VARIABLE = "EDGEAX_REQUIRE_TFLM"
PYTHON = REPOSITORY / "build" / "tflite_micro" / "bin" / "python"
_CHILD = Path(__file__).with_name("run_tflm.py")
_ARENA = re.compile(r"^file (\S+)$.*?allocation total (\d+) bytes.*?head (\d+) bytes", re.M | re.S)


@dataclasses.dataclass(frozen=True)
class Run:
    """What one file did.

    Attributes:
        outputs: Its outputs, of all rows.
        arena_bytes: The arena that it took.
        head_bytes: The part for activations.
    """

    outputs: list[np.ndarray]
    arena_bytes: int
    head_bytes: int


def run(folder: Path, inputs: list[np.ndarray], outputs: int = 1) -> dict[str, Run]:
    """Runs every file of a folder on the same rows; returns what each did, by its name."""
    _need()
    places = {str(place): values for place, values in enumerate(inputs)}
    np.savez(folder / "inputs.npz", outputs=outputs, **places)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    words = [str(PYTHON), str(_CHILD), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, env=clean, timeout=300)
    assert done.returncode == 0, done.stderr
    found = {}
    for name, total, head in _ARENA.findall(done.stderr):
        with np.load(folder / f"{name}.npz") as stored:
            found[name] = Run([stored[key] for key in stored.files], int(total), int(head))
    return found


def _need() -> None:
    if PYTHON.exists():
        return
    message = "Missing: the environment build/tflite_micro. Run: make build/tflite_micro/.ready"
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{message} ({REQUIRE_VARIABLE}=1 makes this a failure)", pytrace=False)
    pytest.skip(message)
