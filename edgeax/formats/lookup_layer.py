"""LookupLayer: a layer of which both weights and inputs take few values, as tables."""

import dataclasses
from collections.abc import Callable

import numpy as np

from edgeax.formats.lookup import lookup_dense
from edgeax.formats.points import Points, middles
from edgeax.formats.same_padding import same_padding

_MAGNITUDES = 1 << 31  # float32 has so many codes beside its sign bit
_SEARCH_STEPS = 32


def boundaries(function: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
    """Returns an activation function followed by a codebook, as a table that a sum is searched in.

    `points[searchsorted(boundaries, sum, side="right")]` is the point nearest to `function(sum)`,
    for every float32 sum: no function is computed any more. Where each boundary lies is found by
    bisection of the float32 numbers. That [RIKR17] looks its activation functions up is in its row;
    that it is done like this is our choice.

    Args:
        function: Gets and returns float32 arrays of one axis. It works on each value by itself and
            never falls: linear, ReLU, sigmoid, tanh and such.
        points: float32 `(q,)`, sorted: the values of the outputs.
    Returns:
        float32 `(q - 1,)`, sorted, infinite where no sum reaches a point.
    Raises:
        ValueError: The function falls somewhere, or its values depend on each other.
    """
    reason = why_no_table(function)
    if reason:
        raise ValueError(
            "`function` must work on each value by itself and never fall to be looked up. "
            f"Received: one of which {reason}. Use relu, sigmoid or tanh, or do not cluster its "
            "outputs."
        )
    middle = middles(np.asarray(points, np.float32))
    low = np.full(middle.shape, -_MAGNITUDES, np.int64)  # below all finite numbers
    high = np.full(middle.shape, _MAGNITUDES, np.int64)  # above them
    for _ in range(_SEARCH_STEPS):
        trial = (low + high) // 2
        beyond = np.asarray(function(_floats(trial)), np.float32) > middle
        low, high = np.where(beyond, low, trial), np.where(beyond, trial, high)
    return _floats(high)


def _floats(places: np.ndarray) -> np.ndarray:
    """Returns float32 numbers by their place in their order, 0 at place 0; infinite at the ends."""
    largest = int(np.float32(np.inf).view(np.int32))
    magnitudes = np.minimum(np.abs(places), largest).astype(np.int32).view(np.float32)
    return np.where(places < 0, -magnitudes, magnitudes)


def why_no_table(function: Callable[[np.ndarray], np.ndarray]) -> str:
    """Returns why an activation function cannot be looked up by `boundaries`, `""` if it can.

    Args:
        function: Gets and returns float32 arrays of one axis.
    """
    sums = np.linspace(-20.0, 20.0, 4001, dtype=np.float32)
    values = np.asarray(function(sums), np.float32)
    slack = 1e-6 * np.max(np.abs(values))
    if not np.allclose(values[::2], function(sums[::2]), atol=slack, equal_nan=True):
        return "the values depend on each other"
    falls = np.flatnonzero(np.diff(values) < -slack)
    return f"the values fall at {sums[falls[0]]:g}" if falls.size else ""


@dataclasses.dataclass(frozen=True)
class Window:
    """The window that a convolution moves over its inputs, one entry for each axis of places.

    Attributes:
        size: Its extent.
        strides: By how much it moves.
        dilation: Distance of neighboring places in it.
        same: Whether the inputs are padded with zeros so that there are `ceil(n / stride)` outputs.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    same: bool

    def columns(self, codes: np.ndarray, zero: int) -> np.ndarray:
        """Returns what the window sees at each of its places.

        Args:
            codes: Integers `(samples, places..., channels)`.
            zero: Code of what is padded.
        Returns:
            `(samples, places..., inputs)`, the inputs in the order of the kernel.
        """
        axes = range(1, 1 + len(self.size))
        spans = [d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True)]
        if self.same:
            pads = list(map(same_padding, codes.shape[1:-1], spans, self.strides))
            codes = np.pad(codes, [(0, 0), *pads, (0, 0)], constant_values=zero)
        seen = np.lib.stride_tricks.sliding_window_view(codes, spans, axis=tuple(axes))
        moves = tuple(slice(None, None, stride) for stride in self.strides)
        holes = tuple(slice(None, None, step) for step in self.dilation)
        seen = seen[(slice(None), *moves, slice(None), *holes)]
        seen = np.moveaxis(seen, 1 + len(self.size), -1)
        return seen.reshape(*seen.shape[: 1 + len(self.size)], -1)


@dataclasses.dataclass(frozen=True, eq=False)
class LookupLayer:
    """A dense or convolutional layer that looks its products up.

    Attributes:
        points: float32 `(q_x,)`, sorted: the values of its inputs.
        table: float32 `(1 or outputs, q_w, q_x)`: see `product_table`.
        codes: uint8 or uint16 `(inputs, outputs)`: which value each weight is.
        bias: float32 `(outputs,)`.
        window: That of a convolution; None of a dense layer.
        output_points: The values of its outputs behind the activation; None where these are not
            clustered and the sums are all there is to look up.
        boundaries: See the function of that name; None where `output_points` is.
    """

    points: np.ndarray
    table: np.ndarray
    codes: np.ndarray
    bias: np.ndarray
    window: Window | None = None
    output_points: np.ndarray | None = None
    boundaries: np.ndarray | None = None

    def codes_of(self, x: np.ndarray) -> np.ndarray:
        """Returns which point each input is nearest to, uint8 in the shape of `x`."""
        return Points(len(self.points)).encode(x, {"points": self.points})

    def sums(self, x_codes: np.ndarray) -> np.ndarray:
        """Returns what the layer's activation gets.

        Args:
            x_codes: Integers `(samples, ..., channels)`.
        Returns:
            float32 `(samples, ..., outputs)`.
        """
        columns = np.asarray(x_codes)
        if self.window is not None:
            columns = self.window.columns(columns, int(self.codes_of(np.zeros(1))[0]))
        rows = columns.reshape(-1, columns.shape[-1])
        found = lookup_dense(rows, self.codes, self.table) + self.bias
        return found.reshape(*columns.shape[:-1], -1)

    def outputs(self, sums: np.ndarray) -> np.ndarray:
        """Returns which of the output points the activation of each sum is nearest to.

        Raises:
            ValueError: The outputs are not clustered.
        """
        if self.boundaries is None:
            raise ValueError(
                "`outputs` must be clustered for the activation to be looked up. Received: a "
                "layer without output points. Give it output=edgeax.ClusterActivations(...)."
            )
        return np.searchsorted(self.boundaries, sums, side="right")

    @property
    def size_bits(self) -> int:
        """Bits of the codes, the tables and the bias."""
        index_bits = (self.table.shape[1] - 1).bit_length()
        tables = (self.points, self.table, self.bias, self.output_points, self.boundaries)
        floats = sum(table.size for table in tables if table is not None)
        return self.codes.size * index_bits + 32 * floats
