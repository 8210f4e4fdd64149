"""Models made from models: compress wraps layers, strip takes the wrappers off, fold_batch_norm
folds. The original is never touched; weights are kept.
"""

import dataclasses
import difflib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from edgeax.model import placement
from edgeax.model.graph import Call, Graph, is_nested, new_inputs, trace
from edgeax.model.layout import layout_of
from edgeax.model.presets import as_recipe
from edgeax.model.recipe import Recipe
from edgeax.model.wrapper import Compressed, slot_of
from edgeax.transforms import Quantize, Transform


def compress(model: keras.Model, recipe: Any, strict: bool = False) -> keras.Model:
    """Returns a copy of `model` that computes as a recipe says, ready for `fit`.

    Every layer that a rule picks becomes a `Compressed` of the same name. All weights are copied,
    `model` is not changed, and the copy is compiled if `model` was.

    Args:
        model: A built Sequential or functional model, nested ones included.
        recipe: An `edgeax.Recipe`, a preset's name such as `"static_wi8_ai8"`, or a list of
            transforms for every kernel.
        strict: Raise when a layer with a kernel stays as it is.

    Raises:
        ValueError: The model has no graph or no weights yet or holds NaN, the recipe is none, a rule
            picks nothing, a transform cannot work on a weight, or `strict` finds a layer left out.

    Example: `edgeax.compress(model, "static_wc4_ai8").fit(images, labels)`
    """
    recipe = as_recipe(recipe)
    check_model(model)
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    originals = {id(copy): identity for identity, copy in copies.items()}
    plans = {originals[identity]: plan for identity, plan in _plan(trace(skeleton), recipe).items()}
    if strict:
        _check_nothing_left_out(model, plans)

    def wrapped(layer: Any) -> Any:
        plan = plans.get(id(layer))
        return plan.wrap(fresh_copy(layer)) if plan is not None else fresh_copy(layer)

    made: dict[int, Any] = {}
    compressed = clone(model, wrapped, made)
    copy_weights(model, made)
    for layer in compressed_layers(compressed):
        layer.initialize()
    return compressed


def strip(model: keras.Model) -> keras.Model:
    """Returns a plain copy of a compressed model whose weights are the transformed ones.

    Roundings of activations are left out: they live in the exported file.

    Raises:
        ValueError: The model has no graph.
    """
    check_model(model)
    made: dict[int, Any] = {}
    plain = clone(model, plain_copy, made)
    copy_weights(model, made)
    return plain


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Returns a plain functional copy of `model` with each batch normalization that directly
    follows a convolution or dense layer folded into that layer's kernel and bias.

    `kernel * gamma / sqrt(variance + epsilon)`, with the moving statistics. The inference outputs
    are the same up to float rounding. Other batch normalizations stay. Source: [JKC18].

    Raises:
        ValueError: The model has no graph, or is compressed: strip it first.
    """
    check_model(model)
    if next(compressed_layers(model), None) is not None:
        raise ValueError(
            "`model` must be a plain model. Received: a compressed one. Use edgeax.strip first."
        )
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    graph = trace(skeleton)
    normalizations: dict[int, Call] = {}
    for call in graph.calls:
        after = placement.folded_normalization(graph, call)
        if after is not None and len(graph.calls_of(call.operation)) == 1:
            normalizations[id(call.operation)] = after
    folded = {id(after.operation) for after in normalizations.values()}

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        layer = call.operation
        if id(layer) in folded:
            return args[0]
        if id(layer) not in normalizations:
            return layer(*args, **kwargs)
        copy = with_bias(layer)
        outputs = copy(*args, **kwargs)
        fold_into(copy, layer, normalizations[id(layer)].operation)
        return outputs

    inputs = new_inputs(skeleton)
    return keras.Model(inputs, graph.rebuild(emit, inputs), name=model.name)


def with_bias(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a new layer of the same settings that has a bias."""
    config = layer.get_config()
    if isinstance(layer, keras.layers.EinsumDense):
        if not config["bias_axes"]:
            config["bias_axes"] = layer.equation.split("->")[1].replace(".", "").strip()[-1]
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
    """Returns the name of the kernel that makes the output channels: a separable convolution has two,
    and its last one does.
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


def compressed_layers(model: keras.Model) -> Any:
    """Yields every `Compressed` of a model, nested models opened."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, Compressed):
            yield layer


def fresh_copy(layer: Any) -> Any:
    """Returns a layer of the same settings and no weights, or the operation itself if it has none."""
    if not isinstance(layer, keras.layers.Layer):
        return layer
    if isinstance(layer, keras.layers.Lambda):
        # Its configuration cannot be read back in safe mode; the function itself can be shared.
        return keras.layers.Lambda(
            layer.function,
            output_shape=layer._output_shape,
            mask=layer.mask,
            arguments=layer.arguments,
            name=layer.name,
        )
    return type(layer).from_config(layer.get_config())


def clone(
    model: keras.Model, copy: Callable[[Any], Any], made: dict[int, Any]
) -> keras.Model:
    """Returns a model of the same structure, nested models included, with layers from `copy`.

    Args:
        model: Sequential or functional.
        copy: Gets each layer that is no nested model, returns the new one.
        made: Filled with the new layers, by the id of the old ones.
    """

    def copied(layer: Any) -> Any:
        if id(layer) not in made:
            made[id(layer)] = copy(layer)
        return made[id(layer)]

    return keras.models.clone_model(model, clone_function=copied, recursive=True)


@dataclasses.dataclass
class _Plan:
    """What one layer gets."""

    uses: int
    slots: dict[str, list[Transform]] = dataclasses.field(default_factory=dict)

    def wrap(self, layer: keras.layers.Layer) -> Compressed:
        activation = layer.activation if "before_activation" in self.slots else None
        return Compressed(layer, **self.slots, activation=activation, uses=self.uses)


def _plan(graph: Graph, recipe: Recipe) -> dict[int, _Plan]:
    """Returns what each layer of the graph gets, by its id."""
    plans: dict[int, _Plan] = {}

    def plan_of(layer: Any) -> _Plan:
        return plans.setdefault(id(layer), _Plan(uses=len(graph.calls_of(layer))))

    layers = _layers(graph)
    for rule in recipe.rules:
        picked = [layer for layer in layers if rule.matches(layer, graph.path(layer))]
        if not picked:
            raise _nothing_picked(rule.filter, [graph.path(layer) for layer in layers])
        for layer in picked:
            for slot in ("kernel", "bias"):
                if slot in rule.slots and _has_slot(layer, slot):
                    plan_of(layer).slots[slot] = rule.slots[slot]
            for call in graph.calls_of(layer):
                if "input" in rule.slots and any(map(graph.is_input, call.input_tensors)):
                    plan_of(layer).slots["input"] = rule.slots["input"]
                if "output" in rule.slots and placement.rounds(call):
                    _plan_output(graph, call, rule.slots["output"], plan_of)
    return plans


def _plan_output(
    graph: Graph, call: Call, members: list[Transform], plan_of: Callable[[Any], _Plan]
) -> None:
    shared = len(graph.calls_of(call.operation)) > 1
    last = call if shared else placement.last_of_group(graph, call)
    activation = placement.activation_name(last.operation)
    plan = plan_of(last.operation)
    if placement.splits_activation(last.operation):
        plan.slots["before_activation"] = members
    if graph.is_output(last) and activation in placement.FIXED_RANGES:
        return  # Losses take the logarithm of probabilities: a rounded 0 would drown the rest.
    plan.slots["output"] = _fixed(members, activation)


def _fixed(members: list[Transform], activation: str) -> list[Transform]:
    """Returns output transforms with the range that TFLite prescribes behind some activations."""
    if activation not in placement.FIXED_RANGES:
        return members
    bounds = placement.FIXED_RANGES[activation]
    return [
        Quantize(member.format, range=bounds) if isinstance(member, Quantize) else member
        for member in members
    ]


def _layers(graph: Graph) -> list[keras.layers.Layer]:
    unique = {id(call.operation): call.operation for call in graph.calls}
    return [layer for layer in unique.values() if isinstance(layer, keras.layers.Layer)]


def _has_slot(layer: keras.layers.Layer, slot: str) -> bool:
    return any(slot_of(variable.name) == slot for variable in layer.weights)


def _nothing_picked(filter: Any, paths: list[str]) -> ValueError:
    wanted = filter if isinstance(filter, list) else [getattr(filter, "__name__", str(filter))]
    near = difflib.get_close_matches(str(wanted[0]), paths, n=3, cutoff=0.3) or paths[:8]
    return ValueError(
        "`filter` of a rule must pick at least one layer. "
        f"Received: filter={wanted}, which picks none. Layers near it: {near}."
    )


def _check_nothing_left_out(model: keras.Model, plans: dict[int, _Plan]) -> None:
    left = [
        layer.name
        for layer in model._flatten_layers(include_self=False)
        if not is_nested(layer)
        and _has_slot(layer, "kernel")
        and "kernel" not in getattr(plans.get(id(layer)), "slots", {})
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
        if copy is None or copy is layer or not isinstance(copy, keras.layers.Layer):
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
