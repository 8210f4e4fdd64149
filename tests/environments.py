"""Virtual environments made without a network: they borrow packages from the one that runs."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tflite_kernels import build_library

CORE = ("absl-py", "ai-edge-litert", "flatbuffers", "numpy")  # what edgeax needs without extras


def make(folder: Path, distributions: Iterable[str]) -> Path:
    """Makes an environment that sees these distributions, what they need, and nothing else.

    Returns:
        Its Python interpreter.
    """
    venv.create(folder, symlinks=True)
    places = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", places))
    for name in closure(distributions):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            link = site / top
            if not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return Path(sysconfig.get_path("scripts", "venv", places)) / "python"


def closure(roots: Iterable[str]) -> set[str]:
    """These distributions and all that they need on this machine, by their plain names.

    Raises:
        importlib.metadata.PackageNotFoundError: one is not installed.
    """
    found: set[str] = set()
    waiting = [Requirement(root) for root in roots]
    while waiting:
        requirement = waiting.pop()
        name = plain(requirement.name)
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(need)
    return found


def plain(name: str) -> str:
    """A distribution's name in its one normalized form."""
    return re.sub("[-_.]+", "-", name).lower()


def run(command: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a clean Python environment, with some variables set."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in command],
        cwd="/",  # so that no package of the repository is found by accident
        env={**own, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def pip_install(
    python: Path, *arguments: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `pip install` for an environment that has setuptools but no pip, off the network.

    Any warning of the compiler is an error, so that object files are those of the other tests.
    """
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index"]
    compiler = shlex.join([*build_library.find_compiler(), "-Werror"])
    environment = {"CXX": compiler, **environment}
    return run([*command, "--no-build-isolation", *arguments], **environment)
