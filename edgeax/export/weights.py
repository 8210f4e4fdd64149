"""What training ended with, as export uses it: weights, ranges, and layers made of these."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from edgeax.export.rounding import Extremes
from edgeax.formats import EncodedTensor, Float32, Integer
from edgeax.formats.integer_form import IntegerForm, integer_form
from edgeax.model.copying import fresh_copy
from edgeax.model.graph import Call
from edgeax.model.layout import layout_of
from edgeax.model.wrapper import Compressed

# Kernels in codes, canonical layout, by the names of their variables.
Kernels = dict[str, EncodedTensor]


class Weights:
    """The weights of a layer as training ended with them, in values and in codes."""

    def __init__(self, operation: Any) -> None:
        frozen = operation.freeze_weights() if isinstance(operation, Compressed) else []
        self._frozen = {id(variable): (layout, encoded) for variable, layout, encoded in frozen}

    def value(self, variable: keras.Variable) -> np.ndarray:
        """Returns the float32 values that the layer computes with, in the layer's own layout."""
        if id(variable) not in self._frozen:
            return np.asarray(variable, np.float32)
        layout, encoded = self._frozen[id(variable)]
        return layout.from_canonical(encoded.decode())

    def encoded(self, variable: keras.Variable) -> EncodedTensor | None:
        """Returns integer codes in canonical layout, None where training has no format for it."""
        if id(variable) not in self._frozen:
            return None
        encoded = self._frozen[id(variable)][1]
        return None if isinstance(encoded.format, Float32) else integer_form(encoded)


class Builder:
    """Calls layers symbolically and notes the calls.

    Attributes:
        calls: The calls in their order.
        paths: Path of each operation, by id.
        kernels: Kernels in codes, by the id of the plain layer that holds their values.
        ranges: Ranges of results that are known beforehand, by the id of the call.
        steps: Ids of the operations that belong to the steps of a recurrent layer.
        results: Ids of the calls that give the results of such layers.
        constants: Ids of the layers whose kernels are no weights of the model.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.paths: dict[int, str] = {}
        self.kernels: dict[int, Kernels] = {}
        self.ranges: dict[int, Extremes] = {}
        self.steps: set[int] = set()
        self.results: set[int] = set()
        self.constants: set[int] = set()
        self._made: dict[tuple[int, str], Any] = {}

    def once(self, layer: Any, purpose: str, make: Callable[[], Any]) -> Any:
        """Returns what `make` made for a purpose when a layer was called for the first time: a
        layer that a model calls twice holds its weights once.
        """
        key = (id(layer), purpose)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def call(
        self, operation: Any, path: str, *args: Any, extremes: Extremes | None = None, **kwargs: Any
    ) -> Any:
        """Returns the symbolic results of an operation."""
        call = Call(operation, args, kwargs, operation(*args, **kwargs))
        self.calls.append(call)
        self.paths.setdefault(id(operation), path)
        if extremes is not None:
            self.ranges[id(call)] = extremes
        return call.outputs

    def copy_of(
        self,
        layer: keras.layers.Layer,
        weights: Weights,
        path: str,
        tensor: Any,
        extremes: Extremes | None = None,
        gain: float = 1.0,
        settings: dict[str, Any] | None = None,
    ) -> Any:
        """Returns the symbolic result of a plain copy of `layer`.

        Args:
            layer: A built plain layer.
            weights: Where its weights come from.
            path: Path of the copy.
            tensor: Its input.
            extremes: Range of its output if known.
            gain: Factor of kernel and bias.
            settings: Constructor's arguments in which the copy differs.
        """
        fresh = self.once(layer, f"copy {settings}", lambda: _copy(layer, settings))
        result = self.call(fresh, path, tensor, extremes=extremes)
        kernels: Kernels = {}
        for target, variable in zip(fresh.weights, layer.weights, strict=True):
            target.assign(weights.value(variable) * np.float32(gain))
            encoded = weights.encoded(variable)
            if encoded is not None:
                layout = layout_of(fresh, target.name, target.shape)
                gains = np.full(layout.canonical_shape[-1], gain, np.float32)
                kernels[target.name] = encoded.scaled(gains) if gain != 1.0 else encoded
        self.kernels[id(fresh)] = kernels
        return result

    def dense(self, path: str, kernel: "Slice", bias: np.ndarray | None) -> keras.layers.Dense:
        """Returns a built dense layer that holds part of a kernel."""
        dense = keras.layers.Dense(kernel.value.shape[-1], use_bias=bias is not None)
        dense.build((None, kernel.value.shape[0]))
        dense.set_weights([kernel.value] if bias is None else [kernel.value, bias])
        self.kernels[id(dense)] = {} if kernel.encoded is None else {"kernel": kernel.encoded}
        self.paths.setdefault(id(dense), path)
        return dense


def _copy(layer: keras.layers.Layer, settings: dict[str, Any] | None) -> keras.layers.Layer:
    if not settings:
        return fresh_copy(layer)
    return type(layer).from_config({**layer.get_config(), **settings})


class Slice:
    """Some output channels of a kernel `(rows, channels)`, in values and in codes."""

    def __init__(self, weights: Weights, variable: keras.Variable, part: slice) -> None:
        self.value = weights.value(variable)[:, part]
        encoded = weights.encoded(variable)
        self.encoded = None if encoded is None else _channels(encoded, part)


def _channels(encoded: EncodedTensor, part: slice) -> EncodedTensor:
    """Returns the codes of some columns of a kernel; those of an LSTM are kept by gates."""
    if encoded.codes.ndim == 2:
        return encoded.channels(part)
    units = encoded.codes.shape[1]
    gate = encoded.channels(slice(part.start // units, part.start // units + 1))
    if isinstance(gate, IntegerForm):
        gate = gate.as_plain()
    params = dict(gate.params)
    if params["scale"].ndim:
        params["scale"] = np.repeat(params["scale"], units)
    mask = None if gate.mask is None else gate.mask[..., 0]
    return dataclasses.replace(gate, codes=gate.codes[..., 0], params=params, mask=mask)


def trained_extremes(operation: Any, slot: str) -> Extremes | None:
    """Returns the range that training followed for a tensor of a layer, or None.

    Args:
        operation: The layer or operation.
        slot: `"input"`, `"before_activation"` or `"output"`.
    """
    quantizer = operation.quantizer(slot) if isinstance(operation, Compressed) else None
    if quantizer is None or not isinstance(quantizer.number_format, Integer):
        return None
    return quantizer.extremes
