"""Constants: the arrays that lowering adds to a graph, and what they take in its file."""

from collections.abc import Iterable

import numpy as np

from edgeax.formats.flatbuffer import Subgraph, Tensor

# What a tensor costs in the file beyond its data: its table, name, shape and alignment, on average.
# Only used to decide which form of a kernel is the smallest.
_TENSOR_OVERHEAD_BYTES = 64


class Constants:
    """Adds constants to a graph, equal ones once: a layer may be called several times."""

    def __init__(self, graph: Subgraph) -> None:
        self._graph = graph
        self._places: dict[tuple[object, ...], int] = {}

    def add(
        self,
        name: str,
        data: np.ndarray,
        scale: np.ndarray | None = None,
        axis: int = 0,
        zero_point: int = 0,
    ) -> int:
        """Returns the index of a constant tensor."""
        scales = b"" if scale is None else np.float32(scale).tobytes()
        key = (name, data.dtype, data.shape, data.tobytes(), scales, zero_point)
        if key not in self._places:
            self._places[key] = self._graph.add_tensor(name, data, scale=scale)
            if scale is not None:
                self._graph.tensors[self._places[key]].quantized_axis = axis
            if zero_point:
                self._graph.tensors[self._places[key]].zero_point = [zero_point]
        return self._places[key]


def bytes_in_file(tensor_bytes: Iterable[int]) -> int:
    """Returns what constant tensors of so many bytes each take in a file, about."""
    sizes = [*tensor_bytes]
    return sum(sizes) + len(sizes) * _TENSOR_OVERHEAD_BYTES


def zero_point_of(tensor: Tensor) -> int:
    """Returns the zero point of a tensor with one scale, 0 where it has none."""
    return 0 if tensor.zero_point is None else int(tensor.zero_point[0])
