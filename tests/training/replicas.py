"""Runs trainings on two logical devices in a process of their own: they are set once in each."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from tests import source_tree

PROGRAMS = Path(__file__).parent / "strategies"


@functools.cache
def _server():
    """One for all programs of this process, at whose end it sees that its input is closed."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.Popen(
        [sys.executable, str(PROGRAMS / "serve.py")],
        env={**own, "PYTHONPATH": str(source_tree.REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run(name):
    """Runs a program of the folder `strategies`, which ends by printing "same"."""
    server = _server()
    server.stdin.write(f"{name}\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    assert answer, f"{name} ended the process with code {server.wait()}"
    said = json.loads(answer)
    assert said.endswith("same\n"), said[-5000:]
