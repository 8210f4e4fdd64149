"""Demos as modules, for tests of their parts: they are files, not parts of a package."""

import importlib.util
import sys


def load(path, name=None):
    """Returns a file of a demo as a module, which others import by `name`, as by its own."""
    spec = importlib.util.spec_from_file_location(name or path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
