"""Freeze: a trained model becomes a plain one whose every number the device will use is written down.

Kernels are baked onto their grids with batch normalization folded in, activations are rounded by
fixed ranges, and the batch is pinned to 1: dimensions that may vary leave shape arithmetic behind.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Integer
from edgeax.model import placement
from edgeax.model.graph import Call, Graph, trace
from edgeax.model.layout import Layout, layout_of
from edgeax.model.rewrite import (
    clone,
    copy_weights,
    fold_into,
    fresh_copy,
    normalization_gain_and_shift,
    plain_copy,
    scaled_kernel,
    set_transformed,
    with_bias,
)
from edgeax.model.wrapper import Compressed, slot_of

_layers = keras.layers

Extremes = tuple[float, float]

_BITS = 8


@dataclasses.dataclass(frozen=True)
class FrozenWeight:
    """A kernel as the file has to hold it.

    Attributes:
        path: Path of its layer.
        layer: The plain layer that holds its values.
        layout: How the layer lays it out.
        encoded: The kernel in codes, canonical layout, batch normalization folded in.
    """

    path: str
    layer: keras.layers.Layer
    layout: Layout
    encoded: EncodedTensor


@dataclasses.dataclass(frozen=True)
class Frozen:
    """What `freeze` returns.

    Attributes:
        model: Plain functional model, batch 1.
        weights: The kernels that have a number format.
        points: The places where values are rounded, in the order in which they run.
    """

    model: keras.Model
    weights: tuple[FrozenWeight, ...]
    points: tuple["Point", ...]


@dataclasses.dataclass(frozen=True)
class Point:
    """A place where values are rounded.

    Attributes:
        path: Path of the layer that is rounded behind.
        rounding: Name of the rounding layer in the frozen model.
        layers: Names of the frozen model's layers whose results end here, as they come back in the
            names of the file's tensors.
        extremes: The range.
    """

    path: str
    rounding: str
    layers: tuple[str, ...]
    extremes: Extremes


@dataclasses.dataclass
class _Stage:
    """One layer of the frozen model and how its output is rounded."""

    layer: Any
    name: str
    rounded: bool = False
    extremes: Extremes | None = None


@keras.saving.register_keras_serializable("edgeax")
class FixedRange(keras.layers.Layer):
    """Rounds to an 8-bit grid over a range that never changes; the converter reads it off."""

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low, self.high = float(low), float(high)

    def call(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns `tensor` rounded."""
        return tf.quantization.fake_quant_with_min_max_args(tensor, self.low, self.high, _BITS)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "low": self.low, "high": self.high}


def freeze(model: keras.Model, samples: Sequence[np.ndarray] | None) -> Frozen:
    """Returns `model` with everything fixed that training had left open.

    Args:
        model: Sequential or functional, compressed or plain. Not changed.
        samples: One array per model input, first axis the sample; None leaves activations float.
            Ranges that training did not follow are taken from these.
    """
    made: dict[int, Any] = {}
    copy = clone(model, fresh_copy, made)
    copy_weights(model, made)
    return _Freezer(trace(copy), model.name, integer=samples is not None).run(samples or [])


class _Freezer:
    """Builds the frozen model from the calls of a compressed one."""

    def __init__(self, graph: Graph, name: str, integer: bool) -> None:
        self.graph = graph
        self.name = name
        self.integer = integer
        self.weights: list[FrozenWeight] = []
        self.folded: dict[int, Call] = {}
        self._baked: dict[tuple[int, int], list[keras.layers.Layer]] = {}
        self._numbers = itertools.count()
        for call in graph.calls:
            after = placement.folded_normalization(graph, call)
            if after is not None:
                self.folded[id(call)] = after
        self._skipped = {id(after) for after in self.folded.values()}
        self._ends = {
            id(placement.last_of_group(graph, call)) for call in graph.calls if placement.rounds(call)
        }
        self.stages = {id(call): self._stages(call) for call in graph.calls}

    def run(self, samples: Sequence[np.ndarray]) -> Frozen:
        inputs = [_Stage(None, f"input_{index}") for index, _ in enumerate(self._inputs())]
        if self.integer:
            self._set_ranges(inputs, samples)
        model, points = self._build(inputs, batch_size=1)
        return Frozen(model, tuple(self.weights), tuple(points))

    def _inputs(self) -> list[keras.KerasTensor]:
        return keras.tree.flatten(self.graph.inputs)

    def _set_ranges(self, inputs: list[_Stage], samples: Sequence[np.ndarray]) -> None:
        for stage, tensor, values in zip(inputs, self._inputs(), samples, strict=True):
            stage.rounded = keras.backend.is_float_dtype(tensor.dtype)
            if stage.rounded:
                stage.extremes = self._input_extremes(tensor) or _extremes_of(values)
        open_stages = [
            stage
            for stages in self.stages.values()
            for stage in stages
            if stage.rounded and stage.extremes is None
        ]
        if open_stages:
            self._calibrate(open_stages, samples)

    def _calibrate(self, stages: list[_Stage], samples: Sequence[np.ndarray]) -> None:
        """Takes the ranges of `stages` from what the unrounded model makes of the samples."""
        watched: dict[int, Any] = {}
        model, _ = self._build([], batch_size=None, watched=watched)
        probe = keras.Model(model.inputs, [watched[id(stage)] for stage in stages])
        for values in _batches(samples):
            for stage, result in zip(stages, keras.tree.flatten(probe(values)), strict=True):
                low, high = _extremes_of(np.asarray(result))
                old = stage.extremes or (0.0, 0.0)
                stage.extremes = (min(old[0], low), max(old[1], high))

    def _input_extremes(self, tensor: keras.KerasTensor) -> Extremes | None:
        for call in self.graph.calls:
            if any(given is tensor for given in call.input_tensors):
                quantizer = _quantizer(call.operation, "input")
                if quantizer is not None and quantizer.extremes is not None:
                    return quantizer.extremes
        return None

    def _build(
        self, inputs: list[_Stage], batch_size: int | None, watched: dict[int, Any] | None = None
    ) -> tuple[keras.Model, list[Point]]:
        """Returns the plain model; with `watched`, unrounded and noting each stage's tensor."""
        points: list[Point] = []
        since: list[str] = []

        def rounded(stage: _Stage, tensor: Any) -> Any:
            if watched is not None:
                watched[id(stage)] = tensor
                return tensor
            if not stage.rounded or stage.extremes is None:
                return tensor
            name = f"range_{len(points)}"
            points.append(Point(stage.name, name, (*since, name), stage.extremes))
            since.clear()
            return FixedRange(*stage.extremes, name=name)(tensor)

        def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            outputs: Any = args[0] if args else None
            for index, stage in enumerate(self.stages[id(call)]):
                outputs = stage.layer(*args, **kwargs) if index == 0 else stage.layer(outputs)
                since.append(stage.layer.name)
                outputs = rounded(stage, outputs)
            return outputs

        model_inputs = keras.tree.map_structure(
            lambda given: keras.Input(
                batch_shape=(batch_size, *given.shape[1:]), dtype=given.dtype, name=given.name
            ),
            self.graph.inputs,
        )
        given = keras.tree.flatten(model_inputs)
        for index, stage in enumerate(inputs):
            given[index] = rounded(stage, given[index])
        outputs = self.graph.rebuild(emit, keras.tree.pack_sequence_as(model_inputs, given))
        return keras.Model(model_inputs, outputs, name=self.name), points

    def _stages(self, call: Call) -> list[_Stage]:
        """Returns the layers that replace a call; none where it was folded into another."""
        if id(call) in self._skipped:
            return self._closing(call, [])
        path = self.graph.path(call.operation)
        stages = [_Stage(layer, path) for layer in self._plain_layers(call)]
        for stage in stages[:-1]:
            stage.rounded = self.integer
        if placement.splits_activation(call.operation):
            stages[-1].rounded = self.integer
            stages[-1].extremes = _extremes(call.operation, "before_activation")
            name = placement.activation_name(call.operation)
            stages.append(_Stage(_layers.Activation(name), path))
        return self._closing(call, stages)

    def _closing(self, call: Call, stages: list[_Stage]) -> list[_Stage]:
        """Rounds behind the last stage where the device does."""
        if id(call) not in self._ends or not self.integer:
            return stages
        if not stages:
            stages = [_Stage(_layers.Identity(), self.graph.path(call.operation))]
        stages[-1].rounded = True
        fixed = placement.FIXED_RANGES.get(placement.activation_name(call.operation))
        stages[-1].extremes = fixed or _extremes(call.operation, "output")
        return stages

    def _plain_layers(self, call: Call) -> list[Any]:
        """Returns the plain layers of a call, kernels baked; shared by calls that can share them."""
        folded = self.folded.get(id(call))
        key = (id(call.operation), id(folded.operation) if folded is not None else 0)
        if key not in self._baked:
            self._baked[key] = self._bake(call, folded)
            for layer in self._baked[key]:
                if isinstance(layer, _layers.Layer):
                    # Nested models may repeat names; one flat model must not.
                    layer.name = f"layer_{next(self._numbers)}"
        return self._baked[key]

    def _bake(self, call: Call, folded: Call | None) -> list[Any]:
        layer = placement.plain(call.operation)
        if not isinstance(layer, _layers.Layer):
            return [call.operation]
        if self.integer and _is_image_normalization(layer, call):
            return [_as_depthwise(layer, call)]
        baked = _baked(call)
        kernels = _encoded_kernels(call.operation)
        if folded is not None:
            baked, kernels = _folded(baked, kernels, placement.plain(folded.operation), call)
        if not self.integer:
            return [baked]
        kernels |= _rounded_kernels(baked, without=kernels)
        parts = _split(baked, call)
        for part, names in parts:
            for name, (layout, encoded) in kernels.items():
                if name in names:
                    path = self.graph.path(call.operation)
                    self.weights.append(FrozenWeight(path, part, layout, encoded))
        return [part for part, _ in parts]


Kernels = dict[str, tuple[Layout, EncodedTensor]]


def _baked(call: Call) -> keras.layers.Layer:
    """Returns a plain layer with the weights that the layer of a call computes with."""
    operation = call.operation
    baked = plain_copy(operation)
    if placement.splits_activation(operation):
        baked.activation = keras.activations.linear
    baked(*call.args, **call.kwargs)
    if isinstance(operation, Compressed):
        set_transformed(baked, operation)
    else:
        baked.set_weights(operation.get_weights())
    return baked


def _encoded_kernels(operation: Any) -> Kernels:
    """Returns the encoded kernels of a layer by name; only layers of one kernel owner have them."""
    if not isinstance(operation, Compressed) or not isinstance(operation.layer, placement.LINEAR):
        return {}
    return {
        variable.name: (layout, encoded)
        for variable, layout, encoded in operation.freeze_weights()
        if slot_of(variable.name) == "kernel"
    }


def _rounded_kernels(layer: keras.layers.Layer, without: Kernels) -> Kernels:
    """Puts the float kernels of a layer that computes in integers onto 8-bit grids."""
    if not isinstance(layer, placement.LINEAR):
        return {}
    grid = Integer(_BITS, axis=-1)
    kernels: Kernels = {}
    for variable in layer.weights:
        if slot_of(variable.name) == "kernel" and variable.name not in without:
            layout = layout_of(layer, variable.name, variable.shape)
            value = layout.to_canonical(np.asarray(variable.value))
            params = grid.fit(value)
            encoded = EncodedTensor(grid.encode(value, params), grid, params)
            variable.assign(layout.from_canonical(encoded.decode()))
            kernels[variable.name] = (layout, encoded)
    return kernels


def _folded(
    layer: keras.layers.Layer,
    kernels: Kernels,
    normalization: keras.layers.BatchNormalization,
    call: Call,
) -> tuple[keras.layers.Layer, Kernels]:
    """Returns a layer that includes the normalization, and its kernels: only scales change."""
    target = with_bias(layer)
    target(*call.args, **call.kwargs)
    fold_into(target, layer, normalization)
    gain, _ = normalization_gain_and_shift(normalization)
    last = scaled_kernel(layer)
    return target, {
        name: (layout, encoded.scaled(gain) if name == last else encoded)
        for name, (layout, encoded) in kernels.items()
    }


def _split(
    layer: keras.layers.Layer, call: Call
) -> list[tuple[keras.layers.Layer, tuple[str, ...]]]:
    """Returns the layers that the device computes a layer as, with the names of their kernels.

    A separable convolution is two, and the values between them are rounded too.
    """
    if not isinstance(layer, (_layers.SeparableConv1D, _layers.SeparableConv2D)):
        return [(layer, ("kernel",))]
    one_dimensional = isinstance(layer, _layers.SeparableConv1D)
    first = _layers.DepthwiseConv1D if one_dimensional else _layers.DepthwiseConv2D
    second = _layers.Conv1D if one_dimensional else _layers.Conv2D
    depthwise = first(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
    )
    pointwise = second(
        layer.filters,
        1,
        data_format=layer.data_format,
        activation=layer.activation,
        use_bias=layer.use_bias,
    )
    pointwise(depthwise(*call.args, **call.kwargs))
    depthwise.set_weights([np.asarray(layer.depthwise_kernel)])
    bias = [np.asarray(layer.bias)] if layer.use_bias else []
    pointwise.set_weights([np.asarray(layer.pointwise_kernel), *bias])
    return [(depthwise, ("depthwise_kernel",)), (pointwise, ("pointwise_kernel",))]


def _is_image_normalization(layer: Any, call: Call) -> bool:
    if not isinstance(layer, _layers.BatchNormalization):
        return False
    rank = len(call.output_tensors[0].shape)
    return rank == 4 and layer.axis in (-1, 3)


def _as_depthwise(
    normalization: keras.layers.BatchNormalization, call: Call
) -> keras.layers.DepthwiseConv2D:
    """Returns a batch normalization of images as the 1x1 convolution that it is."""
    gain, shift = normalization_gain_and_shift(normalization)
    depthwise = _layers.DepthwiseConv2D(1)
    depthwise(*call.args)
    depthwise.set_weights([gain.reshape(1, 1, -1, 1), shift])
    return depthwise


def _quantizer(operation: Any, slot: str) -> Any:
    return operation.quantizer(slot) if isinstance(operation, Compressed) else None


def _extremes(operation: Any, slot: str) -> Extremes | None:
    quantizer = _quantizer(operation, slot)
    return quantizer.extremes if quantizer is not None else None


def _extremes_of(values: np.ndarray) -> Extremes:
    return min(0.0, float(np.min(values))), max(1e-6, float(np.max(values)))


def _batches(samples: Sequence[np.ndarray], size: int = 64) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(samples[0]), size):
        yield [values[start : start + size] for values in samples]
