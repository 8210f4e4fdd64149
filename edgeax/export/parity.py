"""Parity: whether the file computes what the Keras model computes, layer by layer."""

import dataclasses
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.export.freeze import Frozen, Point
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.interpreter import Interpreter

_MOST_SAMPLES = 32


@dataclasses.dataclass(frozen=True)
class LayerParity:
    """How far the file is from Keras behind one layer, in steps of the file's integer grid.

    Attributes:
        path: Path of the layer.
        mean_steps: Mean difference.
        most_steps: Largest difference.
    """

    path: str
    mean_steps: float
    most_steps: float


@dataclasses.dataclass(frozen=True)
class Parity:
    """Differences between the file in the interpreter and the model in Keras.

    Attributes:
        layers: One entry per layer whose result stands in the file, in the order in which they run.
        argmax_agreement: Fraction of samples with the same largest output, for models whose one
            output is a vector; None for others.
        most_output_difference: Largest difference of an output, in real values.
        samples: How many samples were compared.
    """

    layers: tuple[LayerParity, ...]
    argmax_agreement: float | None
    most_output_difference: float
    samples: int

    @property
    def worst(self) -> LayerParity | None:
        """The layer with the largest mean difference."""
        return max(self.layers, key=lambda layer: layer.mean_steps, default=None)


def compare(
    model: keras.Model, frozen: Frozen, content: bytes, samples: Sequence[np.ndarray]
) -> Parity:
    """Returns how far a file is from the models it was made of.

    Outputs are compared with `model` as it was trained, layers with the frozen model, which rounds
    where the file does.

    Args:
        model: The trained model.
        frozen: The same model frozen.
        content: The file.
        samples: One array per input.
    """
    few = [values[:_MOST_SAMPLES] for values in samples]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keeping all tensors is for checks, and this is one.
        interpreter = Interpreter(model_content=content, preserve_all_tensors=True)
    tensors = _tensors_of_points(frozen.points, Model.from_bytes(content))
    watched = [point for point in frozen.points if point.rounding in tensors]
    wanted_of = _probe(frozen, watched)
    steps: list[list[np.ndarray]] = [[] for _ in watched]
    outputs = []
    for row in range(len(few[0])):
        one = [values[row : row + 1] for values in few]
        outputs.append(_as_list(interpreter.run(*one)))
        for point, wanted, seen in zip(watched, wanted_of(one), steps, strict=True):
            tensor = interpreter.get_tensor(tensors[point.rounding])
            seen.append(_steps(tensor, np.asarray(wanted), _details(interpreter, tensors, point)))
    expected = _as_list(model.predict(_as_argument(few), verbose=0))
    layers = tuple(
        LayerParity(point.path, float(np.mean(seen)), float(np.max(seen)))
        for point, seen in zip(watched, steps, strict=True)
    )
    return _parity(layers, outputs, expected)


def _probe(frozen: Frozen, points: Sequence[Point]) -> Callable[[Any], list[np.ndarray]]:
    """Returns a function from inputs to what the frozen model has behind each point."""
    if not points:
        return lambda inputs: []
    outputs = [frozen.model.get_layer(point.rounding).output for point in points]
    model = keras.Model(frozen.model.inputs, outputs)
    return lambda inputs: _as_list(model(inputs))


def _parity(
    layers: tuple[LayerParity, ...], outputs: list[list[np.ndarray]], expected: list[np.ndarray]
) -> Parity:
    results = [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
    difference = max(
        float(np.max(np.abs(result.reshape(wanted.shape) - wanted)))
        for result, wanted in zip(results, expected, strict=True)
    )
    agreement = None
    if len(results) == 1 and expected[0].ndim == 2 and expected[0].shape[1] > 1:
        agreement = float(np.mean(results[0].argmax(-1) == expected[0].argmax(-1)))
    return Parity(layers, agreement, difference, len(outputs))


def _tensors_of_points(points: Sequence[Point], file: Model) -> dict[str, int]:
    """Returns the index of the file's tensor that holds what each point rounds.

    A tensor is named after the layers fused into it and has the point's scale. Points come in the
    order of the file's operators.
    """
    graph = file.subgraphs[0]
    found: dict[str, int] = {}
    results = [index for operator in graph.operators for index in operator.outputs]
    for point in points:
        low, high = point.extremes
        for index in results:
            tensor = graph.tensors[index]
            if index in found.values() or tensor.dtype != "int8" or tensor.scale is None:
                continue
            same_scale = np.isclose(tensor.scale[0], (high - low) / 255.0, rtol=1e-4)
            if same_scale and _names(tensor.name) & set(point.layers):
                found[point.rounding] = index
                break
    return found


def _names(tensor: str) -> set[str]:
    """Returns the layers' names that a tensor's name is made of, without the converter's counters."""
    tokens = set(re.split(r"[/;:]", tensor))
    return tokens | {re.sub(r"_\d+$", "", token) for token in tokens}


def _details(interpreter: Interpreter, tensors: dict[str, int], point: Point) -> Any:
    index = tensors[point.rounding]
    return next(d for d in interpreter.get_tensor_details() if d["index"] == index)


def _steps(codes: np.ndarray, wanted: np.ndarray, details: Any) -> np.ndarray:
    scale, zero_point = details["quantization"]
    wanted_codes = np.rint(wanted.reshape(codes.shape) / scale) + zero_point
    return np.abs(codes.astype(np.float64) - wanted_codes)


def _as_list(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in keras.tree.flatten(outputs)]


def _as_argument(arrays: list[np.ndarray]) -> Any:
    return arrays[0] if len(arrays) == 1 else arrays
