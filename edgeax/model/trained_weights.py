"""Which weights of a model a device trains: all, those of some layers, biases, or a plan's."""

import dataclasses
import numbers
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from edgeax.model.graph import Graph
from edgeax.model.update_plan import UpdatePlan

_layers = keras.layers

NORMALIZATION = _layers.BatchNormalization

# The axis of a kernel's input channels, for kernels of which a part can be trained.
_INPUT_AXES: dict[type, int] = {
    _layers.Dense: 0,
    _layers.Conv1D: -2,
    _layers.Conv2D: -2,
    _layers.DepthwiseConv2D: -2,
}


@dataclasses.dataclass(frozen=True)
class TrainedWeight:
    """A weight that is trained.

    Attributes:
        path: Path of its layer.
        layer: Its layer.
        variable: The weight.
        channels: How many input channels are trained, the first ones; None: all.
        axis: The axis of these channels, counted from the front.
    """

    path: str
    layer: keras.layers.Layer
    variable: keras.Variable
    channels: int | None = None
    axis: int = 0


def trained_weights(graph: Graph, trainable: Any, live_normalization: bool) -> list[TrainedWeight]:
    """Returns the weights that are trained, in the order in which their layers run.

    Args:
        graph: Of a plain model.
        trainable: `"all"`; how many of the last layers; a list of layers' paths or names;
            `"biases"`; or an `UpdatePlan`. Layers that Keras does not train are not trained.
        live_normalization: Whether batch normalizations are trained too; where only some layers
            are, those behind the first of them.

    Raises:
        ValueError: It is nothing of that kind, names a layer that is not there, or leaves nothing
            to train.
    """
    layers = _layers_of(graph)
    if isinstance(trainable, UpdatePlan):
        found = list(_planned(layers, trainable))
    elif isinstance(trainable, str) and trainable == "all":
        chosen = [*layers] if live_normalization else list(_without_normalization(layers))
        found = [weight for path in chosen for weight in _whole(path, layers[path])]
    elif isinstance(trainable, str) and trainable == "biases":
        found = list(_biases(layers))
    elif isinstance(trainable, numbers.Integral) and not isinstance(trainable, bool):
        chosen = _last(layers, int(trainable))
        found = list(_of_layers(layers, chosen, live_normalization))
    elif isinstance(trainable, (list, tuple)) and all(isinstance(n, str) for n in trainable):
        chosen = _named(layers, trainable, live_normalization)
        found = list(_of_layers(layers, chosen, live_normalization))
    else:
        raise ValueError(
            "`trainable` must be 'all', 'biases', a number of layers, a list of layers' names, or "
            f"an UpdatePlan. Received: trainable={trainable!r}."
        )
    if not found:
        raise ValueError(
            "`trainable` must leave a weight to train. Received: "
            f"trainable={trainable!r} for a model with the layers {[*layers]}."
        )
    return found


def _layers_of(graph: Graph) -> dict[str, keras.layers.Layer]:
    """Returns the layers that Keras trains, by their paths, in the order in which they run."""
    found: dict[str, keras.layers.Layer] = {}
    for call in graph.calls:
        layer = call.operation
        if isinstance(layer, keras.layers.Layer) and layer.trainable_weights:
            found.setdefault(graph.path(layer), layer)
    return found


def _without_normalization(layers: dict[str, Any]) -> Iterator[str]:
    return (path for path, layer in layers.items() if not isinstance(layer, NORMALIZATION))


def _last(layers: dict[str, Any], count: int) -> list[str]:
    paths = [*_without_normalization(layers)]
    if not 1 <= count <= len(paths):
        raise ValueError(
            f"`trainable` must be at least 1 and at most {len(paths)}, the layers with weights, "
            f"batch normalizations not counted. Received: trainable={count}."
        )
    return paths[-count:]


def _named(layers: dict[str, Any], names: Sequence[str], live: bool) -> list[str]:
    chosen: list[str] = []
    for name in names:
        found = [path for path in layers if name in (path, layers[path].name)]
        if not found:
            raise ValueError(
                f"`trainable` must name layers with weights that Keras trains: {[*layers]}. "
                f"Received: {name!r}."
            )
        chosen += found
    frozen = [path for path in chosen if isinstance(layers[path], NORMALIZATION) and not live]
    if frozen:
        raise ValueError(
            "`trainable` can name a batch normalization only with batch_norm='live'. Received: "
            f"{frozen[0]!r} with batch_norm='frozen'."
        )
    return [path for path in layers if path in chosen]


def _of_layers(layers: dict[str, Any], chosen: list[str], live: bool) -> Iterator[TrainedWeight]:
    """Yields the weights of some layers, and those of normalizations behind the first of them."""
    begun = False
    for path, layer in layers.items():
        begun = begun or path in chosen
        if path in chosen or (live and begun and isinstance(layer, NORMALIZATION)):
            yield from _whole(path, layer)


def _whole(path: str, layer: Any) -> Iterator[TrainedWeight]:
    return (TrainedWeight(path, layer, variable) for variable in layer.trainable_weights)


def _biases(layers: dict[str, Any]) -> Iterator[TrainedWeight]:
    for path, layer in layers.items():
        bias = getattr(layer, "bias", None)
        if bias is not None and any(bias is one for one in layer.trainable_weights):
            yield TrainedWeight(path, layer, bias)


def _planned(layers: dict[str, Any], plan: UpdatePlan) -> Iterator[TrainedWeight]:
    parts = {part.path: part for part in plan.parts}
    missing = [path for path in parts if path not in layers]
    if missing:
        raise ValueError(
            f"`trainable` must be a plan for this model, whose layers are {[*layers]}. Received: "
            f"one for {missing[0]!r}. Plan anew: edgeax.lifelong.plan_update(model, ...)."
        )
    for path, layer in layers.items():
        part = parts.get(path)
        if part is None:
            continue
        bias = getattr(layer, "bias", None)
        for variable in layer.trainable_weights:
            if variable is bias:
                if part.bias:
                    yield TrainedWeight(path, layer, variable)
            elif part.channels is None:
                yield TrainedWeight(path, layer, variable)
            elif part.channels:
                yield _part(path, layer, variable, part.channels)


def _part(path: str, layer: Any, variable: keras.Variable, channels: int) -> TrainedWeight:
    axis = input_axis(layer, variable)
    if axis is None or getattr(layer, "groups", 1) != 1:
        kinds = ", ".join(kind.__name__ for kind in _INPUT_AXES)
        raise ValueError(
            f"A plan can train a part of the channels of these layers only, without groups: "
            f"{kinds}. Received: {channels} channels of {path!r}."
        )
    if channels > variable.shape[axis]:
        raise ValueError(
            f"A plan can train as many channels as a kernel has, {variable.shape[axis]} in "
            f"{path!r}. Received: {channels}. Plan anew for this model."
        )
    whole = channels == variable.shape[axis]
    return TrainedWeight(path, layer, variable, None if whole else channels, axis)


def input_axis(layer: Any, variable: keras.Variable) -> int | None:
    """Returns the axis of a kernel along which a part of it can be trained, None if there is none.

    Args:
        layer: A plain layer.
        variable: One of its weights.
    """
    axis = _INPUT_AXES.get(type(layer))
    if axis is None or variable is not layer.kernel:
        return None
    return axis % len(variable.shape)


def names_of(weights: Sequence[TrainedWeight]) -> list[str]:
    """Returns a name for each weight: the path of its layer and its own, all different."""
    names = [f"{weight.path}/{weight.variable.name}" for weight in weights]
    return [
        name if names.count(name) == 1 else f"{weight.path}/{weight.variable.path}"
        for name, weight in zip(names, weights, strict=True)
    ]
