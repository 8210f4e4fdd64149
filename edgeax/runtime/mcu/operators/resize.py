"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR."""

import dataclasses

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, operands
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

_MOST_PIXELS = 2**15 - 1  # along a side, which int16 holds


@dataclasses.dataclass(frozen=True)
class Side:
    """One side of an image and how it is resized.

    Attributes:
        input: Pixels of the input.
        output: Pixels of the output.
        align_corners: Whether the first and last pixels stay where they are.
        half_pixel_centers: Whether a pixel lies half a pixel behind its number.
    """

    input: int
    output: int
    align_corners: bool
    half_pixel_centers: bool

    @property
    def ratio(self) -> tuple[int, int]:
        """Input pixels to output pixels."""
        if self.align_corners and self.output > 1:
            return self.input - 1, self.output - 1
        return self.input, self.output


def nearest(side: Side) -> np.ndarray:
    """Returns the input pixel of every output pixel, int16."""
    input_steps, output_steps = side.ratio
    scale = np.float32(input_steps) / np.float32(output_steps)
    offset = np.float32(0.5 if side.half_pixel_centers else 0)
    places = (np.arange(side.output, dtype=np.float32) + offset) * scale
    if side.align_corners:
        places = places + np.float32(0.5)  # halves away from zero
    return np.clip(np.floor(places), 0, side.input - 1).astype(np.int16)


def between(side: Side) -> np.ndarray:
    """Returns, for every output pixel, the input pixels before and behind it and how far it is from
    the one to the other in 1024ths, as TFLite's reference kernel has them; int16 `(output, 3)`.
    """
    input_steps, output_steps = side.ratio
    scale = (1024 * input_steps + output_steps // 2) // output_steps
    places = np.arange(side.output) * scale
    if side.half_pixel_centers:
        places = places + scale // 2 - 512
    before = np.maximum(np.trunc(places / 1024).astype(np.int64), 0)
    behind = np.minimum(np.trunc((places + 1023) / 1024).astype(np.int64), side.input - 1)
    return np.stack([before, behind, places - 1024 * before], axis=1).astype(np.int16)


def between_single(side: Side) -> np.ndarray:
    """Returns the same in 2048ths, as XNNPACK has them."""
    input_steps, output_steps = side.ratio
    scale = np.float32(input_steps) / np.float32(output_steps)
    places = np.arange(side.output, dtype=np.float32) * scale
    if side.half_pixel_centers:
        places = places + (np.float32(0.5) * scale - np.float32(0.5))
    places = np.clip(places, np.float32(0), np.float32(side.input - 1))
    before = np.floor(places)
    behind = np.minimum(before + 1, side.input - 1)
    distances = np.rint((places - before) * np.float32(2048))
    return np.stack([before, behind, distances], axis=1).astype(np.int16)


def resize_nearest(node: Node) -> Lowered:
    """RESIZE_NEAREST_NEIGHBOR."""
    operands.check_types(node, operands.MOVED, node.input(0), node.output())
    fields, sides = _image(node)
    channels = fields.pop("channels")
    fields["pixel"] = channels * operands.element_bytes(node.input(0))
    return [_step(node, "ResizeNearest", fields, [nearest(side) for side in sides])]


def resize_bilinear(node: Node) -> Lowered:
    """RESIZE_BILINEAR."""
    operands.check_types(node, operands.CODES, node.input(0), node.output())
    fields, sides = _image(node)
    node.require(
        not (sides[0].align_corners and sides[0].half_pixel_centers),
        "it must not have both align_corners and half_pixel_centers",
        "both",
    )
    rounds = node.output().dtype == "int8"
    if rounds and node.rounding == "single":
        node.require(
            codes.meaning_of(node, node.input(0)) == codes.meaning_of(node, node.output()),
            "its input and output must have one scale and zero point with single rounding",
            "others",
            'Generate it with rounding="double".',
        )
    table = between_single if rounds and node.rounding == "single" else between
    return [_step(node, "ResizeBilinear", fields, [table(side) for side in sides], rounds)]


def _image(node: Node) -> tuple[dict[str, int], list[Side]]:
    operands.check_counts(node, 2)
    shape, size = node.input(0).shape, operands.whole_numbers(node, 1)
    node.require(len(shape) == 4, "its input must have rank 4", shape)
    node.require(
        len(size) == 2 and all(0 < pixels <= _MOST_PIXELS for pixels in (*size, *shape[1:3])),
        f"its sizes must be two, and all sides in [1, {_MOST_PIXELS}]",
        f"{size}, input {shape}",
    )
    operands.check_shape(node, node.output(), (shape[0], *size, shape[3]))
    flags = [
        bool(node.options.get(name, False)) for name in ("align_corners", "half_pixel_centers")
    ]
    sides = [Side(*pixels, *flags) for pixels in zip(shape[1:3], size, strict=True)]
    fields = {
        "batch": shape[0],
        "input_height": shape[1],
        "input_width": shape[2],
        "output_height": size[0],
        "output_width": size[1],
        "channels": shape[3],
    }
    return fields, sides


def _step(
    node: Node,
    kernel: str,
    fields: dict[str, int],
    sides: list[np.ndarray],
    rounds: bool = False,
) -> Step:
    rows, columns = (
        Array(name, data) for name, data in zip(("rows", "columns"), sides, strict=True)
    )
    arguments = Struct(f"{kernel}Args", {**fields, "rows": rows, "columns": columns})
    reads = (operands.read(node, 0),)
    return Step(node.label, kernel, "resize.h", arguments, reads, node.outputs, rounds=rounds)


HANDLERS = {
    "RESIZE_BILINEAR": resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
}
