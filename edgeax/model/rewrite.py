"""Models made from models: compress wraps layers, strip takes the wrappers off, fold_batch_norm
folds. The original is never touched; weights are kept.
"""

import dataclasses
import difflib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from edgeax.model import placement
from edgeax.model.graph import Call, Graph, is_nested, new_inputs, trace
from edgeax.model.layout import einsum_axes, layout_of
from edgeax.model.presets import as_recipe
from edgeax.model.recipe import Recipe, Rule
from edgeax.model.wrapper import Compressed, slot_of
from edgeax.transforms.base import Transform
from edgeax.transforms.quantize import Quantize


def compress(model: keras.Model, recipe: Any, strict: bool = False) -> keras.Model:
    """Returns a copy of `model` that computes as a recipe says, ready for `fit`.

    Every layer that a rule picks becomes a `Compressed` of the same name. All weights are copied,
    `model` is not changed, and the copy is compiled if `model` was, with a new optimizer.

    Args:
        model: A built Sequential or functional model, nested ones included, not compressed yet.
        recipe: An `edgeax.Recipe`, a preset's name such as `"static_wi8_ai8"`, or a list of
            transforms for every kernel.
        strict: Raise when a layer with a kernel stays as it is.

    Raises:
        ValueError: The model has no graph or no weights yet, holds NaN, ties weights or cannot be
            copied, the recipe is none, a rule picks nothing, a transform cannot work on a weight,
            or `strict` finds a layer left out.

    Example: `edgeax.compress(model, "static_wc4_ai8").fit(images, labels)`
    """
    recipe = as_recipe(recipe)
    check_model(model)
    _check_plain(model)
    copies: dict[int, Any] = {}
    graph = trace(clone(model, fresh_copy, copies))
    originals = originals_of(model, copies)
    _check_not_tied(originals.values())
    plans = _plan(graph, originals, recipe)
    if strict:
        _check_nothing_left_out(graph, plans)

    def wrapped(layer: Any) -> Any:
        plan = plans.get(id(copies[id(layer)]))
        return plan.wrap(fresh_copy(layer)) if plan is not None else fresh_copy(layer)

    made: dict[int, Any] = {}
    compressed = clone(model, wrapped, made)
    _check_same_training(compressed, model)
    copy_weights(model, made)
    for layer in compressed_layers(compressed):
        layer.initialize()
    _compile_like(compressed, model)
    return compressed


def strip(model: keras.Model) -> keras.Model:
    """Returns a plain copy of a compressed model whose weights are the transformed ones.

    Roundings of activations are left out: they live in the exported file. The copy is compiled if
    `model` was.

    Raises:
        ValueError: The model has no graph.
    """
    check_model(model)
    made: dict[int, Any] = {}
    plain = clone(model, plain_copy, made)
    copy_weights(model, made)
    _compile_like(plain, model)
    return plain


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Returns a plain functional copy of `model` with each batch normalization that directly
    follows a convolution or dense layer folded into that layer's kernel and bias.

    `kernel * gamma / sqrt(variance + epsilon)`, with the moving statistics. The inference outputs
    are the same up to float rounding. Other batch normalizations stay. The layers of nested models
    become the copy's own, named by their paths. Source: [JKC18].

    Raises:
        ValueError: The model has no graph, or is compressed: strip it first.
    """
    check_model(model)
    _check_plain(model)
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    graph = trace(skeleton)
    normalizations: dict[int, Call] = {}
    for call in graph.calls:
        after = placement.folded_normalization(graph, call)
        if after is not None and len(graph.calls_of(call.operation)) == 1:
            normalizations[id(call)] = after
    folded = {id(after) for after in normalizations.values()}

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if id(call) in folded:
            return args[0]
        layer = call.operation
        if id(call) in normalizations:
            layer = with_bias(layer)
        layer.name = graph.path(call.operation).replace("/", "_")
        outputs = layer(*args, **kwargs)
        if id(call) in normalizations:
            fold_into(layer, call.operation, normalizations[id(call)].operation)
        return outputs

    inputs = new_inputs(skeleton)
    return keras.Model(inputs, graph.rebuild(emit, inputs), name=model.name)


def with_bias(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a new layer of the same settings that has a bias."""
    config = layer.get_config()
    if isinstance(layer, keras.layers.EinsumDense):
        if not config["bias_axes"]:
            config["bias_axes"] = einsum_axes(layer)[2][-1]
    else:
        config["use_bias"] = True
    return type(layer).from_config(config)


def normalization_gain_and_shift(
    normalization: keras.layers.BatchNormalization,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns float32 `(channels,)` gain and shift: inference computes `gain * x + shift`."""
    mean = np.asarray(normalization.moving_mean, np.float64)
    spread = np.sqrt(np.asarray(normalization.moving_variance, np.float64) + normalization.epsilon)
    gamma = np.asarray(normalization.gamma, np.float64) if normalization.scale else 1.0
    beta = np.asarray(normalization.beta, np.float64) if normalization.center else 0.0
    gain = gamma / spread
    return gain.astype(np.float32), (beta - gain * mean).astype(np.float32)


def fold_into(
    target: keras.layers.Layer,
    layer: keras.layers.Layer,
    normalization: keras.layers.BatchNormalization,
) -> None:
    """Gives `target` the kernel and bias of `layer` followed by `normalization`.

    Args:
        target: Like `layer`, but with a bias.
        layer: The layer that the normalization follows.
        normalization: The batch normalization.
    """
    gain, shift = normalization_gain_and_shift(normalization)
    values = {variable.name: np.asarray(variable) for variable in layer.weights}
    scaled = scaled_kernel(layer)
    layout = layout_of(layer, scaled, values[scaled].shape)
    values[scaled] = layout.from_canonical(layout.to_canonical(values[scaled]) * gain)
    values["bias"] = shift + gain * values.get("bias", np.float32(0.0))
    for variable in target.weights:
        variable.assign(np.broadcast_to(values[variable.name], variable.shape))


def scaled_kernel(layer: keras.layers.Layer) -> str:
    """Returns the name of the kernel that makes the output channels: a separable convolution has
    two, and its last one does.
    """
    return [v.name for v in layer.weights if slot_of(v.name) == "kernel"][-1]


def check_model(model: Any) -> None:
    """Checks that a model has a graph and finite weights.

    Raises:
        ValueError: It has not.
    """
    if not is_nested(model):
        raise ValueError(
            "`model` must be a Sequential or functional Keras model. "
            f"Received: {type(model).__name__}. Subclassed models have no graph to rewrite: wrap "
            "their layers in edgeax.Compressed where they are made."
        )
    if not model.built:
        raise ValueError(
            "`model` must be built. Received: a Sequential model without an input shape. "
            "Add keras.Input first or call it once."
        )
    for variable in model.weights:
        if keras.backend.is_float_dtype(variable.dtype):
            if not bool(keras.ops.all(keras.ops.isfinite(variable.value))):
                raise ValueError(
                    "`model` must have finite weights. Received: NaN or infinity in "
                    f"{variable.path!r}. Train again with a smaller learning rate."
                )


def _check_plain(model: keras.Model) -> None:
    compressed = next(compressed_layers(model), None)
    if compressed is not None:
        raise ValueError(
            "`model` must be a plain model. Received: a compressed one, in which "
            f"{compressed.name!r} is wrapped. Use edgeax.strip first."
        )


def _check_not_tied(layers: Iterable[keras.layers.Layer]) -> None:
    """Checks that no two layers hold the same weight: the copy of each would have its own."""
    owners: dict[int, keras.layers.Layer] = {}
    for layer in layers:
        for variable in layer.weights:
            owner = owners.setdefault(id(variable), layer)
            if owner is not layer:
                raise ValueError(
                    "`model` must not tie the weights of two layers. Received: "
                    f"{owner.name!r} and {layer.name!r} share {variable.path!r}. "
                    "Call one layer twice, or give each its own weights."
                )


def _check_same_training(copy: keras.Model, model: keras.Model) -> None:
    if type(copy).train_step is not type(model).train_step:
        raise ValueError(
            "`model` has a train_step of its own, so its class must take (inputs, outputs, name) "
            f"as keras.Model does, for a copy to be made. Received: {type(model).__name__}. "
            "Compress the layers in a plain keras.Model and construct your class from that."
        )


def _compile_like(copy: keras.Model, model: keras.Model) -> None:
    if not model.compiled:
        return
    try:
        copy.compile_from_config(model.get_compile_config())
    except (TypeError, ValueError) as error:  # a loss that is not registered with Keras
        warnings.warn(
            "The copy could not be compiled as the model was. Call its compile() before fit(). "
            f"Keras says: {error}",
            stacklevel=3,
        )


def compressed_layers(model: keras.Model) -> Iterator[Compressed]:
    """Yields every `Compressed` of a model, nested models opened."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, Compressed):
            yield layer


def paths_of_compressed(model: keras.Model) -> dict[str, Compressed]:
    """Returns every `Compressed` of a model by its path, such as `backbone/conv1`."""
    found: dict[str, Compressed] = {}

    def visit(parent: keras.layers.Layer, prefix: str) -> None:
        for layer in parent._flatten_layers(include_self=False, recursive=False):
            if isinstance(layer, Compressed):
                found[f"{prefix}{layer.name}"] = layer
            else:
                visit(layer, f"{prefix}{layer.name}/")

    visit(model, "")
    return found


def fresh_copy(layer: Any) -> Any:
    """Returns a layer or operation of the same settings and no weights."""
    if isinstance(layer, Compressed):
        return layer.around(fresh_copy(layer.layer))
    if isinstance(layer, keras.layers.Lambda):
        # Its configuration cannot be read back in safe mode; the function itself can be shared.
        return keras.layers.Lambda(
            layer.function,
            output_shape=layer._output_shape,
            mask=layer.mask,
            arguments=layer.arguments,
            name=layer.name,
            dtype=layer.dtype_policy,
        )
    try:
        config = layer.get_config()
    except NotImplementedError:
        if isinstance(layer, keras.layers.Layer):
            raise
        return layer  # An operation that Keras cannot describe has no weights: it can be shared.
    return type(layer).from_config(config)


def clone(model: keras.Model, copy: Callable[[Any], Any], made: dict[int, Any]) -> keras.Model:
    """Returns a model of the same structure, nested models included, with layers from `copy`.

    It is not compiled: a loss or metric that is not registered with Keras cannot be copied.

    Args:
        model: Sequential or functional.
        copy: Gets each layer that is no nested model, returns the new one.
        made: Filled with the new layers and nested models, by the id of the old ones.
    """

    def copied(layer: Any) -> Any:
        if id(layer) not in made:
            made[id(layer)] = clone(layer, copy, made) if is_nested(layer) else copy(layer)
        return made[id(layer)]

    if isinstance(model, keras.Sequential):
        make = _class_of(model, keras.Sequential)
        result = make([new_inputs(model), *map(copied, model.layers)], name=model.name)
    else:
        # Keras would compile the clone of a compiled model.
        plain = keras.Model(model.input, model.output, name=model.name)
        make = _class_of(model, type(plain))
        uncompiled = make(model.input, model.output, name=model.name)
        result = keras.models.clone_model(uncompiled, clone_function=copied)
    if not model.trainable:
        result.trainable = False
    return result


def _class_of(model: keras.Model, base: type) -> Any:
    """Returns the class of a model if it is constructed like Keras's own `base`, else `base`."""
    own, plain = (
        list(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]
        for kind in (type(model), base)
    )
    return type(model) if own == plain else base


def originals_of(model: keras.Model, made: dict[int, Any]) -> dict[int, keras.layers.Layer]:
    """Returns the layers of `model` by the id of their copies; `made` is what `clone` filled."""
    return {
        id(made[id(layer)]): layer
        for layer in model._flatten_layers(include_self=False)
        if id(layer) in made and not is_nested(layer)
    }


@dataclasses.dataclass
class _Plan:
    """What one layer gets."""

    uses: int
    slots: dict[str, list[Transform]] = dataclasses.field(default_factory=dict)

    def wrap(self, layer: keras.layers.Layer) -> Compressed:
        activation = layer.activation if self.slots.get("before_activation") else None
        return Compressed(layer, **self.slots, activation=activation, uses=self.uses)


def _plan(
    graph: Graph, originals: dict[int, keras.layers.Layer], recipe: Recipe
) -> dict[int, _Plan]:
    """Returns what each layer of the graph gets, by its id; nothing for those that stay plain."""
    layers = _layers(graph)
    plans = {id(layer): _Plan(uses=len(graph.calls_of(layer))) for layer in layers}
    for rule in recipe.rules:
        picked = [
            layer for layer in layers if rule.matches(originals[id(layer)], graph.path(layer))
        ]
        if not picked:
            raise _nothing_picked(rule.filter, [graph.path(layer) for layer in layers])
        if not any([_place(rule, graph, layer, plans) for layer in picked]):
            raise _nothing_to_transform(rule, [graph.path(layer) for layer in picked])
    return {identity: plan for identity, plan in plans.items() if any(plan.slots.values())}


def _place(rule: Rule, graph: Graph, layer: keras.layers.Layer, plans: dict[int, _Plan]) -> bool:
    """Writes into `plans` what a rule gives to a layer; returns whether that is anything."""
    placed = False
    for slot in ("kernel", "bias"):
        if slot in rule.slots and _has_slot(layer, slot):
            plans[id(layer)].slots[slot] = rule.slots[slot]
            placed = True
    for call in graph.calls_of(layer):
        if "input" in rule.slots and any(map(graph.is_input, call.input_tensors)):
            plans[id(layer)].slots["input"] = rule.slots["input"]
            placed = True
        if "output" in rule.slots and placement.rounds(call):
            last = placement.last_of_group(graph, call)
            _place_output(last, plans[id(last.operation)].slots, rule.slots["output"], graph)
            placed = True
    return placed


def _place_output(
    last: Call, slots: dict[str, list[Transform]], members: list[Transform], graph: Graph
) -> None:
    activation = placement.activation_name(last.operation)
    if placement.splits_activation(last.operation):
        slots["before_activation"] = members
    if graph.is_output(last) and activation in placement.FIXED_RANGES:
        return  # Losses take the logarithm of probabilities: a rounded 0 would drown the rest.
    slots["output"] = [_behind(activation, member) for member in members]


def _behind(activation: str, member: Transform) -> Transform:
    """Returns an output transform with what is known of the values behind an activation: the range
    that TFLite prescribes, or that nothing lies below 0.
    """
    if not isinstance(member, Quantize):
        return member
    if activation in placement.FIXED_RANGES:
        known: dict[str, Any] = {"range": placement.FIXED_RANGES[activation]}
    elif activation in placement.NONNEGATIVE:
        known = {"nonnegative": True}
    else:
        return member
    return Quantize.from_config({**member.get_config(), **known})


def _layers(graph: Graph) -> list[keras.layers.Layer]:
    unique = {id(call.operation): call.operation for call in graph.calls}
    return [layer for layer in unique.values() if isinstance(layer, keras.layers.Layer)]


def _has_slot(layer: keras.layers.Layer, slot: str) -> bool:
    return any(slot_of(variable.name) == slot for variable in layer.weights)


def _nothing_picked(filter: Any, paths: list[str]) -> ValueError:
    expressions = filter if isinstance(filter, list) else []
    near = {
        path: None
        for expression in expressions
        for path in difflib.get_close_matches(expression, paths, n=3, cutoff=0.3)
    }
    return ValueError(
        "`filter` of a rule must pick at least one layer. Received: "
        f"filter={expressions or filter}, which picks none. Layers near it: {[*near] or paths[:8]}."
    )


def _nothing_to_transform(rule: Rule, paths: list[str]) -> ValueError:
    return ValueError(
        "`filter` of a rule must pick a layer that has what the rule transforms. "
        f"Received: {sorted(rule.slots)} for {paths[:8]}, which have none of it. "
        "A kernel needs weights; only layers at the model's inputs have an `input`."
    )


def _check_nothing_left_out(graph: Graph, plans: dict[int, _Plan]) -> None:
    left = [
        graph.path(layer)
        for layer in _layers(graph)
        if _has_slot(layer, "kernel")
        and not (id(layer) in plans and plans[id(layer)].slots.get("kernel"))
    ]
    if left:
        raise ValueError(
            f"`strict` allows no layer to stay as it is. Left out by the recipe: {left}. "
            "Add a rule for them or use strict=False."
        )


def plain_copy(layer: Any) -> Any:
    """Returns a plain layer of the same settings and no weights."""
    if not isinstance(layer, Compressed):
        return fresh_copy(layer)
    copy = fresh_copy(layer.layer)
    if layer.taken_activation is not None:
        copy.activation = layer.taken_activation
    return copy


def copy_weights(model: keras.Model, made: dict[int, Any]) -> None:
    """Copies the weights of the layers of `model` to those made from them."""
    for layer in model._flatten_layers(include_self=False):
        copy = made.get(id(layer))
        if copy is None or is_nested(layer):
            continue
        if isinstance(copy, Compressed) and isinstance(layer, Compressed):
            copy.set_weights(layer.get_weights())
        elif isinstance(copy, Compressed):
            copy.layer.set_weights(layer.get_weights())
        elif isinstance(layer, Compressed):
            set_transformed(copy, layer)
        else:
            copy.set_weights(layer.get_weights())
        finalize = getattr(copy, "finalize_state", None)
        if finalize is not None:
            finalize()


def set_transformed(copy: keras.layers.Layer, layer: Compressed) -> None:
    """Gives a built plain copy the weights of a compressed layer as the layer sees them."""
    frozen = {id(variable): (layout, code) for variable, layout, code in layer.freeze_weights()}
    for target, variable in zip(copy.weights, layer.layer.weights, strict=True):
        if id(variable) in frozen:
            layout, code = frozen[id(variable)]
            target.assign(layout.from_canonical(code.decode()))
        else:
            target.assign(variable.value)
