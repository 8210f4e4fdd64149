"""The C++ sources that a program needs, from an installed package or from a checkout."""

import re
from collections.abc import Iterable
from pathlib import Path

_HERE = Path(__file__).resolve()
_INSTALLED = _HERE.parent / "sources"
_CHECKOUT = _HERE.parents[3]
_INCLUDE = re.compile(r'^#include "(tflite_kernels/[^"]+)"', re.MULTILINE)


def folder() -> Path:
    """Returns the folder that holds tflite_kernels/.

    Raises:
        FileNotFoundError: The sources are not where the installation puts them.
    """
    for place in (_INSTALLED, _CHECKOUT):
        if (place / "tflite_kernels" / "micro" / "types.h").is_file():
            return place
    raise FileNotFoundError(
        f"The C++ sources of edgeax are missing. Looked for: {_INSTALLED}/tflite_kernels. Install "
        "edgeax again."
    )


def needed(headers: Iterable[str]) -> list[str]:
    """Returns all files that headers of tflite_kernels/micro need, sorted, as paths below `folder`.

    A `.cc` that lies beside a header of the same name is needed too.
    """
    root = folder()
    found: set[str] = set()
    waiting = [
        "tflite_kernels/micro/types.h",
        *(f"tflite_kernels/micro/{name}" for name in headers),
    ]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        waiting += _INCLUDE.findall((root / file).read_text(encoding="utf-8"))
        source = f"{file.removesuffix('.h')}.cc"
        if file.endswith(".h") and (root / source).is_file():
            waiting.append(source)
    return sorted(found)
