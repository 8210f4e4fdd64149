"""Kernels of a model, each with its layer's path and seen in canonical layout."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.model.container import CompressedModel
from edgeax.model.copying import clone, fresh_copy
from edgeax.model.ends import closing_layers
from edgeax.model.graph import is_nested, trace
from edgeax.model.layout import Layout, layout_of
from edgeax.model.wrapper import has_kernel, slot_of

Layers = str | Sequence[str] | None


@dataclasses.dataclass(frozen=True, eq=False)
class LayerKernel:
    """A kernel that training moves.

    Attributes:
        path: Of the layer, such as `backbone/conv1`; for the second and further kernels of a layer
            with `:` and the name of the variable behind it.
        variable: The raw weight.
        layout: How it goes to canonical layout, output channels last.
    """

    path: str
    variable: keras.Variable
    layout: Layout

    @property
    def input_axes(self) -> tuple[int, ...] | None:
        """See `Layout.input_axes`."""
        return self.layout.input_axes

    @property
    def shape(self) -> tuple[int, ...]:
        """In canonical layout."""
        return self.layout.canonical_shape

    @property
    def value(self) -> tf.Tensor:
        """The raw weight as it is now, float32 in canonical layout."""
        return self.layout.to_canonical(tf.cast(self.variable.value, tf.float32))

    def assign(self, value: tf.Tensor) -> None:
        """Sets the raw weight from one in canonical layout."""
        raw = self.layout.from_canonical(value)
        self.variable.assign(tf.cast(raw, self.variable.dtype))


def layer_kernels(model: keras.Model, layers: Layers, owner: str) -> list[LayerKernel]:
    """Returns the trained kernels of the layers that `layers` picks, nested models opened.

    Args:
        model: Plain or compressed, built.
        layers: A regular expression searched in the layer's path, or several of which one must
            match. None for all layers but those that make the model's outputs.
        owner: Who asks, for messages.

    Raises:
        ValueError: There is no such kernel, or `layers` is None and the model has no graph.
    """
    closing = _closing_paths(model, owner) if layers is None else set()
    expressions = [layers] if isinstance(layers, str) else layers
    kernels = [
        kernel
        for layer_path, kernel in _all_kernels(model)
        if (
            layer_path not in closing
            if expressions is None
            else any(re.search(expression, layer_path) for expression in expressions)
        )
    ]
    if not kernels:
        known = sorted({path for path, _ in _all_kernels(model)})
        raise ValueError(
            f"`layers` of {owner} must pick a layer with a trained kernel. Received: "
            f"layers={layers!r}; layers with one are {known}. None leaves out those that make the "
            "model's outputs."
        )
    return kernels


def checked_layers(layers: Any) -> Layers:
    """Returns `layers` if it picks layers by their paths.

    Raises:
        ValueError: It is neither None nor one or several regular expressions.
    """
    expressions = [layers] if isinstance(layers, str) else layers
    is_list = isinstance(expressions, (list, tuple)) and bool(expressions)
    if layers is not None and not (is_list and all(isinstance(e, str) for e in expressions)):
        raise ValueError(
            "`layers` must be None, a regular expression, or a list of them. "
            f"Received: layers={layers!r}."
        )
    for expression in expressions or ():
        try:
            re.compile(expression)
        except re.error as error:
            raise ValueError(
                f"`layers` must be a regular expression. Received: {expression!r} ({error})."
            ) from error
    return layers if layers is None or isinstance(layers, str) else list(expressions)


def owners(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Yields each layer that has weights of its own, with the path of the layer that users know:
    what a `Compressed`, a recurrent layer or another wrapper holds goes by the path of that.
    """
    wrappers = model.wrappers if isinstance(model, CompressedModel) else {}
    wrapped = {id(wrapper.layer): path for path, wrapper in wrappers.items()}

    def visit(parent: keras.layers.Layer, prefix: str) -> Iterator[tuple[str, keras.layers.Layer]]:
        for layer in parent._flatten_layers(include_self=False, recursive=False):
            path = wrapped.get(id(layer), f"{prefix}{layer.name}")
            if isinstance(layer, keras.Model):
                yield from visit(layer, f"{path}/")
                continue
            for owner in layer._flatten_layers():
                yield wrapped.get(id(owner), path), owner

    seen: set[int] = set()
    for path, owner in visit(model, ""):
        if id(owner) not in seen:
            seen.add(id(owner))
            yield path, owner


def _all_kernels(model: keras.Model) -> Iterator[tuple[str, LayerKernel]]:
    """Yields each trained kernel, embeddings not among them, behind the path of its layer."""
    trained = {id(variable) for variable in model.trainable_variables}
    taken: set[str] = set()
    for path, owner in owners(model):
        for variable in owner._trainable_variables:
            is_kernel = slot_of(variable.name) == "kernel" and variable.name.endswith("kernel")
            if not is_kernel or id(variable) not in trained:
                continue
            layout = layout_of(owner, variable.name, variable.shape)
            name = path if path not in taken else f"{path}:{variable.name}"
            taken.add(path)
            yield path, LayerKernel(name, variable, layout)


def _closing_paths(model: keras.Model, owner: str) -> set[str]:
    """Returns the paths of the layers with a kernel from which no other leads to an output."""
    if not is_nested(model):
        raise ValueError(
            f"`layers` of {owner} must be given for a model that has no graph, in which nobody "
            f"knows what makes the outputs. Received: layers=None for a {type(model).__name__}. "
            "Name the layers, such as layers='conv'."
        )
    copies: dict[int, Any] = {}
    graph = trace(clone(model, fresh_copy, copies))
    closing = closing_layers(graph, lambda call: has_kernel(call.operation))
    return {graph.paths[operation] for operation in closing}
