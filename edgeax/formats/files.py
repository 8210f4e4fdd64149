"""Files are written whole or not at all."""

import contextlib
import fcntl
import os
import secrets
from pathlib import Path
from typing import BinaryIO


def check_writable(path: str | os.PathLike[str]) -> None:
    """Checks that a file can be written at `path`, before long work is done for it.

    Args:
        path: The file. Of a symbolic link the folder that it leads into counts.
    Raises:
        ValueError: the folder does not exist or takes no new file, or `path` is a folder or device.
    """
    given, target = str(path), Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise ValueError(
            f"`path` must lie in a folder that exists. Received: {given!r}, but "
            f"{str(target.parent)!r} is no folder. Create it first."
        )
    if target.exists() and not target.is_file():
        raise ValueError(
            f"`path` must name a regular file. Received: {given!r}, which is a folder or a "
            "device. Choose another name."
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise ValueError(
            f"`path` must lie in a folder where you may write. Received: {given!r}, but "
            f"{str(target.parent)!r} is read-only for you. Choose another folder."
        )


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file whole or not at all: a temporary file beside it, flushed, then renamed.

    After any failure the temporary file is gone and a former file at `path` is as it was. What a
    killed process left of its temporary file is removed by the next write into the folder.

    Args:
        path: The file; its folder must exist. Symbolic links are followed, file modes kept.
        data: The whole content.
    Raises:
        ValueError: see `check_writable`; nothing was written then.
        OSError: the disk is full or failed.
    """
    check_writable(path)
    target = Path(os.path.realpath(path))
    _remove_leftovers(target.parent)
    file = _locked_temporary(target.parent)
    try:
        with file:
            if target.exists():
                os.fchmod(file.fileno(), target.stat().st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, target)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _locked_temporary(folder: Path) -> BinaryIO:
    """Returns a new file that nobody takes for a leftover as long as it is open."""
    while True:
        file = open(folder / f".edgeax-{secrets.token_hex(8)}.tmp", "xb")
        with contextlib.suppress(OSError):  # a file system may have no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # it was taken for one before it was locked


def _remove_leftovers(folder: Path) -> None:
    for leftover in folder.glob(".edgeax-*.tmp"):
        with contextlib.suppress(OSError), open(leftover, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()


def _sync_folder(folder: Path) -> None:
    """Has the disk hold the new name too, where a folder can be flushed."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
