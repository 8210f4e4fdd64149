"""Widen: the steps of an unrolled recurrent layer compute in 16 bits.

A state that is fed back forgets whatever is smaller than one step of its grid: in 8 bits a GRU of
49 steps lost 20 points of accuracy. TFLite's operators take 16-bit activations beside 8-bit
weights. The converter cannot mix both in one file, so its 8-bit operators are widened here.
"""

import math

import numpy as np

from edgeax.export.frozen import Frozen, layers_in
from edgeax.formats.flatbuffer import Model, Operator, Subgraph, Tensor

# Operators with a bias at this input, which is of 64 bits beside 16-bit activations.
BIAS = 2
WITH_BIAS = ("FULLY_CONNECTED", "DEPTHWISE_CONV_2D", "CONV_2D")

# Versions that say "16 bits", and what the options need for scales that are no powers of two.
VERSIONS = {
    "FULLY_CONNECTED": 7,
    "DEPTHWISE_CONV_2D": 5,
    "CONV_2D": 4,
    "TRANSPOSE_CONV": 4,
    "ADD": 4,
    "SUB": 5,
    "MUL": 2,
    "LOGISTIC": 3,
    "TANH": 3,
    "UNPACK": 2,
    "PACK": 2,
    "RESHAPE": 1,
}
_GENERAL_SCALES = ("ADD", "SUB")
_UNIT_RANGE = ("LOGISTIC", "TANH")
_MOVING = ("UNPACK", "PACK", "RESHAPE")

_TOP = 2.0**15
_HEADROOM = 2.0  # the samples need not hold the largest value; 16 bits can spare one


def widen(model: Model, frozen: Frozen) -> None:
    """Widens the operators of all unrolled layers, in place; the file's other values stay int8.

    Args:
        model: After its kernels were lowered.
        frozen: What it was made of; `steps` names the layers.
    """
    graph = model.subgraphs[0]
    region = [operator for operator in graph.operators if _is_step(graph, operator, frozen)]
    if region:
        _Widening(graph, region).run()
        _shorten_names(graph, region, frozen)
        graph.drop_unread("QUANTIZE")  # to 8 bits, of what is needed in 16 only
        model.prune()


def _is_step(graph: Subgraph, operator: Operator, frozen: Frozen) -> bool:
    output = graph.tensors[operator.outputs[0]]
    known = operator.name in VERSIONS and output.dtype == "int8"
    return known and bool(layers_in(output.name) & frozen.steps)


def _shorten_names(graph: Subgraph, region: list[Operator], frozen: Frozen) -> None:
    """Names the tensors of the steps after their layer: there are hundreds, with long names."""
    for operator in region:
        for index in operator.outputs:
            tensor = graph.tensors[index]
            if index not in graph.outputs:
                layer = min(layers_in(tensor.name) & frozen.steps, default="")
                tensor.name = frozen.paths.get(layer, tensor.name)


class _Widening:
    """Widens the operators of a region; values that cross its border are converted once each."""

    def __init__(self, graph: Subgraph, region: list[Operator]) -> None:
        self.graph = graph
        self.region = region
        self.results = {index for operator in region for index in operator.outputs}
        self._wide: dict[int, int] = {}

    def run(self) -> None:
        self._convert_results()
        for operator in self.region:
            scale = self._prescribed_scale(operator)
            for index in operator.outputs:
                tensor = self.graph.tensors[index]
                scale_of_tensor = _wide_scale(tensor) if scale is None else scale
                tensor.dtype = "int16"
                tensor.scale = scale_of_tensor
                tensor.zero_point = [0]
        for operator in self.region:
            operator.inputs = [
                self._input(operator, place, index) for place, index in enumerate(operator.inputs)
            ]
            general = {"potScaleInt16": False} if operator.name in _GENERAL_SCALES else {}
            operator.retarget(VERSIONS[operator.name], general)

    def _prescribed_scale(self, operator: Operator) -> float | None:
        """Returns the scale that an operator's results must have, None where any will do."""
        if operator.name in _UNIT_RANGE:
            return 1.0 / _TOP
        if operator.name not in _MOVING:
            return None
        given = self.graph.tensors[operator.inputs[0]]
        if given.dtype == "int16" and given.scale is not None:
            return float(given.scale[0])
        return _wide_scale(given)

    def _convert_results(self) -> None:
        """Puts a conversion to int8 behind each result that the rest of the file reads."""
        graph = self.graph
        for index in sorted(self.results):
            readers = [op for op in graph.operators if index in op.inputs and op not in self.region]
            if not readers and index not in graph.outputs:
                continue
            result = graph.tensors[index]
            narrow = graph.add_state(
                f"{result.name}/int8", "int8", result.shape, result.scale, result.zero_point, False
            )
            graph.redirect(index, narrow)
            for operator in self.region:  # these go on with the wide one
                operator.inputs = [index if i == narrow else i for i in operator.inputs]
            place = 1 + max(i for i, op in enumerate(graph.operators) if index in op.outputs)
            graph.insert(place, "QUANTIZE", [index], [narrow], version=3)

    def _input(self, operator: Operator, place: int, index: int) -> int:
        if index < 0 or index in self.results:
            return index
        tensor = self.graph.tensors[index]
        if place == BIAS and operator.name in WITH_BIAS:
            return self._bias(operator, tensor)
        if tensor.is_constant or tensor.dtype != "int8":
            return index
        if index not in self._wide:
            self._wide[index] = self._widened(index)
        return self._wide[index]

    def _widened(self, index: int) -> int:
        """Returns a 16-bit copy of an 8-bit tensor, made by way of float: not every release of the
        runtimes converts one into the other.
        """
        graph, tensor = self.graph, self.graph.tensors[index]
        wide = graph.add_state(
            f"{tensor.name}/int16", "int16", tensor.shape, _wide_scale(tensor), is_variable=False
        )
        producer = graph.producer(index)
        maker = graph.operators[producer] if producer is not None else None
        place = 0 if producer is None else producer + 1
        if maker is not None and maker.name == "QUANTIZE":
            source = maker.inputs[0]
        else:
            source = graph.add_state(
                f"{tensor.name}/float", "float32", tensor.shape, None, None, False
            )
            graph.insert(place, "DEQUANTIZE", [index], [source], version=2)
            place += 1
        graph.insert(place, "QUANTIZE", [source], [wide], version=3)
        return wide

    def _bias(self, operator: Operator, bias: Tensor) -> int:
        source = operator.inputs[0]
        given = self.graph.tensors[self._wide.get(source, source)]
        kernel = self.graph.tensors[operator.inputs[1]]
        if given.scale is None or kernel.scale is None or bias.scale is None or bias.data is None:
            raise ValueError(
                f"`model` must have scales at {bias.name!r}. Received: none. Report this model: "
                "the converter made an operator that edgeax does not know."
            )
        step = np.float64(given.scale[0]) * kernel.scale.astype(np.float64)
        values = np.rint(bias.data * bias.scale.astype(np.float64) / step).astype(np.int64)
        return self.graph.add_tensor(f"{bias.name}/int64", values, step)


def _wide_scale(tensor: Tensor) -> float:
    """Returns a power of two: the scale of 16-bit codes that hold twice the range of 8-bit ones."""
    if tensor.scale is None or tensor.zero_point is None:
        raise ValueError(
            f"`model` must have a scale at {tensor.name!r}. Received: none. Report this model: the "
            "converter made an operator that edgeax does not know."
        )
    farthest = max(127 - int(tensor.zero_point[0]), 128 + int(tensor.zero_point[0]))
    largest = float(tensor.scale[0]) * farthest * _HEADROOM
    return 2.0 ** math.ceil(math.log2(largest)) / _TOP
