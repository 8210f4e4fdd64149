"""What this machine is: its processor, and which kernels of the plugin are the fastest here."""

import ctypes
import platform
from pathlib import Path

from edgeax.runtime.plugin import delegate_path

_LINUX = Path("/proc/cpuinfo")
_LABELS = ("model name", "Model")  # the second one names an Arm board


def processor_name() -> str:
    """Returns the processor as Linux names it, or what Python knows elsewhere."""
    try:
        lines = _LINUX.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = {label.strip(): value.strip() for label, _, value in (x.partition(":") for x in lines)}
    return next((found[label] for label in _LABELS if found.get(label)), platform.machine())


def fastest_kernels() -> str:
    """Returns the name of the kernels that the plugin takes here, such as `"avx512"`.

    Raises:
        FileNotFoundError: The plugin library is missing.
    """
    library = ctypes.CDLL(delegate_path())
    library.edgeax_isa_name.restype = ctypes.c_char_p
    names = [library.edgeax_isa_name(place) for place in range(library.edgeax_isa_count())]
    best = [name for name in names if library.edgeax_isa_supported(name)][-1]
    return bytes(best).decode()
