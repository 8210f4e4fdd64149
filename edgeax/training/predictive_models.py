"""Whole models with predictive sign gradients, and without them again."""

import warnings
from typing import Any

import keras

from edgeax.model.copying import clone, fresh_copy
from edgeax.model.graph import is_nested
from edgeax.model.rewrite import check_model
from edgeax.model.wrapper import Compressed, has_kernel
from edgeax.training.psg import RULES, Predictive


def with_predictive_gradients(model: keras.Model, **settings: Any) -> keras.Model:
    """Returns a copy of a model whose kernels get predicted signs for gradients, not compiled.

    Dense layers, convolutions, depthwise and transposed ones have a rule for it, inside selective
    blocks and behind the transforms of `edgeax.compress` too. A warning lists the other layers with
    kernels: of their gradients the optimizer takes the sign, as they are.

    Source: [WJC19].

    Args:
        model: Sequential or functional, built.
        **settings: `beta`, `bits`, `predicted_bits`, `gradient_bits`, `predicted_gradient_bits` of
            `edgeax.layers.PredictiveDense` and its like.

    Raises:
        ValueError: The model has no graph, no layer has a rule, or a setting is out of its range.

    Example:
        model = edgeax.with_predictive_gradients(model, beta=0.05)
        model.compile(edgeax.optimizers.PredictiveSignSGD(0.003), loss)
        model.fit(x, y, callbacks=[edgeax.callbacks.PredictedSigns()])
    """
    check_model(model)
    left: list[str] = []

    def predictive(layer: Any) -> Any:
        kind = RULES.get(type(layer))
        if kind is not None:
            return kind.from_config({**layer.get_config(), **settings})
        if has_kernel(layer) and not isinstance(layer, Predictive):
            left.append(layer.name)
        return fresh_copy(layer)

    copy = _rebuilt(model, predictive)
    if not predictive_layers(copy):
        kinds = ", ".join(kind.__name__ for kind in RULES)
        raise ValueError(
            f"`model` must have a layer with a rule for its weight's gradient: {kinds}. "
            f"Received: {[layer.name for layer in model.layers]}."
        )
    if left:
        warnings.warn(
            f"No rule predicts the gradients of {left}: their plain signs are taken.", stacklevel=2
        )
    return copy


def without_predictive_gradients(model: keras.Model) -> keras.Model:
    """Returns a copy of a model with plain layers in place of those that predict, not compiled.

    Raises:
        ValueError: The model has no graph.
    """
    check_model(model)
    plain: dict[type, Any] = {predictive: kind for kind, predictive in RULES.items()}

    def changed(layer: Any) -> Any:
        if type(layer) not in plain:
            return fresh_copy(layer)
        config = layer.get_config()
        for name in layer.predictive_config():
            config.pop(name)
        return plain[type(layer)].from_config(config)

    return _rebuilt(model, changed)


def predictive_layers(model: keras.Model) -> list[Predictive]:
    """Returns the layers of a model that predict, nested ones and those in wrappers included."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, Predictive)
    ]


def _rebuilt(model: keras.Model, change: Any) -> keras.Model:
    """Returns a copy with changed layers, those inside wrappers and blocks included."""
    pairs: list[tuple[Any, Any]] = []

    def changed(layer: Any) -> Any:
        block = getattr(layer, "block", None)
        if isinstance(layer, Compressed):
            copy = layer.around(change(layer.layer))
        elif isinstance(block, keras.Model) and is_nested(block):
            copy = _around_block(layer, _rebuilt(block, change))
        else:
            copy = change(layer)
        pairs.append((layer, copy))
        return copy

    copy = clone(model, changed, {})
    for layer, made in pairs:
        _copy_weights(layer, made)
    return copy


def _around_block(layer: Any, block: keras.Model) -> Any:
    """Returns a layer of the same settings that holds another block."""
    config = {**layer.get_config(), "block": keras.saving.serialize_keras_object(block)}
    return type(layer).from_config(config)


def _copy_weights(layer: Any, copy: Any) -> None:
    """Copies what both have: all but the counts of signs."""
    if not isinstance(copy, keras.layers.Layer):
        return
    counts = {id(p.signs) for one in (layer, copy) for p in _predicting(one)}
    old, new = ([v for v in one.weights if id(v) not in counts] for one in (layer, copy))
    for source, target in zip(old, new, strict=True):
        target.assign(source.value)


def _predicting(layer: keras.layers.Layer) -> list[Predictive]:
    return [one for one in layer._flatten_layers() if isinstance(one, Predictive)]
