"""Subclassed models: made again from their configuration, and seen as a graph where they have one.

Their `call` is a program. Where it uses nothing but Keras's layers and operations, symbolic tensors
can be sent through it and the graph is known; where it does more, only its layers are.
"""

import warnings
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import keras
import tensorflow as tf

from edgeax.model.container import CompressedModel, Origin, as_compressed, symbols_for
from edgeax.model.copying import clone, fresh_copy, originals_of
from edgeax.model.graph import Call, Graph, is_nested, trace
from edgeax.model.hook import call_plain, hook, plain_class
from edgeax.model.plan import check_nothing_left_out, make_plans
from edgeax.model.recipe import Recipe


def compress(model: keras.Model, recipe: Recipe, strict: bool) -> CompressedModel:
    """Returns a copy of a subclassed model that computes as a recipe says.

    Raises:
        ValueError: Keras cannot make or build the model again, or the recipe does not fit.
    """
    copy = rebuilt(model)
    copy_own_weights(layers_of(model), layers_of(copy), {})
    graph, originals = graph_of(copy)
    plans = make_plans(graph, originals, recipe)
    if strict:
        check_nothing_left_out(graph, plans)
    layers = [*copy._flatten_layers(include_self=False)]
    places = {id(layer): index for index, layer in enumerate(layers)}
    wrapped = []
    for identity, plan in plans.items():
        layer = originals[identity]
        wrapped.append(
            {
                "index": places[id(layer)],
                "kind": type(layer).__name__,
                "path": graph.paths[identity],
                "settings": plan.settings(layer),
            }
        )
    compressed = as_compressed(copy, Origin(_config_of(model), wrapped))
    compressed.rewire(*symbols_for(model, model.get_build_config()))
    return compressed


def plain_model(model: keras.Model) -> keras.Model:
    """Returns a plain copy of a subclassed model, with transformed weights if it is compressed."""
    copy = rebuilt(model)
    values: dict[int, Any] = {}
    if isinstance(model, CompressedModel):
        for wrapper in model.wrappers.values():
            for variable, layout, encoded in wrapper.freeze_weights():
                values[id(variable)] = layout.from_canonical(encoded.decode())
    copy_own_weights(layers_of(model), layers_of(copy), values)
    return copy


def rebuilt(model: keras.Model) -> keras.Model:
    """Returns a new plain model of the same class and settings, built, with new weights.

    Layers that are not trained in `model` are not trained in it either.

    Raises:
        ValueError: Keras cannot make or build it again.
    """
    kind: Any = plain_class(model)
    try:
        copy = kind.from_config(_config_of(model)["config"])
    except Exception as error:  # it runs the user's constructor
        raise ValueError(
            "`model` must be one that Keras can make again from its get_config(). Received: "
            f"{kind.__name__}, of which Keras says: {error} Give the class a get_config that "
            "returns the arguments of its constructor, as saving to a .keras file needs too."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a build that failed; the error below says more
        copy.build_from_config(model.get_build_config())
    given, made = layers_of(model), layers_of(copy)
    weights, same_weights = _shapes(given), _shapes(made)
    if weights != same_weights:
        odd = next(
            (pair for pair in zip_longest(weights, same_weights) if pair[0] != pair[1]), None
        )
        raise ValueError(
            "`model` must be one that Keras can build again from get_build_config(). Received: "
            f"{kind.__name__}, of {len(weights)} weights, which then has {len(same_weights)}; the "
            f"first that differ are {odd}. Make all layers in the constructor. A call of several "
            "arguments needs a get_build_config that returns {'shapes_dict': {'NAME_shape': "
            "shape, ...}} for all of them. What the call wants in integers, it must cast."
        )
    for layer, same in zip(given, made, strict=True):
        same.trainable = layer.trainable
    return copy


def graph_of(model: keras.Model) -> tuple[Graph, dict[int, keras.layers.Layer]]:
    """Returns the calls of a plain subclassed model, and its layers by the ids of the callers.

    Where its `call` does more than use Keras, each call stands for itself: what goes from one to
    the next is not known.
    """
    try:
        twin = _twin(model)
    except Exception:  # whatever user code may do with a symbolic tensor
        graph = _separate_calls(model)
        return graph, {id(call.operation): call.operation for call in graph.calls}
    copies: dict[int, Any] = {}
    graph = trace(clone(twin, fresh_copy, copies))
    return graph, originals_of(twin, copies)


def check_holds_no_subclassed(model: keras.Model) -> None:
    """Checks that the graph of a subclassed model, once compressed, can be known.

    Raises:
        ValueError: It holds another subclassed model, which is wrapped as one layer.
    """
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.Model) and not is_nested(layer):
            raise ValueError(
                "`model` must hold no other subclassed model for a file to be made of it "
                f"compressed. Received: {type(layer).__name__} {layer.name!r} in it. Make that one "
                "a functional model, or a plain class whose layers the outer model holds."
            )


def as_functional(model: keras.Model) -> keras.Model:
    """Returns a functional model that computes the same and has copies of the weights.

    A model that has a graph is returned as it is. The layers of a compressed one are `Compressed`.

    Raises:
        ValueError: The `call` of a subclassed model does more than use Keras, or Keras cannot make
            the model again.
    """
    if is_nested(model):
        return model
    if isinstance(model, CompressedModel):
        check_holds_no_subclassed(model)
    copy = rebuilt(model)
    try:
        twin = _twin(copy)
    except Exception as error:  # whatever user code may do with a symbolic tensor
        raise ValueError(
            "`model` must be Sequential, functional, or a subclass whose call uses nothing but "
            f"Keras's layers and keras.ops. Received: {type(model).__name__}, where a symbolic "
            f"call fails: {error}"
        ) from error
    actual = dict(zip(map(id, layers_of(copy)), layers_of(model), strict=True))
    wrappers = {}
    if isinstance(model, CompressedModel):
        wrappers = {id(wrapper.layer): wrapper for wrapper in model.wrappers.values()}

    def original(layer: Any) -> Any:
        layer = actual.get(id(layer), layer)
        return wrappers.get(id(layer), layer)

    made: dict[int, Any] = {}
    functional = clone(twin, lambda layer: fresh_copy(original(layer)), made)
    for layer in twin._flatten_layers(include_self=False):
        if id(layer) in made and not is_nested(layer):
            made[id(layer)].set_weights(original(layer).get_weights())
    return functional


def copy_own_weights(
    given: list[keras.layers.Layer], made: list[keras.layers.Layer], values: dict[int, Any]
) -> None:
    """Copies all weights, or instead of a weight the value that `values` has by its id."""
    for layer, same in zip(given, made, strict=True):
        for variable, target in zip(_own_weights(layer), _own_weights(same), strict=True):
            target.assign(values.get(id(variable), variable.value))
        if hasattr(same, "finalize_state"):
            same.finalize_state()


def _twin(model: keras.Model) -> keras.Model:
    """Returns a functional model of the layers of a plain subclassed one."""
    args, kwargs = symbols_for(model, model.get_build_config())
    with keras.StatelessScope(collect_losses=True):  # losses of a symbolic call lead nowhere
        outputs = type(model).call(model, *args, **kwargs)
    inputs = args[0] if args else [*kwargs.values()]
    twin = keras.Model(inputs, outputs, name=model.name)
    known = {id(layer) for layer in model._flatten_layers(include_self=False)}
    unknown = [layer.name for layer in twin.layers if layer.weights and id(layer) not in known]
    if unknown:
        raise ValueError(f"{unknown} are made in the call")
    return twin


def _separate_calls(model: keras.Model) -> Graph:
    """Returns the calls of the layers of a plain subclassed model, models among them opened."""
    args, kwargs = symbols_for(model, model.get_build_config())
    symbols = keras.tree.flatten((args, kwargs))
    paths = dict(_paths(model, ""))
    notes: list[tuple[keras.layers.Layer, Any, Any]] = []
    ends: list[Any] = []

    def run(*tensors: Any) -> Any:
        ends.extend(tensors)
        actual_args, actual_kwargs = keras.tree.pack_sequence_as((args, kwargs), tensors)
        outputs = model(*actual_args, **actual_kwargs)
        ends.extend(keras.tree.flatten(outputs))
        return outputs

    layers = [layer for layer in model._flatten_layers() if id(layer) in paths]
    for layer in layers:
        hook(layer, _Note(layer, notes))
    try:
        with keras.StatelessScope(collect_losses=True):
            specs = [tf.TensorSpec(symbol.shape, symbol.dtype) for symbol in symbols]
            tf.function(run, autograph=False).get_concrete_function(*specs)
    finally:
        for layer in layers:
            layer.__class__ = plain_class(layer)
    known = {id(end): keras.KerasTensor(end.shape, end.dtype) for end in ends}
    for tensor, symbol in zip(ends, symbols, strict=False):
        known[id(tensor)] = symbol

    def symbolic(value: Any) -> Any:
        if id(value) in known or not tf.is_tensor(value):
            return known.get(id(value), value)
        return keras.KerasTensor(value.shape, value.dtype)

    calls = []
    for layer, given, results in notes:
        given_args, given_kwargs = keras.tree.map_structure(symbolic, given)
        results = keras.tree.map_structure(symbolic, results)
        calls.append(Call(layer, given_args, given_kwargs, results))
    outputs = [known[id(end)] for end in ends[len(symbols) :]]
    return Graph(symbols, outputs, calls, paths)


class _Note:
    """Stands in for a wrapper, and notes the calls of a layer."""

    def __init__(self, layer: keras.layers.Layer, notes: list[Any]) -> None:
        self.layer = layer
        self.notes = notes
        self.trainable = layer.trainable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outputs = call_plain(self.layer, *args, **kwargs)
        self.notes.append((self.layer, (args, kwargs), outputs))
        return outputs


def _paths(model: keras.layers.Layer, prefix: str) -> Iterator[tuple[int, str]]:
    """Yields the id and the path of each layer that is no model itself."""
    taken: dict[str, int] = {}
    for layer in model._flatten_layers(include_self=False, recursive=False):
        count = taken.setdefault(layer.name, 0)
        taken[layer.name] += 1
        path = f"{prefix}{layer.name}" + (f"_{count}" if count else "")
        if isinstance(layer, keras.Model):
            yield from _paths(layer, f"{path}/")
        else:
            yield id(layer), path


def _config_of(model: keras.Model) -> dict[str, Any]:
    """Returns the serialized plain model, neither built nor compiled when read back."""
    if isinstance(model, CompressedModel):
        return model.origin.config
    config = keras.saving.serialize_keras_object(model)
    return {key: value for key, value in config.items() if not key.endswith("_config")}


def layers_of(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns a subclassed model and all its layers, without wrappers."""
    if isinstance(model, CompressedModel):
        return [model, *model.origin.layers]
    return [*model._flatten_layers()]


def _own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    return layer._trainable_variables + layer._non_trainable_variables


def _shapes(layers: list[keras.layers.Layer]) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (f"{type(layer).__name__}/{variable.name}", tuple(variable.shape))
        for layer in layers
        for variable in _own_weights(layer)
    ]
