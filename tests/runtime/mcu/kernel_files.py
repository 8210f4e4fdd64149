"""The kernels of generated programs: what steps need, and all of them as one shared library."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from edgeax.runtime.mcu import kernels
from tests.emulation import places, process

MICRO = places.REPOSITORY / "tflite_kernels" / "micro"
CORE = places.REPOSITORY / "tflite_kernels" / "core"
_FLAGS = "-std=c++17 -O2 -Wall -Wextra -Werror -fPIC -shared -DEDGEAX_MICRO_PORTABLE".split()


def sources(headers: Iterable[str]) -> list[Path]:
    """Returns the C++ sources that steps with some headers need."""
    needed = kernels.needed(headers)
    return [kernels.folder() / path for path in needed if path.endswith(".cc")]


def library() -> Path:
    """Returns all kernels as a library; tests share it, its name changes with the sources."""
    texts = [path.read_bytes() for path in sorted([*MICRO.glob("*"), *CORE.glob("*.h")])]
    name = hashlib.sha256(b"".join(texts)).hexdigest()[:16]
    path = places.BUILD / "tests" / f"libedgeax_micro-{name}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        files = sources(header.name for header in sorted(MICRO.glob("*.h")))
        process.compile_or_raise(["g++", *_FLAGS, f"-I{places.REPOSITORY}", *files, "-o", new])
        new.replace(path)
    return path
