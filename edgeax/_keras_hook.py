"""Lets Keras load edgeax's layers after nothing but `import edgeax`.

Keras finds a class by name once the module that registers it is imported. These modules need
TensorFlow, which `import edgeax` must not load. So they are imported right after Keras: at once
when Keras is there already, else by a finder that waits for the import of `keras`.
"""

import importlib
import sys
import types
import warnings
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

# Where the classes are that a saved model may hold.
_ROOMS = ("edgeax.model", "edgeax.training")


def install() -> None:
    """Sees to it that edgeax's classes are registered whenever Keras is imported."""
    hook = _AfterKeras()
    sys.meta_path.insert(0, hook)
    if "keras" in sys.modules:
        importlib.import_module("keras")  # waits for another thread that is still importing it
        hook.finish()


class _AfterKeras(MetaPathFinder):
    """Finds `keras` as the other finders do, and acts once it has been imported.

    Python asks for a module under that module's lock, so no two threads are in here to import it.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(fullname, path, target) if find else None
            if spec is not None:
                self._follow(spec)
                return spec
        return None

    def _follow(self, spec: ModuleSpec) -> None:
        """Makes the loader call `finish` after Keras ran; where Keras fails, the hook waits on."""
        loader = spec.loader
        if loader is None:
            return
        execute = loader.exec_module

        def execute_and_finish(module: types.ModuleType) -> None:
            execute(module)
            loader.exec_module = execute  # type: ignore[method-assign]
            self.finish()

        loader.exec_module = execute_and_finish  # type: ignore[method-assign]

    def finish(self) -> None:
        """Goes out of the way of later imports and registers edgeax's classes."""
        try:
            sys.meta_path.remove(self)
        except ValueError:  # another thread was first
            return
        _register()


def _register() -> None:
    try:
        if sys.modules["keras"].backend.backend() == "tensorflow":
            for room in _ROOMS:
                importlib.import_module(room)
    except Exception as error:  # whatever it is, it must not make `import keras` fail
        warnings.warn(
            f"edgeax could not register its layers with Keras: {error!r}. Models that hold them "
            "will not load; `import edgeax.model, edgeax.training` shows the whole error.",
            stacklevel=2,
        )
