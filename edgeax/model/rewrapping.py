"""Rewrapping: a copy of a compressed model whose kernels get other transforms."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from edgeax.model.container import CompressedModel
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.graph import is_nested
from edgeax.model.picking import check_compressed
from edgeax.model.slots import serialized
from edgeax.model.subclassed import copy_own_weights, layers_of
from edgeax.model.wrapper import Compressed, slot_of
from edgeax.transforms.base import Chain, Transform

Change = Callable[[list[Transform]], list[Transform]]


def rewrapped(model: keras.Model, paths: dict[str, Compressed], change: Change) -> keras.Model:
    """Returns a copy of a compressed model in which the kernels of some layers have other
    transforms, not compiled. Transforms that stay keep their state, new ones have none yet.

    Args:
        model: Compressed.
        paths: The layers whose kernels get other transforms, by their paths.
        change: Gets the transforms of a kernel, returns the new ones, those that stay among them.

    Raises:
        ValueError: The new ones do not go together, or it is no compressed model but a subclassed
            one that holds Compressed layers.
    """
    changed = {id(wrapper): _changed_slots(wrapper, change) for wrapper in paths.values()}
    if is_nested(model):
        return _rewrapped_graph(model, changed)
    check_compressed(model)
    config = model.get_config()
    wrappers = ((entry, model.wrappers[entry["path"]]) for entry in config["wrapped"])
    config["wrapped"] = [
        {**entry, "settings": _settings(wrapper, changed)} if id(wrapper) in changed else entry
        for entry, wrapper in wrappers
    ]
    copy = CompressedModel.from_config(config)
    copy.build_from_config(model.get_build_config())
    copy_own_weights(layers_of(model), layers_of(copy), {})
    for path, wrapper in model.wrappers.items():
        _copy_state(wrapper, copy.wrappers[path], changed)
    return copy


def _rewrapped_graph(model: keras.Model, changed: dict[int, Any]) -> keras.Model:
    def copied(layer: Any) -> Any:
        if id(layer) not in changed:
            return fresh_copy(layer)
        return Compressed.from_settings(
            fresh_copy(layer.layer),
            _settings(layer, changed),
            name=layer.name,
            trainable=layer.trainable,
            dtype=layer.dtype_policy,
        )

    made: dict[int, Any] = {}
    copy = clone(model, copied, made)
    rewrapped_layers = [
        (layer, made.pop(id(layer)))
        for layer in model._flatten_layers(include_self=False)
        if id(layer) in changed
    ]
    copy_weights(model, made)
    for layer, new in rewrapped_layers:
        new.layer.set_weights(layer.layer.get_weights())
        _copy_state(layer, new, changed)
    return copy


def _changed_slots(wrapper: Compressed, change: Change) -> dict[str, Any]:
    """Returns the transforms of kernels: of all in a slot, and of single ones by their names."""
    slots = wrapper.slots
    named = {
        name: change(members) if members and slot_of(name) == "kernel" else members
        for name, members in slots.weights.items()
    }
    return {"kernel": change(slots.templates["kernel"]), "weights": named}


def _settings(wrapper: Compressed, changed: dict[int, Any]) -> dict[str, Any]:
    slots = changed[id(wrapper)]
    kernel = serialized({"kernel": slots["kernel"]})
    return {**wrapper.settings(), **kernel, "weights": serialized(slots["weights"])}


def _copy_state(wrapper: Compressed, new: Compressed, changed: dict[int, Any]) -> None:
    """Copies the state of all transforms that a wrapper and its successor have."""
    old_chains = {_place(wrapper, weight.variable): weight for weight in wrapper.weight_chains}
    for weight in new.weight_chains:
        old = old_chains.get(_place(new, weight.variable))
        if old is not None:
            members = _pairs(wrapper, weight.variable.name, changed)
            _copy_chain(old.chain, weight.chain, members)
    count, new_count = len(wrapper.weight_chains), len(new.weight_chains)
    for chain, same in zip(wrapper.chains[count:], new.chains[new_count:], strict=True):
        same.set_weights(chain.get_weights())


def _place(wrapper: Compressed, variable: keras.Variable) -> int:
    return next(i for i, known in enumerate(wrapper.layer.weights) if known is variable)


def _pairs(wrapper: Compressed, name: str, changed: dict[int, Any]) -> Iterator[tuple[int, int]]:
    """Yields where transforms of a weight stood, and where they stand now."""
    members = wrapper.slots.of_weight(name)
    slots = changed.get(id(wrapper))
    after: Sequence[Transform] = members
    if slots is not None and name in slots["weights"]:
        after = slots["weights"][name]
    elif slots is not None and slot_of(name) == "kernel":
        after = slots["kernel"]
    for place, member in enumerate(after):
        for before, known in enumerate(members):
            if known is member:
                yield before, place


def _copy_chain(chain: Chain, new: Chain, pairs: Iterator[tuple[int, int]]) -> None:
    new.calls.assign(chain.calls.value)
    for before, place in pairs:
        new.transforms[place].set_weights(chain.transforms[before].get_weights())
