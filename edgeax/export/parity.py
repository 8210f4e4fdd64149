"""Parity: whether the file computes what the Keras model computes, layer by layer."""

import dataclasses
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.export.frozen import Frozen, Point, layers_in
from edgeax.export.rounding import WIDE_BITS
from edgeax.export.stateful import predict_rows, stateful_layers
from edgeax.formats import arrays
from edgeax.formats.flatbuffer import Model, Subgraph, Tensor
from edgeax.formats.rounding import averaged_codes
from edgeax.model.graph import Call, inputs_of, trace
from edgeax.runtime.interpreter import Interpreter

_MOST_SAMPLES = 32


@dataclasses.dataclass(frozen=True)
class LayerParity:
    """How far one layer of the file is from Keras, in steps of the file's integer grid.

    The layer gets in Keras what it gets in the file, so that what earlier layers do does not count.

    Attributes:
        path: Path of the layer.
        mean_steps: Mean difference.
        most_steps: Largest difference.
        snr_db: Decibels of the layer's values, as Keras rounds them, over the differences; None
            where there are none.
    """

    path: str
    mean_steps: float
    most_steps: float
    snr_db: float | None = None


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
    return Parity(
        _compare_layers(frozen, content, few),
        *_compare_outputs(_outputs_of_file(content, few), _outputs_of(model, few)),
        samples=len(few[0]),
    )


def compare_outputs(
    model: keras.Model, content: bytes, samples: Sequence[np.ndarray], batch: int
) -> Parity:
    """Returns how far the outputs of a file are from those of the model it was made of.

    Args:
        model: The trained model, not stateful.
        content: The file.
        samples: One array per input.
        batch: The batch of the file.
    """
    count = min(_MOST_SAMPLES, len(samples[0]))
    few = [
        np.resize(values[:count], (-(-count // batch) * batch, *values.shape[1:]))
        for values in samples
    ]
    interpreter = Interpreter(model_content=content)
    rows = [
        _as_list(interpreter.run(*(values[at : at + batch] for values in few)))
        for at in range(0, len(few[0]), batch)
    ]
    outputs = [np.concatenate(parts)[:count] for parts in zip(*rows, strict=True)]
    expected = _outputs_of(model, [values[:count] for values in samples])
    return Parity((), *_compare_outputs(outputs, expected), samples=count)


def _outputs_of_file(content: bytes, samples: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the outputs of a file, every row from a cleared state."""
    interpreter = Interpreter(model_content=content)
    rows = []
    for row in _rows(samples):
        interpreter.reset_state()
        rows.append(_as_list(interpreter.run(*row)))
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]


def _outputs_of(model: keras.Model, samples: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the outputs of a Keras model, every row from a cleared state."""

    def packed(arrays: Sequence[np.ndarray]) -> Any:
        return keras.tree.pack_sequence_as(inputs_of(model), list(arrays))

    if stateful_layers(model):
        count = len(keras.tree.flatten(model.output))
        return predict_rows(model, [packed(row) for row in _rows(samples)], count)
    # Not predict(), which traces the whole model: that takes longer than a few samples do.
    return _as_list(model(packed(samples), training=False))


def _rows(samples: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    for row in range(len(samples[0])):
        yield [values[row : row + 1] for values in samples]


def _compare_outputs(
    outputs: list[np.ndarray], expected: list[np.ndarray]
) -> tuple[float | None, float]:
    """Returns argmax agreement and the largest difference."""
    difference = max(
        float(np.max(np.abs(output.reshape(wanted.shape).astype(np.float64) - wanted)))
        for output, wanted in zip(outputs, expected, strict=True)
    )
    if len(outputs) > 1 or expected[0].ndim != 2 or expected[0].shape[1] < 2:
        return None, difference
    return float(np.mean(outputs[0].argmax(-1) == expected[0].argmax(-1))), difference


def _compare_layers(
    frozen: Frozen, content: bytes, samples: Sequence[np.ndarray]
) -> tuple[LayerParity, ...]:
    places = _places(frozen, Model.from_bytes(content).subgraphs[0])
    if not places:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keeping all tensors is for checks, and this is one.
        interpreter = Interpreter(model_content=content, preserve_all_tensors=True)
    probe = _probe(frozen, [place.point for place in places])
    tallies = [_Tally() for _ in places]
    for one in _rows(samples):
        interpreter.reset_state()
        interpreter.run(*one)
        codes = [interpreter.get_tensor(place.index) for place in places]
        fed = [place.real(seen) for place, seen in zip(places, codes, strict=True)]
        wanted = probe.predict_on_batch([*one, *fed])
        for place, seen, values, tally in zip(places, codes, wanted, tallies, strict=True):
            expected = place.codes(values).ravel()
            tally.add(seen.ravel() - expected, expected - place.zero_point)
    return tuple(
        tally.parity(place.point.path) for place, tally in zip(places, tallies, strict=True)
    )


@dataclasses.dataclass
class _Tally:
    """Sums over the values of one layer, in steps."""

    count: int = 0
    steps: float = 0.0
    most: float = 0.0
    noise: float = 0.0
    signal: float = 0.0

    def add(self, differences: np.ndarray, values: np.ndarray) -> None:
        away = np.abs(differences)
        self.count += away.size
        self.steps += float(np.sum(away))
        self.most = max(self.most, float(np.max(away, initial=0.0)))
        self.noise += float(np.sum(np.square(away, dtype=np.float64)))
        self.signal += float(np.sum(np.square(values, dtype=np.float64)))

    def parity(self, path: str) -> LayerParity:
        # Noise where all values are 0 is as bad as it gets: count one step of signal at least.
        ratio = max(self.signal, 1.0) / self.noise if self.noise else None
        decibels = None if ratio is None else 10.0 * math.log10(ratio)
        return LayerParity(path, self.steps / max(1, self.count), self.most, decibels)


def _probe(frozen: Frozen, points: Sequence[Point]) -> keras.Model:
    """Returns a model of what the rounding layers of some points give, or of the averages that they
    get, from what those before them gave.

    Its inputs are those of the frozen model, then the results of the rounding layers, which stand
    in for what that would compute. Within the steps of a recurrent layer nothing is rounded: the
    device has 16 bits there.
    """
    fed, wanted = {}, {}
    roundings = [point.rounding for point in points]
    of_averages = {point.rounding for point in points if point.halves is not None}

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = call.operation.name
        if name in frozen.step_roundings:
            return args[0]
        result = call.operation(*args, **kwargs)
        if name not in roundings:
            return result
        wanted[name] = args[0] if name in of_averages else result
        # Keras's own names for inputs may be those of the model, when it comes from a file.
        fed[name] = keras.Input(batch_shape=result.shape, dtype=result.dtype, name=f"fed_{name}")
        return fed[name]

    graph = trace(frozen.model)
    graph.rebuild(emit, graph.inputs)
    inputs = [*keras.tree.flatten(graph.inputs), *(fed[name] for name in roundings)]
    return keras.Model(inputs, [wanted[name] for name in roundings])


@dataclasses.dataclass(frozen=True)
class _Place:
    """A point and the file's tensor that holds its codes."""

    point: Point
    index: int
    scale: np.float32
    zero_point: int

    def real(self, codes: np.ndarray) -> np.ndarray:
        """Returns the float32 values of codes, in the shape that they have in Keras."""
        values = self.scale * (codes.astype(np.float32) - self.zero_point)
        shape = [size for size in self.point.shape if size is not None]
        return values.reshape(shape) if len(shape) == len(self.point.shape) else values

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Returns the nearest codes of values, as floats and not clipped."""
        steps = values / self.scale
        if self.point.halves is None:
            return np.rint(steps) + self.zero_point
        codes = steps + self.zero_point
        return np.asarray(averaged_codes(codes, self.point.halves, arrays))


def _places(frozen: Frozen, graph: Subgraph) -> list[_Place]:
    """Returns where the points' values stand in a file; the converter leaves some of them out, and
    computes equal ones once.

    A tensor has a point's grid and size. Where several do, their names tell, which are made of
    layers' names: one of other layers is theirs, and that of the rounding layer itself leaves no
    doubt. Of the parts of a layer, the last that has the point's shape is its result; the results
    of a layer that is called several times come in the order of the points.
    """
    free = [index for operator in graph.operators for index in operator.outputs]
    found = []
    points = frozen.points
    calls = Counter(point.layers for point in points)
    telling = {*frozen.paths, *(point.rounding for point in points)}
    for point in points:
        among = free if point.input is None else _codes_of_input(graph, point.input)
        like = [place for index in among if (place := _place(point, index, graph.tensors[index]))]
        names = {place.index: layers_in(graph.tensors[place.index].name) for place in like}
        nameless = [p for p in like if point.input is not None or not names[p.index] & telling]
        named = [place for place in like if names[place.index] & {*point.layers}]
        shaped = [p for p in like if graph.tensors[p.index].shape == point.shape]
        # In another shape it is a later operator that only moves the values.
        certain = [place for place in shaped if point.rounding in names[place.index]]
        last = [p for p in shaped if p in named] if calls[point.layers] == 1 else []
        fitting = [*nameless[:1], *named[:1], *last, *certain[:1]]
        if fitting:
            found.append(fitting[-1])
            free = [index for index in free if index != found[-1].index]
    return found


def _codes_of_input(graph: Subgraph, place: int) -> list[int]:
    """Returns the tensors that may hold the codes of an input of the graph."""
    index = graph.inputs[place]
    readers = [graph.operators[reader] for reader in graph.consumers(index)]
    return [index, *(reader.outputs[0] for reader in readers if reader.name == "QUANTIZE")]


def _place(point: Point, index: int, tensor: Tensor) -> _Place | None:
    """Returns the place if the tensor has the point's grid and size."""
    scale, zero_point = tensor.scale, tensor.zero_point
    grid = point.grid
    if tensor.dtype != f"int{grid.bits}" or scale is None or zero_point is None:
        return None
    low, _ = grid.extremes
    same_scale = np.isclose(scale[0], grid.step, rtol=1e-5)
    zero = 0.0 if grid.bits == WIDE_BITS else -128 - low / scale[0]
    same_zero = abs(zero_point[0] - zero) <= 1.0
    if not (same_scale and same_zero and _holds(tensor.shape, point.shape)):
        return None
    return _Place(point, index, scale[0], int(zero_point[0]))


def _holds(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Returns whether a tensor can hold values of the shape `wanted`, perhaps in another shape."""
    if None not in wanted:
        return math.prod(shape) == math.prod(size for size in wanted if size is not None)
    return len(shape) == len(wanted) and all(
        size in (None, given) for size, given in zip(wanted, shape, strict=True)
    )


def _as_list(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in keras.tree.flatten(outputs)]
