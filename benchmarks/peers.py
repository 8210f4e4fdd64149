"""Environments of their own for the packages that cannot live beside ours."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.harness import REPOSITORY
from edgeax.formats.files import write_atomically

_PEERS = REPOSITORY / "build" / "peers"


def peer_python(
    name: str, constraints_file: str | Path | None = None, folder: Path | None = None
) -> Path:
    """Returns the Python of a peer's environment; the first call creates it.

    The environment is made anew when the constraints file changed or an earlier installation was
    interrupted.

    Args:
        name: Name of the environment, e.g. `"tfmot"`.
        constraints_file: Exact pins of everything the environment needs;
            `constraints-<name>.txt` at the root of the repository when None.
        folder: Where environments live; `build/peers` in the repository when None.
    Returns:
        Path of the environment's Python.
    Raises:
        FileNotFoundError: `constraints_file` does not exist.
        subprocess.CalledProcessError: pip failed; its messages are on stderr.
    """
    pins = Path(constraints_file or REPOSITORY / f"constraints-{name}.txt")
    if not pins.is_file():
        raise FileNotFoundError(
            f"`constraints_file` must name a file of exact pins. Received: {pins}."
        )
    home = (folder or _PEERS) / name
    home.parent.mkdir(parents=True, exist_ok=True)
    with open(home.with_suffix(".lock"), "w") as lock:  # two benchmarks may start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = home / "installed.sha256"
        digest = hashlib.sha256(pins.read_bytes()).hexdigest()
        if not stamp.is_file() or stamp.read_text() != digest:
            shutil.rmtree(home, ignore_errors=True)
            _install(home, pins)
            stamp.write_text(digest)  # last: an interrupted installation has no stamp
    return home / "bin" / "python"


def other_pins(
    name: str, versions: Mapping[str, str], needs: Sequence[str], folder: Path | None = None
) -> Path:
    """Writes the pins of an environment that differs from ours in the version of a few packages.

    Args:
        name: Name of the environment; the file is `<name>.txt` beside its folder.
        versions: Package to version.
        needs: What these packages need, in the versions of `constraints.txt`.
        folder: Where environments live; `build/peers` in the repository when None.
    Returns:
        The file, for `peer_python`.
    Raises:
        ValueError: `constraints.txt` does not pin one of `needs`.
    """
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    ours = dict(line.split("==") for line in lines if not line.startswith("#"))
    unknown = sorted(set(needs) - set(ours))
    if unknown:
        raise ValueError(
            f"`needs` must name packages that constraints.txt pins. Received: {', '.join(unknown)}."
            " Add them to constraints.txt, or give their `versions`."
        )
    pins = {**{need: ours[need] for need in needs}, **versions}
    path = (folder or _PEERS) / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{package}=={version}\n" for package, version in pins.items())
    write_atomically(path, text.encode())
    return path


def _install(home: Path, pins: Path) -> None:
    """Makes a virtual environment with exactly the pinned packages."""
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    # The pins are complete, so pip need not resolve anything: what is installed is what is written.
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--requirement", str(pins)], check=True, stdout=sys.stderr)
