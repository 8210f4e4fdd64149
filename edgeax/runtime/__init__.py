"""Running `.tflite` files with numpy and an interpreter package, without TensorFlow.

Public names are loaded when first used: `load_delegate` serves an environment that has no more
than an interpreter package.
"""

import importlib
from typing import Any

_HOMES = {
    "FileDetails": "edgeax.runtime.details",
    "Interpreter": "edgeax.runtime.interpreter",
    "Trainer": "edgeax.runtime.trainer",
    "bake": "edgeax.runtime.baked",
    "delegate_path": "edgeax.runtime.plugin",
    "load_delegate": "edgeax.runtime.plugin",
    "measure": "edgeax.runtime.latency",
    "read_details": "edgeax.runtime.details",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "latency":  # `edgeax.runtime.latency.measure` reads better than `measure`
        return importlib.import_module("edgeax.runtime.latency")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
