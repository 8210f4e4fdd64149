"""The plugin library that carries edgeax's operators into stock interpreters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeax.runtime.backends import load_backend

_LIBRARY = Path(__file__).resolve().parent / "lib" / "libedgeax.so"


def delegate_path() -> str:
    """Returns the path of the plugin library, e.g. for a C++ application's external delegate.

    Raises:
        FileNotFoundError: The library is not where the installation puts it.
    """
    if not _LIBRARY.is_file():
        raise FileNotFoundError(
            f"The plugin library of edgeax is missing. Looked for: {_LIBRARY}. Run `pip install "
            "edgeax`, or `pip install -e .` in a clone of the repository: it is built then."
        )
    return str(_LIBRARY)


def load_delegate(options: Mapping[str, str] | None = None, backend: str = "auto") -> Any:
    """Loads the plugin for a stock interpreter.

    Args:
        options: `{"isa": NAME}` chooses the kernels: "auto" (the default, the fastest that this
            processor runs) or "reference" (slow and sure), or an instruction set by its name.
        backend: The package whose interpreter will use the delegate: "ai_edge_litert",
            "tflite_runtime", "tensorflow", or "auto" for the first of these that is installed.
    Returns:
        The delegate object of that package.
    Raises:
        FileNotFoundError: The library is missing.
        ImportError: The package is missing.
        ValueError: `backend` is unknown, or the plugin refused an option.
    Example:
        `ai_edge_litert.interpreter.Interpreter("model.tflite",
        experimental_delegates=[edgeax.load_delegate()])`.
    """
    path = delegate_path()
    return load_backend(backend).load_delegate(path, dict(options or {}))
