"""Channels taken out of a model, or put in another order: smaller layers, the same function."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from edgeax.model.channel_moves import kind_of
from edgeax.model.channels import Channels, check_indices, check_names
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.dead_channels import Dead, find_dead
from edgeax.model.graph import Call, new_inputs
from edgeax.model.macs import macs_of_calls
from edgeax.model.rewrite import compile_like, name_when_folded, with_bias
from edgeax.model.wrapper import slot_of

_layers = keras.layers

_SIZES: dict[type, tuple[str, str, int]] = {
    _layers.Dense: ("units", "kernel", -1),
    _layers.Conv1D: ("filters", "kernel", -1),
    _layers.Conv2D: ("filters", "kernel", -1),
    _layers.Conv3D: ("filters", "kernel", -1),
    _layers.Conv1DTranspose: ("filters", "kernel", -2),
    _layers.Conv2DTranspose: ("filters", "kernel", -2),
    _layers.Conv3DTranspose: ("filters", "kernel", -2),
    _layers.SeparableConv1D: ("filters", "pointwise_kernel", -1),
    _layers.SeparableConv2D: ("filters", "pointwise_kernel", -1),
    _layers.Embedding: ("output_dim", "embeddings", -1),
    _layers.LSTM: ("units", "recurrent_kernel", 0),
    _layers.GRU: ("units", "recurrent_kernel", 0),
    _layers.SimpleRNN: ("units", "recurrent_kernel", 0),
}
"""The setting that says how many channels a layer makes, and the weight and axis as long as it."""


@dataclasses.dataclass(frozen=True, eq=False)
class RemovedChannels:
    """A model without some of its channels. Prints what was gained and what could not go.

    Attributes:
        model: A plain functional model. The layers of nested models became its own, named by their
            paths with `_` for `/`, and a number behind where that name is taken; one that makes an
            output of the model has the output's name.
        removed: The units that were removed, int64, by the name of their group.
        skipped: One line for each layer with a kernel that cannot make fewer channels, and why;
            where dead channels were looked for, also one for each group with channels that are the
            same for every input and stay all the same.
        macs_before: Multiply-accumulates of one sample before, None where sizes may vary.
        macs_after: The same of `model`.
        parameters_before: Number of weights before.
        parameters_after: Number of weights of `model`.
    """

    model: keras.Model
    removed: dict[str, np.ndarray]
    skipped: list[str]
    macs_before: int | None
    macs_after: int | None
    parameters_before: int
    parameters_after: int

    def __str__(self) -> str:
        lines = [
            f"{sum(units.size for units in self.removed.values())} units of channels removed from "
            f"{len(self.removed)} groups of {self.model.name!r}",
            _change("parameters", self.parameters_before, self.parameters_after),
        ]
        if self.macs_before is not None and self.macs_after is not None:
            lines.append(_change("MACs", self.macs_before, self.macs_after))
        lines += [f"  {name}: {units.size} removed" for name, units in self.removed.items()]
        lines += [f"  left: {line}" for line in self.skipped]
        return "\n".join(lines)


def remove_channels(
    model: keras.Model, channels: Mapping[str, Iterable[int]] | None = None
) -> RemovedChannels:
    """Returns a smaller plain model without some channels.

    What goes with a channel goes too: those that it is added to or multiplied by, its place in
    batch normalizations and depthwise kernels, and the inputs of the layers that read it. The
    outputs are those of `mask_channels(model, channels)`, up to the order in which sums are taken.
    All other weights are kept, and the result is compiled if `model` was, with a new optimizer.

    Args:
        model: Sequential or functional, nested ones included, not compressed.
        channels: What to remove: by the name of a group of `channel_groups`, indices of its units;
            or by the path of any other layer, indices of the channels that it gives out. None: each
            channel without which the model computes the same: one that is 0 whatever the input is,
            as behind a kernel, bias and beta of zeros, one that no other kernel reads, or one that
            is constant, where the biases of all its readers can take over its part.

    Raises:
        ValueError: The model has no graph or is compressed; `channels` names what is no group and
            no layer, what is an input or output of the model, or what some layer needs whole, and
            indices that are out of range or given twice, or it leaves a layer nothing.

    Example: `edgeax.remove_channels(model, {"conv1": [0, 3]}).model.fit(images, labels)`
    """
    found = Channels(model)
    dead = find_dead(found) if channels is None else Dead(found.chosen(channels), {}, [])
    smaller, calls = _rebuilt(found, dead)
    compile_like(smaller, model)
    removed = {}
    for group in found.groups:
        places = np.flatnonzero(np.isin(found.units_of(group), dead.units))
        if places.size:
            removed[group.name] = places
    return RemovedChannels(
        model=smaller,
        removed=removed,
        skipped=[*_why_whole(found), *dead.kept],
        macs_before=_macs((found.graph.path(call.operation), call) for call in found.graph.calls),
        macs_after=_macs((call.operation.name, call) for call in calls),
        parameters_before=model.count_params(),
        parameters_after=smaller.count_params(),
    )


def mask_channels(model: keras.Model, channels: Mapping[str, Iterable[int]]) -> keras.Model:
    """Returns a copy of a model in which no kernel reads some channels: their weights are 0.

    It computes what `remove_channels(model, channels)` does, at its full size.

    Args:
        model: Sequential or functional, nested ones included, not compressed.
        channels: As for `remove_channels`.

    Raises:
        ValueError: As `remove_channels`.

    Example: `edgeax.mask_channels(model, {"conv1": [0, 3]}).evaluate(images, labels)`
    """
    found = Channels(model)
    gone = found.chosen(channels)

    def masked(weight: np.ndarray, axis: int, units: np.ndarray, role: str) -> np.ndarray:
        if role != "reads":
            return weight
        stays = ~np.isin(units, gone)
        shape = [-1 if place == axis else 1 for place in range(weight.ndim)]
        return weight * stays.reshape(shape).astype(weight.dtype)

    return _with_weights(model, found, masked)


def permute_channels(model: keras.Model, orders: Mapping[str, Iterable[int]]) -> keras.Model:
    """Returns a copy of a model whose channels stand in another order.

    It computes the same, up to the order in which sums are taken.

    Args:
        model: Sequential or functional, nested ones included, not compressed.
        orders: By the name of a group of `channel_groups` whose channels can go, all its units in
            their new order: the first one named comes first.

    Raises:
        ValueError: The model has no graph or is compressed, a name is that of no group or of one
            whose channels have to stay, an order is none of all units, or changes places of units
            of different numbers of channels.

    Example: `edgeax.permute_channels(model, {"conv1": [2, 0, 1]})`
    """
    found = Channels(model)
    check_names("orders", orders)
    instead: dict[int, int] = {}
    for name, order in orders.items():
        units = found.units_of(found.group("orders", name))
        places = check_indices(f"orders[{name!r}]", order, units.size)
        if places.size != units.size:
            raise ValueError(
                f"`orders[{name!r}]` must name each of the {units.size} units. "
                f"Received: {places.size} of them. Name those that keep their place too."
            )
        instead |= dict(zip(units.tolist(), units[places].tolist(), strict=True))
    for axis in found.axes:
        _check_alike(found.graph.path(axis.layer), found.classes(axis.labels), instead)

    def permuted(weight: np.ndarray, axis: int, units: np.ndarray, role: str) -> np.ndarray:
        wanted = np.array([instead.get(unit, unit) for unit in units.tolist()], np.int64)
        source = np.empty_like(units)
        source[np.argsort(wanted, kind="stable")] = np.argsort(units, kind="stable")
        return np.take(weight, source, axis=axis)

    return _with_weights(model, found, permuted)


def _check_alike(path: str, units: np.ndarray, instead: Mapping[int, int]) -> None:
    """Checks that units that change places have equally many channels in a layer."""
    counts = dict(
        zip(*(part.tolist() for part in np.unique(units, return_counts=True)), strict=True)
    )
    for unit, other in instead.items():
        if counts.get(unit, 0) != counts.get(other, 0):
            raise ValueError(
                "`orders` must change places of units that have equally many channels. Received: "
                f"units of {counts.get(unit, 0)} and of {counts.get(other, 0)} in {path!r}. "
                "Leave them where they are."
            )


Change = Callable[[np.ndarray, int, np.ndarray, str], np.ndarray]
"""Gets a weight, one of its axes, the units along it and the role; returns the weight changed."""


def _with_weights(model: keras.Model, found: Channels, change: Change) -> keras.Model:
    """Returns a copy of a model with other weights of the same shapes, compiled if it is."""
    made: dict[int, Any] = {}
    copy = clone(model, fresh_copy, made)
    copy_weights(model, made)
    for axis in found.axes:
        layer = made[id(found.originals[id(axis.layer)])]
        variable = layer.weights[axis.weight]
        units = found.classes(axis.labels)
        variable.assign(change(np.asarray(variable), axis.axis, units, axis.role))
    compile_like(copy, model)
    return copy


def _rebuilt(found: Channels, dead: Dead) -> tuple[keras.Model, list[Call]]:
    """Returns a functional model without the dead units, and its calls."""
    made: dict[int, Any] = {}
    calls: list[Call] = []

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operation = call.operation
        values: list[np.ndarray] = []
        if id(operation) not in made:
            values = _kept_values(found, operation, dead)
            copy = _resized(found, call, values, dead)
            if copy is not operation:
                copy.name = name_when_folded(found.graph, operation)
            made[id(operation)] = copy
        layer = made[id(operation)]
        try:
            outputs = layer(*args, **kwargs)
        except Exception as error:  # of an initializer, which may be the user's own
            raise _cannot(found.graph.path(operation), layer, error) from error
        if values:
            layer.set_weights(values)
            finalize = getattr(layer, "finalize_state", None)
            if finalize is not None:
                finalize()
        calls.append(Call(layer, args, kwargs, outputs))
        return outputs

    inputs = new_inputs(found.skeleton)
    outputs = found.graph.rebuild(emit, inputs)
    smaller = keras.Model(inputs, outputs, name=found.skeleton.name)
    if not found.skeleton.trainable:
        smaller.trainable = False
    return smaller, calls


def _cannot(path: str, layer: Any, error: Exception) -> ValueError:
    return ValueError(
        "`model` must hold layers that can be built smaller. Received: "
        f"{path!r} of type {type(layer).__name__}, of which Keras says: {error} "
        "Leave the channels that it makes or reads, or give it initializers for any shape."
    )


def _kept_values(found: Channels, layer: Any, dead: Dead) -> list[np.ndarray]:
    """Returns the weights of a layer without what is dead, its bias with what it takes over."""
    values = [np.asarray(variable) for variable in getattr(layer, "weights", ())]
    shift = dead.shifts.get(id(layer))
    names = [variable.name for variable in layer.weights] if values else []
    if shift is not None and "bias" in names:
        values[names.index("bias")] = values[names.index("bias")] + shift
    values = [_cut(found, layer, dead, index, value) for index, value in enumerate(values)]
    if shift is not None and "bias" not in names:
        stays = ~np.isin(found.made_by(layer), dead.units)
        values.append(shift[stays])
    return values


def _cut(found: Channels, layer: Any, dead: Dead, index: int, values: np.ndarray) -> np.ndarray:
    """Returns values like those of a layer's weight without what is dead."""
    for axis in found.axes:
        if axis.layer is layer and axis.weight == index:
            stays = ~np.isin(found.classes(axis.labels), dead.units)
            values = np.compress(stays, values, axis=axis.axis)
    return values


def _resized(found: Channels, call: Call, values: list[np.ndarray], dead: Dead) -> Any:
    """Returns a new layer of the size of its new weights."""
    operation = call.operation
    if isinstance(operation, _layers.Reshape) or kind_of(operation) == "Reshape":
        return _reshape(found, call, dead)
    weights = getattr(operation, "weights", ())
    if all(part.shape == tuple(old.shape) for part, old in zip(values, weights, strict=False)):
        return with_bias(operation) if id(operation) in dead.shifts else fresh_copy(operation)
    cut = functools.partial(_cut, found, operation, dead)
    return _smaller(operation, values, id(operation) in dead.shifts, cut)


Cut = Callable[[int, np.ndarray], np.ndarray]
"""Gets the index of a weight and values like its own; returns those that are kept."""


def _smaller(layer: Any, values: list[np.ndarray], biased: bool, cut: Cut) -> Any:
    names = [variable.name for variable in layer.weights]
    shapes = dict(zip(names, (value.shape for value in values), strict=False))
    if isinstance(layer, _layers.TimeDistributed):
        inner = _smaller(layer.layer, values, biased, cut)
        return _layers.TimeDistributed(
            inner, name=layer.name, trainable=layer.trainable, dtype=layer.dtype_policy
        )
    config = layer.get_config()
    for part in ("layer", "backward_layer"):  # of a Bidirectional: to be built for fewer inputs
        config.get(part, {}).pop("build_config", None)
    if biased:
        config["use_bias"] = True
    if type(layer) in _SIZES:
        setting, weight, axis = _SIZES[type(layer)]
        config[setting] = shapes[weight][axis]
        groups = config.get("groups", 1)
        if groups > 1 and layer.kernel.shape[-2] == 1:  # each channel is convolved on its own
            config["groups"] = groups * shapes[weight][-1] // layer.filters
    elif isinstance(layer, _layers.EinsumDense):
        size = config["output_shape"]
        size = (size,) if isinstance(size, int) else tuple(size)
        config["output_shape"] = (*size[:-1], shapes["kernel"][-1])
    return type(layer).from_config(config | _initializers(layer, config, cut))


def _initializers(layer: Any, config: Mapping[str, Any], cut: Cut) -> dict[str, Any]:
    """Returns initializers by their settings, in place of those that make one shape only: of
    constants, those of the channels that are kept.
    """
    instead: dict[str, Any] = {}
    for index, variable in enumerate(layer.weights):
        kinds = (variable.name, variable.name.removesuffix("_kernel"), "depthwise")
        setting = next((f"{k}_initializer" for k in kinds if f"{k}_initializer" in config), "")
        given = keras.initializers.get(config.get(setting))
        plain = type(given).__module__.startswith("keras.")
        if given is None or plain and not isinstance(given, keras.initializers.Constant):
            continue
        shape = tuple(variable.shape)
        kept = cut(index, np.zeros(shape, bool)).shape
        try:
            fits = tuple(given(kept, dtype=variable.dtype).shape) == kept
        except Exception:  # TensorFlow's, or of the user's own
            fits = False
        if not fits:
            values = cut(index, np.asarray(given(shape, dtype=variable.dtype)))
            instead[setting] = keras.initializers.serialize(keras.initializers.Constant(values))
    return instead


def _reshape(found: Channels, call: Call, dead: Dead) -> Any:
    """Returns a Reshape to fewer channels."""
    operation = call.operation
    units = found.made_by(operation)
    count = int(np.sum(~np.isin(units, dead.units)))
    if count == units.size:
        return fresh_copy(operation)
    if not isinstance(operation, _layers.Reshape):
        shape = operation.newshape
        return type(operation)((*shape[:-1], -1 if shape[-1] == -1 else count))
    shape = operation.target_shape
    config = operation.get_config()
    config["target_shape"] = (*shape[:-1], -1 if shape[-1] == -1 else count)
    return _layers.Reshape.from_config(config)


def _why_whole(found: Channels) -> list[str]:
    """Returns a line for each layer with a kernel that cannot make fewer channels, and why."""
    lines: dict[str, str] = {}
    for call in found.graph.calls:
        layer, path = call.operation, found.graph.path(call.operation)
        weights = getattr(layer, "weights", ())
        if any(slot_of(variable.name) == "kernel" for variable in weights):
            reasons = [found.reason(unit) for unit in found.made_by(layer).tolist()]
            if all(reasons):
                lines[path] = f"{path!r}: {reasons[0]}" if reasons else f"{path!r}: no channels."
    return list(lines.values())


def _macs(calls: Iterable[tuple[str, Call]]) -> int | None:
    try:
        return sum(macs_of_calls(calls).values())
    except ValueError:  # sizes that may vary
        return None


def _change(what: str, before: int, after: int) -> str:
    return f"{what}: {before:,} -> {after:,} ({1 - after / max(before, 1):.1%} less)"
