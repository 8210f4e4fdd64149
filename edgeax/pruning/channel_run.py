"""ChannelRun: a model run in the open: what its layers read can be seen, and gated."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.channels import ChannelGroup
from edgeax.model.copying import copy_of
from edgeax.model.graph import Call, inputs_of, trace

_READING = ("kernel", "depthwise_kernel", "pointwise_kernel")
"""Weights that sum over the channels of a layer's input; a recurrent kernel does not."""


class EnoughSeen(Exception):
    """Raised by what watches a run, to end it."""


class ChannelRun:
    """Runs a copy of a model call by call, at inference.

    Args:
        model: Sequential or functional.
        groups: Its groups of channels.

    Attributes:
        unseen: Why the channels of a group cannot be seen where they are read, by its name.
    """

    def __init__(self, model: keras.Model, groups: Sequence[ChannelGroup]) -> None:
        self._structure = inputs_of(model)
        self._graph = trace(copy_of(model))
        self._calls = {self._graph.path(call.operation): call for call in self._graph.calls}
        self._gates: dict[str, list[tuple[str, np.ndarray]]] = {}
        self.unseen = {group.name: self._why_unseen(group) for group in groups}
        for group in groups:
            if not self.unseen[group.name]:
                for path, units in _read(group).items():
                    self._gates.setdefault(path, []).append((group.name, units))
        self.unseen = {name: why for name, why in self.unseen.items() if why}

    @property
    def paths(self) -> list[str]:
        """The paths of the layers and operations, in the order in which they run first."""
        return list(self._calls)

    def layer(self, path: str) -> Any:
        """Returns the copy of a layer."""
        return self._calls[path].operation

    def uses(self, path: str) -> int:
        """Returns how often a layer is called."""
        return len(self._graph.calls_of(self.layer(path)))

    def __call__(
        self,
        inputs: Sequence[Any],
        gates: Mapping[str, Any] | None = None,
        watch: Callable[[str, Any], None] | None = None,
    ) -> Any:
        """Returns the outputs of a batch as the model gives them, None if the run was ended.

        Args:
            inputs: One tensor for each input of the model.
            gates: By the name of a group `(samples, units)` or `(1, units)`: what its channels are
                multiplied by wherever they are read. A unit with 0 is as if it were removed.
            watch: Gets the path of each layer that reads channels of a group, and what it reads,
                behind the gates; it may end the run by raising `EnoughSeen`.
        """
        gates = gates or {}

        def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            path = self._graph.path(call.operation)
            read = self._gates.get(path)
            if read is not None:
                given = args[0]
                for name, units in read:
                    if name in gates:
                        given = given * _gate(gates[name], units, given)
                if watch is not None:
                    watch(path, given)
                args = (given, *args[1:])
            return call.operation(*args, **kwargs)

        tensors = [
            tf.cast(given, wanted.dtype)
            for given, wanted in zip(inputs, keras.tree.flatten(self._structure), strict=True)
        ]
        try:
            return self._graph.rebuild(emit, tensors)
        except EnoughSeen:
            return None

    def _why_unseen(self, group: ChannelGroup) -> str:
        if not group.readers:
            return "no layer with weights reads it."
        for one in group.readers:
            call = self._calls.get(one.path)
            if call is None or one.weight not in _READING:
                return f"{one.path!r} reads it within, by its {one.weight}."
            tensors = call.input_tensors
            channels_last = getattr(call.operation, "data_format", None) != "channels_first"
            if len(tensors) != 1 or not call.args or not channels_last:
                return f"{one.path!r} reads it among other inputs, or not as the last axis."
            if tensors[0].shape[-1] != len(one.units):
                return f"{one.path!r} reads it otherwise than as the last axis of its input."
        return ""


def _read(group: ChannelGroup) -> dict[str, np.ndarray]:
    """Returns which unit each channel of the input of each reader is, by its path."""
    return {one.path: np.asarray(one.units) for one in group.readers}


def _gate(gates: Any, units: np.ndarray, given: Any) -> Any:
    """Returns what the input of a layer is multiplied by.

    Args:
        gates: `(samples, units)` or `(1, units)`.
        units: `(channels,)`: the unit of each channel; -1 for others, which stay as they are.
        given: The input, `(samples, ..., channels)`.
    """
    gates = tf.cast(gates, given.dtype)
    open_gate = tf.ones((gates.shape[0], 1), given.dtype)
    factors = tf.gather(
        tf.concat([gates, open_gate], 1), np.where(units < 0, gates.shape[1], units), axis=1
    )
    return tf.reshape(factors, (factors.shape[0], *[1] * (len(given.shape) - 2), len(units)))
