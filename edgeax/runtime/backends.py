"""The packages that bring a TFLite interpreter; imported only when one is used."""

import importlib
import importlib.util
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Backend:
    """One interpreter package. A delegate that it loads suits only its own interpreter.

    Attributes:
        name: Name of the package.
        interpreter: The stock interpreter class.
        load_delegate: Its loader, called as `load_delegate(path, options)`.
    """

    name: str
    interpreter: Callable[..., Any]
    load_delegate: Callable[..., Any]


# Package -> its module, and where in it the interpreter and the loader stand; preferred ones first.
_PACKAGES = {
    "ai_edge_litert": ("ai_edge_litert.interpreter", "Interpreter", "load_delegate"),
    "tflite_runtime": ("tflite_runtime.interpreter", "Interpreter", "load_delegate"),
    "tensorflow": ("tensorflow", "lite.Interpreter", "lite.experimental.load_delegate"),
}


def load_backend(name: str = "auto") -> Backend:
    """Imports an interpreter package.

    Args:
        name: "ai_edge_litert", "tflite_runtime" or "tensorflow"; "auto" takes the first of these
            that is installed.
    Raises:
        ValueError: `name` is none of these.
        ImportError: The package, or with "auto" every package, is missing.
    """
    if name not in ("auto", *_PACKAGES):
        raise ValueError(
            f"`backend` must be one of {['auto', *_PACKAGES]}. Received: {name!r}. "
            "Leave it out to take the first that is installed."
        )
    installed = [package for package in _PACKAGES if importlib.util.find_spec(package)]
    chosen = next(iter(installed), None) if name == "auto" else name
    if chosen not in installed:
        asked = "an interpreter package" if name == "auto" else f"`backend` {name!r}"
        raise ImportError(
            f"Running a file needs {asked}, which is not installed. Installed: {installed}. "
            "Run `pip install ai-edge-litert`."
        )
    module_name, interpreter, loader = _PACKAGES[chosen]
    module = importlib.import_module(module_name)
    find = operator.attrgetter(interpreter, loader)
    return Backend(chosen, *find(module))
