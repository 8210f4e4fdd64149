"""Models made from models: compress wraps layers, strip takes the wrappers off, fold_batch_norm
folds. The original is never touched; weights are kept.
"""

import itertools
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from edgeax.model import placement, subclassed
from edgeax.model.container import CompressedModel
from edgeax.model.copying import (
    clone,
    compressed_layers,
    copy_weights,
    fresh_copy,
    originals_of,
    plain_copy,
)
from edgeax.model.graph import Call, Graph, block_of, is_nested, new_inputs, trace
from edgeax.model.health import warn_of_dead_kernels
from edgeax.model.layout import einsum_axes, layout_of
from edgeax.model.loss_scaling import scale_loss
from edgeax.model.plan import check_nothing_left_out, make_plans
from edgeax.model.presets import as_recipe
from edgeax.model.reads import check_reads
from edgeax.model.recipe import Recipe
from edgeax.model.wrapper import Compressed, slot_of
from edgeax.transforms.network_table import one_network


def compress(model: keras.Model, recipe: Any, strict: bool = False) -> keras.Model:
    """Returns a copy of `model` that computes as a recipe says, ready for `fit`.

    Every layer that a rule picks becomes a `Compressed` of the same name. All weights are copied,
    `model` is not changed, and the copy is compiled if `model` was, with a new optimizer.

    Args:
        model: A built model, not compressed yet: Sequential, functional or subclassed, nested ones
            included. A subclassed one must be such that Keras can save and load it.
        recipe: An `edgeax.Recipe`, a preset's name such as `"static_wi8_ai8"`, or a list of
            transforms for every kernel.
        strict: Raise when a layer with a kernel stays as it is.

    Raises:
        ValueError: The model has no weights yet, holds NaN, is a graph that ties weights, or cannot
            be copied, the recipe is none, a rule picks nothing, a transform cannot work on a
            weight, or `strict` finds a layer left out.

    Example: `edgeax.compress(model, "static_wc4_ai8").fit(images, labels)`
    """
    recipe = as_recipe(recipe)
    check_weights(model)
    check_plain(model)
    if is_nested(model):
        compressed = _compress_graph(model, recipe, strict)
    else:
        compressed = subclassed.compress(model, recipe, strict)
    with one_network():
        for layer in compressed_layers(compressed):
            layer.initialize()
    for layer in compressed_layers(compressed):
        warn_of_dead_kernels(layer)
    compile_like(compressed, model)
    scale_loss(compressed, recipe.loss_scale)
    return compressed


def _compress_graph(model: keras.Model, recipe: Recipe, strict: bool) -> keras.Model:
    copies: dict[int, Any] = {}
    graph = trace(clone(model, fresh_copy, copies, opens_blocks=True), opens_blocks=True)
    originals = originals_of(model, copies)
    _check_not_tied(layer for layer in originals.values() if block_of(layer) is None)
    check_reads(graph)
    plans = make_plans(graph, originals, recipe)
    if strict:
        check_nothing_left_out(graph, plans)

    def wrapped(layer: Any) -> Any:
        plan = plans.get(id(copies[id(layer)]))
        return plan.wrap(fresh_copy(layer)) if plan is not None else fresh_copy(layer)

    made: dict[int, Any] = {}
    compressed = clone(model, wrapped, made, opens_blocks=True)
    _check_same_training(compressed, model)
    copy_weights(model, made)
    return compressed


def strip(model: keras.Model) -> keras.Model:
    """Returns a plain copy of a compressed model whose weights are the transformed ones.

    Roundings of activations are left out: they live in the exported file. The copy is compiled if
    `model` was.

    Raises:
        ValueError: The model has no weights, or some that are not finite.
    """
    check_weights(model)
    if is_nested(model):
        made: dict[int, Any] = {}
        plain = clone(model, plain_copy, made, opens_blocks=True)
        copy_weights(model, made)
    else:
        plain = subclassed.plain_model(model)
    compile_like(plain, model)
    return plain


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Returns a plain functional copy of `model` with each batch normalization that directly
    follows a convolution or dense layer folded into that layer's kernel and bias.

    `kernel * gamma / sqrt(variance + epsilon)`, with the moving statistics. The inference outputs
    are the same up to float rounding. Other batch normalizations stay. The layers of nested models
    become the copy's own, named by their paths; one that makes an output of the model has the
    output's name. Source: [JKC18].

    Raises:
        ValueError: The model has no graph, or is compressed: strip it first.
    """
    check_model(model)
    check_plain(model)
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    graph = trace(skeleton)
    normalizations = {id(call): after for call, after in foldable(graph)}
    folded = {id(after) for after in normalizations.values()}

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if id(call) in folded:
            return args[0]
        layer = call.operation
        if id(call) in normalizations:
            layer = with_bias(layer)
        layer.name = name_when_folded(graph, call.operation)
        outputs = layer(*args, **kwargs)
        if id(call) in normalizations:
            fold_into(layer, call.operation, normalizations[id(call)].operation)
        return outputs

    inputs = new_inputs(skeleton)
    result = keras.Model(inputs, graph.rebuild(emit, inputs), name=model.name)
    if not model.trainable:
        result.trainable = False
    return result


def foldable(graph: Graph) -> Iterator[tuple[Call, Call]]:
    """Yields each call that a batch normalization is folded into, and that of the normalization."""
    for call in graph.calls:
        after = placement.folded_normalization(graph, call)
        if after is not None and len(graph.calls_of(call.operation)) == 1:
            yield call, after


def name_when_folded(graph: Graph, layer: keras.layers.Layer) -> str:
    """Returns the name that a layer of a graph has in what `fold_batch_norm` returns.

    It is its path with `_` for `/`, and a number behind that where another one has that name. Where
    one layer makes all outputs of the model that a nested model gives, it gets the nested model's
    name: so is the output called.
    """
    makers: dict[str, set[int]] = {}
    for tensor in keras.tree.flatten(graph.outputs):
        call = graph.producer(tensor)
        if call is not None:
            outermost = graph.path(call.operation).split("/")[0]
            makers.setdefault(outermost, set()).add(id(call.operation))
    names = {key: path for key, path in graph.paths.items() if "/" not in path}
    names |= {key: name for name, (key, *others) in makers.items() if not others}
    taken = {*names.values(), *(tensor.name for tensor in keras.tree.flatten(graph.inputs))}
    for key, path in graph.paths.items():
        if key not in names:
            plain = path.replace("/", "_")
            numbered = (f"{plain}_{number}" for number in itertools.count(1))
            names[key] = next(
                name for name in itertools.chain([plain], numbered) if name not in taken
            )
            taken.add(names[key])
    return names[id(layer)]


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
            f"Received: {type(model).__name__}. Subclassed models have no graph to rewrite."
        )
    check_weights(model)


def check_weights(model: Any) -> None:
    """Checks that a model has weights, and finite ones.

    Raises:
        ValueError: It has not.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a Keras model. Received: {type(model).__name__}. "
            "Wrap a single layer in edgeax.Compressed."
        )
    if not model.built and not model.weights:  # one that Keras loaded may have weights alone
        raise ValueError(
            "`model` must be built. Received: a model without an input shape. "
            "Add keras.Input first or call it once."
        )
    for variable in model.weights:
        if keras.backend.is_float_dtype(variable.dtype):
            if not bool(keras.ops.all(keras.ops.isfinite(variable.value))):
                raise ValueError(
                    "`model` must have finite weights. Received: NaN or infinity in "
                    f"{variable.path!r}. Train again with a smaller learning rate."
                )


def check_plain(model: keras.Model) -> None:
    """Checks that a model is not compressed.

    Raises:
        ValueError: It is.
    """
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
                    "Call one layer twice, give each its own weights, or use them in the call of a "
                    "subclassed model, where edgeax.compress can see to them."
                )


_OWN_METHODS = (
    *("call", "train_step", "test_step", "predict_step"),
    *("compute_loss", "compute_metrics"),
)


def _check_same_training(copy: keras.Model, model: keras.Model) -> None:
    lost = [
        name for name in _OWN_METHODS if getattr(type(copy), name) is not getattr(type(model), name)
    ]
    if lost:
        raise ValueError(
            f"`model` has a {' and a '.join(lost)} of its own, so its class must take (inputs, "
            "outputs, name) as keras.Model does, for a copy to be made. Received: "
            f"{type(model).__name__}. Compress the layers in a plain keras.Model and construct "
            "your class from that."
        )


def compile_like(copy: keras.Model, model: keras.Model) -> None:
    """Compiles a copy of a model as the model is, with a new optimizer; warns where it cannot."""
    if not model.compiled:
        return
    try:
        config = model.get_compile_config()
        why = _lost_outputs(copy, model, config)
        if not why:
            copy.compile_from_config(config)
    except (TypeError, ValueError) as error:  # a loss that is not registered with Keras
        why = f"Keras says: {error}"
    if why:
        warnings.warn(
            "The copy could not be compiled as the model was. Call its compile() before fit(). "
            f"{why}",
            stacklevel=3,
        )


def _lost_outputs(copy: keras.Model, model: keras.Model, config: dict[str, Any]) -> str:
    """Returns which names of outputs a copy does not have, though its losses or metrics go by them,
    `""` if there are none.
    """
    names, others = (getattr(each, "output_names", None) for each in (model, copy))
    if names is None or names == others or isinstance(model.output, dict):  # which has its own keys
        return ""
    if not any(isinstance(part, dict) and {*part} <= {*names} for part in config.values() if part):
        return ""
    return f"Its outputs are {others}, not {names}, by which losses or metrics go."


def paths_of_compressed(model: keras.Model) -> dict[str, Compressed]:
    """Returns every `Compressed` of a model by its path, such as `backbone/conv1`."""
    if isinstance(model, CompressedModel):
        return dict(model.wrappers)
    layers = layers_by_path(model)
    return {path: layer for path, layer in layers.items() if isinstance(layer, Compressed)}


def layers_by_path(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Returns the layers of a model, and those within them but for what a `Compressed` wraps, by
    their paths.
    """
    found: dict[str, keras.layers.Layer] = {}

    def visit(parent: keras.layers.Layer, prefix: str) -> None:
        for layer in parent._flatten_layers(include_self=False, recursive=False):
            found[f"{prefix}{layer.name}"] = layer
            if not isinstance(layer, Compressed):
                visit(layer, f"{prefix}{layer.name}/")

    visit(model, "")
    return found
