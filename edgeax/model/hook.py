"""Calls of a layer sent through its wrapper, wherever in a model the layer is held.

A subclassed model holds its layers in attributes, lists and closures that nobody can rewrite. So
the layer stays where it is and its class becomes one whose calls go to the wrapper.
"""

from typing import Any

import keras


def hook(layer: keras.layers.Layer, wrapper: keras.layers.Layer) -> None:
    """Sends each call of `layer` through `wrapper`, which calls it by `call_plain`.

    The wrapper is frozen and unfrozen with the layer.
    """
    kind = type(layer)

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        return wrapper(*args, **kwargs)

    def set_trainable(self: Any, value: bool) -> None:
        kind.trainable.fset(self, value)
        if wrapper.trainable != self.trainable:
            wrapper.trainable = self.trainable

    members = {
        "__call__": __call__,
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "_edgeax_plain_class": kind,
        "trainable": property(kind.trainable.fget, set_trainable),
    }
    layer.__class__ = type(kind.__name__, (kind,), members)


def plain_class(layer: Any) -> type:
    """Returns the class that a layer had before `hook`."""
    return getattr(type(layer), "_edgeax_plain_class", type(layer))


def call_plain(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
    """Calls a layer itself, also one that is hooked."""
    return plain_class(layer).__call__(layer, *args, **kwargs)
