"""What may take a number that is added to the outputs of a layer: a bias, or a normalization."""

from typing import Any

import keras

from edgeax.model import placement
from edgeax.model.copying import clone, fresh_copy
from edgeax.model.graph import is_nested, trace
from edgeax.model.rewrite import layers_by_path, with_bias
from edgeax.post_training.linear import why_not_linear


def normalizations(model: keras.Model) -> dict[str, str]:
    """Returns the path of the batch normalization that directly follows each layer and no other, by
    the layer's path.

    Args:
        model: Plain; one without a graph has none.
    """
    if not is_nested(model):
        return {}
    graph = trace(clone(model, fresh_copy, {}))
    found = {}
    for call in graph.calls:
        after = placement.folded_normalization(graph, call)
        if after is not None and len(graph.calls_of(after.operation)) == 1:
            found[graph.path(call.operation)] = graph.path(after.operation)
    return found


def without_shift(model: keras.Model) -> set[int]:
    """Returns the ids of the linear layers that have no bias and no normalization behind them.

    Args:
        model: Sequential or functional.
    """
    normalized = normalizations(model)
    return {
        id(layer)
        for path, layer in layers_by_path(model).items()
        if getattr(layer, "use_bias", None) is False
        and not why_not_linear(layer)
        and path not in normalized
    }


def with_biases(model: keras.Model, chosen: set[int]) -> keras.Model:
    """Returns a plain copy of a model in which the layers with these ids have a bias of 0."""
    made: dict[int, Any] = {}

    def copied(layer: Any) -> Any:
        return with_bias(layer) if id(layer) in chosen else fresh_copy(layer)

    copy = clone(model, copied, made)
    for layer in model._flatten_layers(include_self=False):
        if id(layer) not in made or is_nested(layer):
            continue
        weights = layer.get_weights()
        if id(layer) in chosen:
            weights.append(made[id(layer)].get_weights()[-1])
        made[id(layer)].set_weights(weights)
    return copy
