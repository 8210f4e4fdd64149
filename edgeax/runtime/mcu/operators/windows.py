"""How the windows of convolutions and pools lie on an axis of an image."""

import dataclasses

from edgeax.formats.same_padding import same_padding
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.program import Window


@dataclasses.dataclass(frozen=True)
class Axis:
    """Height or width.

    Attributes:
        size: Positions of the input.
        output: Positions of the output.
        kernel: Taps of the window.
        stride: Positions between two outputs.
        dilation: Positions between two taps.
        pad: Positions of padding before the first.
    """

    size: int
    output: int
    kernel: int
    stride: int
    dilation: int
    pad: int

    @property
    def reach(self) -> int:
        """Positions from the first tap of a window to its last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def window(self) -> Window:
        """The same for rows of an image."""
        return Window(self.size, self.output, self.kernel, self.stride, self.dilation, self.pad)


def axes_of(node: Node, kernel: tuple[int, int], has_dilation: bool) -> tuple[Axis, Axis]:
    """Returns height and width of an operator with windows; fails where they do not suit.

    Args:
        node: An operator whose input and output are images.
        kernel: Taps of its windows, height and width.
        has_dilation: Whether its options have dilations.
    """
    x, output, options = node.input(0).shape, node.output().shape, node.options
    node.require(len(x) == len(output) == 4, "its input and output must have 4 axes", (x, output))
    padding = options["padding"]
    node.require(padding in ("SAME", "VALID"), "its padding must be SAME or VALID", padding)
    strides = options["stride_h"], options["stride_w"]
    dilations = (1, 1)
    if has_dilation:
        dilations = options["dilation_h_factor"], options["dilation_w_factor"]
    node.require(
        min(*kernel, *strides, *dilations) > 0,
        "its window, strides and dilations must be above 0",
        f"{kernel}, {strides} and {dilations}",
    )
    height, width = (
        axis(size, taps, stride, dilation, padding, border)
        for size, taps, stride, dilation, border in zip(
            x[1:3], kernel, strides, dilations, node.borders, strict=True
        )
    )
    require_output(node, height, width)
    return height, width


def require_output(node: Node, height: Axis, width: Axis) -> None:
    """Fails unless the output has an image of each of the input, of as many rows and columns."""
    output = node.output().shape
    expected = (node.input(0).shape[0], height.output, width.output)
    node.require(
        output[:3] == expected and min(expected) > 0,
        f"its output must have the shape {expected} and its channels",
        output,
    )


def axis(
    size: int,
    taps: int,
    stride: int,
    dilation: int,
    padding: str,
    border: tuple[int, int] = (0, 0),
) -> Axis:
    """Returns how windows lie on an axis.

    Args:
        size: Positions of the input.
        taps: Of a window.
        stride: Positions between two windows.
        dilation: Positions between two taps.
        padding: "SAME" or "VALID".
        border: Zeros before and behind the input where `padding` is "VALID".
    """
    if padding == "SAME":
        pad, _ = same_padding(size, taps, stride, dilation)
        return Axis(size, -(-size // stride), taps, stride, dilation, pad)
    output = (size + sum(border) - (taps - 1) * dilation - 1) // stride + 1
    return Axis(size, output, taps, stride, dilation, border[0])
