"""Files are written whole or not at all."""

import os
import secrets
from pathlib import Path


def check_writable(path: str | os.PathLike[str]) -> None:
    """Checks that a file can be written at `path`, before long work is done for it.

    Raises:
        ValueError: the folder does not exist or takes no new file, or `path` is a folder or device.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise ValueError(
            f"`path` must lie in a folder that exists. Received: {str(target)!r}, but "
            f"{str(target.parent)!r} is no folder. Create it first."
        )
    if target.exists() and not target.is_file():
        raise ValueError(
            f"`path` must name a regular file. Received: {str(target)!r}, which is a folder or a "
            "device. Choose another name."
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise ValueError(
            f"`path` must lie in a folder where you may write. Received: {str(target)!r}, but "
            f"{str(target.parent)!r} is read-only for you. Choose another folder."
        )


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file whole or not at all: a temporary file beside it, flushed, then renamed.

    After any failure the temporary file is gone and a former file at `path` is as it was.

    Args:
        path: The file; its folder must exist. Symbolic links are followed, file modes kept.
        data: The whole content.
    Raises:
        ValueError: see `check_writable`; nothing was written then.
        OSError: the disk is full or failed.
    """
    check_writable(path)
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".edgeax-{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as file:
            if target.exists():
                os.fchmod(file.fileno(), target.stat().st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
