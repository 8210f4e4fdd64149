"""Runs a training on two logical devices in a process of its own: they are set once in each."""

import os
import subprocess
import sys
from pathlib import Path

from tests import source_tree

PROGRAMS = Path(__file__).parent / "strategies"


def run(name):
    """Runs a program of the folder `strategies`, which ends by printing "same"."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / f"{name}.py")],
        env={**own, "PYTHONPATH": str(source_tree.REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.endswith("same\n"), done.stdout + done.stderr[-3000:]
