"""What a layer with a kernel computes, in the numbers that its speed depends on."""

import dataclasses
import math

CONV = "CONV_2D"
DEPTHWISE = "DEPTHWISE_CONV_2D"
FULLY_CONNECTED = "FULLY_CONNECTED"

_NAMES = {CONV: "conv", DEPTHWISE: "depthwise", FULLY_CONNECTED: "FC"}

LAYERS = tuple(_NAMES)
"""The built-in operators whose layers a shape describes."""


@dataclasses.dataclass(frozen=True)
class LayerShape:
    """A layer of batch 1, without groups and dilation.

    Attributes:
        layer: Its built-in operator, one of `LAYERS`.
        size: Rows and columns of the output image; rows and 1 of a dense layer's output.
        kernel: Rows and columns of the kernel's window; (1, 1) of a dense layer.
        stride: Rows and columns between two windows.
        inputs: Input channels.
        outputs: Output channels.
    """

    layer: str
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    inputs: int
    outputs: int

    @property
    def depth(self) -> int:
        """Weights of one output channel."""
        taps = math.prod(self.kernel)
        return taps if self.layer == DEPTHWISE else taps * self.inputs

    @property
    def input(self) -> tuple[int, ...]:
        """Shape of an input from which padding SAME gives that output."""
        if self.layer == FULLY_CONNECTED:
            return (self.positions, self.inputs)
        rows, columns = (n * step for n, step in zip(self.size, self.stride, strict=True))
        return (1, rows, columns, self.inputs)

    @property
    def output(self) -> tuple[int, ...]:
        """Shape of the output."""
        if self.layer == FULLY_CONNECTED:
            return (self.positions, self.outputs)
        return (1, *self.size, self.outputs)

    @property
    def positions(self) -> int:
        """Outputs of one channel."""
        return math.prod(self.size)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one invoke, those with the padding among them."""
        return self.positions * self.depth * self.outputs

    @property
    def name(self) -> str:
        """As in a report: `"conv3x3 56,64,128"` gives images of 56 x 56 and reads 64 channels;
        `"FC 300x100"`.
        """
        if self.layer == FULLY_CONNECTED:
            rows = "" if self.positions == 1 else f"{self.positions} rows, "
            return f"FC {rows}{self.inputs}x{self.outputs}"
        size = _pair(self.size) if self.size[0] != self.size[1] else str(self.size[0])
        stride = "" if self.stride == (1, 1) else f"/{_pair(self.stride)}"
        window = f"{_NAMES[self.layer]}{_pair(self.kernel)}{stride}"
        return f"{window} {size},{self.inputs},{self.outputs}"

    def distance(self, other: "LayerShape") -> float:
        """Returns how unlike two layers are.

        It is the diagonal of a box whose sides are the doublings of the weights of an output
        channel, of the output channels, and half those of the positions, which change speeds less;
        another stride counts as one doubling. Infinite between layers of different operators, and
        where only one of two windows is a single position.

        Example: `conv(8, 16, 16, 3).distance(conv(16, 16, 16, 3))` is 1.0.
        """
        if self.layer != other.layer or self._is_pointwise != other._is_pointwise:
            return math.inf
        return math.hypot(
            math.log2(self.depth / other.depth),
            math.log2(self.outputs / other.outputs),
            math.log2(self.positions / other.positions) / 2.0,
            float(self.stride != other.stride),
        )

    @property
    def _is_pointwise(self) -> bool:
        return self.kernel == (1, 1)


def conv(size: int, inputs: int, outputs: int, kernel: int, stride: int = 1) -> LayerShape:
    """Returns a convolution that gives a square image of so many rows."""
    window = (kernel, kernel), (stride, stride)
    return LayerShape(CONV, (size, size), *window, inputs, outputs)


def depthwise(size: int, channels: int, kernel: int, stride: int = 1) -> LayerShape:
    """Returns a depthwise convolution that gives a square image of so many rows."""
    window = (kernel, kernel), (stride, stride)
    return LayerShape(DEPTHWISE, (size, size), *window, channels, channels)


def fully_connected(inputs: int, outputs: int) -> LayerShape:
    """Returns a dense layer of one row."""
    return LayerShape(FULLY_CONNECTED, (1, 1), (1, 1), (1, 1), inputs, outputs)


def _pair(numbers: tuple[int, int]) -> str:
    return f"{numbers[0]}x{numbers[1]}"
