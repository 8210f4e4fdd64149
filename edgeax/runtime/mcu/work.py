"""What a call of a kernel does, as amounts that its instructions grow with."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgeax.runtime.mcu.program import Elements, Program, Step, Struct, Window

_TILE = 4  # kTileChannels of micro/tile.h
_DEPTHWISE_BLOCK = 4  # kDepthwiseBlock of micro/depthwise_conv2d.h


@dataclasses.dataclass(frozen=True)
class Work:
    """What one call does.

    Attributes:
        kind: Its kernel, the type of its output, and which of its loops it runs.
        amounts: How often it does what, by name.
    """

    kind: str
    amounts: Mapping[str, float]


def whole(step: Step) -> tuple[int, int] | None:
    """Returns the part that a call of everything computes, as `work` takes it."""
    if isinstance(step.extent, Window):
        return 0, step.extent.output_rows
    return (0, step.extent.count) if isinstance(step.extent, Elements) else None


def work(program: Program, step: Step, part: tuple[int, int] | None) -> Work:
    """Returns what a call of a step does.

    Args:
        program: The program that the step belongs to.
        step: The step.
        part: The output rows `[begin, end)` of a step with a `Window`, or elements of one with
            `Elements`; None for the others.
    """
    call = _Call(program, step, part)
    loop, amounts = _FAMILIES.get(step.arguments.type, _plain)(call)
    words = [step.kernel.partition("<")[0], *call.types, *([loop] if loop else [])]
    return Work(" ".join(words), {"calls": 1.0, **amounts})


class _Call:
    """A call with what all families ask of it."""

    def __init__(self, program: Program, step: Step, part: tuple[int, int] | None) -> None:
        self.step, self.part = step, part
        self.fields: Mapping[str, Any] = step.arguments.fields
        values = [program.values[value] for value in (*step.values_read[:1], *step.writes[:1])]
        self.types = list(dict.fromkeys(value.dtype for value in values))
        self.share = 1.0
        if part is not None and (all_of := whole(step)) is not None:
            self.share = (part[1] - part[0]) / all_of[1]
        self.reads = [program.values[value].shape for value in step.values_read]
        self.writes = [program.values[value].shape for value in step.writes]

    def read_rows(self) -> int:
        """Input rows that the call reads, of a step with a window."""
        window, part = self.step.extent, self.part
        if not isinstance(window, Window) or part is None:
            return 0
        first, end = window.needed(*part)
        return max(end - first, 0)


Amounts = dict[str, float]


def _plain(call: _Call) -> tuple[str, Amounts]:
    outputs = sum(math.prod(shape) for shape in call.writes) * call.share
    vectors = sum(math.prod(shape[:-1]) for shape in call.writes) * call.share
    taps = call.fields.get("kernel_height", 0) * call.fields.get("kernel_width", 0)
    return "", {
        "outputs": outputs,
        "inputs": sum(math.prod(shape) for shape in call.reads) * call.share,
        "vectors": vectors,
        "macs": call.step.macs * call.share,
        "taps": outputs * taps,
        "pixel taps": vectors * taps,
    }


def _loop_of(tile: Mapping[str, Any]) -> str:
    if not tile["is_quick"]:
        return "saturating"
    if tile["piece_bytes"]:
        return "paired"
    return "expanded" if tile["is_expanded"] else ""


def _inside(count: int, size: int, kernel: int, stride: int, dilation: int, pad: int) -> range:
    """Returns the positions whose taps all lie in the image."""
    room = size - 1 - (kernel - 1) * dilation + pad
    end = min(count, room // stride + 1) if room >= 0 else 0
    return range(min(-(-pad // stride), max(end, 0)), max(end, 0))


def _convolution(call: _Call) -> tuple[str, Amounts]:
    return _convolved(call, call.fields)


def _convolved(call: _Call, layer: Mapping[str, Any]) -> tuple[str, Amounts]:
    """A convolution as micro/convolution.cc runs it."""
    shape, plan, tile = (_members(layer[name]) for name in ("shape", "plan", "tile"))
    begin, end = call.part or (0, shape["output_height"])
    passes = shape["batches"] * shape["groups"]
    channels = shape["output_channels"] // shape["groups"]
    tiles = -(-channels // _TILE)
    sweeps = passes * -(-channels // plan["sweep_channels"])
    patch_bytes = plan["runs"] * plan["run_bytes"]
    columns, rows = _pixels_inside(shape, begin, end)
    width, height = shape["output_width"], end - begin
    direct = len(columns) * rows if plan["is_direct"] else 0
    bordered = height * (width - len(columns))
    joined = shape["groups"] == 1 and shape["dilation_width"] == 1
    copied = height * len(columns) - direct
    apart = bordered if joined else bordered + copied
    tile_pixels = passes * height * width * tiles
    blocks = plan["runs"] * -(-plan["run_bytes"] // tile["block"])
    patches = max(plan["patches"], 1)
    chunks = -(-len(columns) // patches) * (height - rows if plan["is_direct"] else height)
    return _loop_of(tile), {
        "tiles prepared": passes * tiles,
        "weights prepared": passes * tiles * patch_bytes,
        "rows": sweeps * height,
        "sweeps": sweeps * ((rows if plan["is_direct"] else 0) + chunks),
        "pixels": sweeps * height * width,
        "tiles": tile_pixels,
        "runs": tile_pixels * plan["runs"],
        "blocks": tile_pixels * blocks,
        "taps apart": sweeps * apart * shape["kernel_height"] * shape["kernel_width"],
        "runs copied": sweeps * (copied if joined else 0) * shape["kernel_height"],
        "bytes copied": sweeps * (apart + (copied if joined else 0)) * patch_bytes,
    }


def _packed(call: _Call) -> tuple[str, Amounts]:
    """A convolution that decodes its tiles, or reads them as they are."""
    return _convolved(call, _members(call.fields["layer"]))


def _masked(call: _Call) -> tuple[str, Amounts]:
    loop, amounts = _packed(call)
    piece = call.fields["piece"]
    return loop, {**amounts, f"pieces of {piece}": amounts["weights prepared"] * _TILE / piece}


def _vectors(call: _Call) -> tuple[str, Amounts]:
    loop, amounts = _packed(call)
    places = amounts["tiles prepared"] * call.fields["places"]
    return loop, {**amounts, "places": places, "codes": places * call.fields["length"]}


def _sparse(call: _Call) -> tuple[str, Amounts]:
    """A convolution of the blocks that are left."""
    layer = _members(call.fields["layer"])
    loop, amounts = _convolved(call, layer)
    counts = np.diff(call.fields["starts"].data)
    tiles = max(amounts["tiles prepared"], 1.0)
    passes = _members(layer["shape"])["batches"]
    fours = passes * float(np.ceil(counts / 4).sum())
    lists = passes * float(counts.sum())
    return loop, {
        **amounts,
        "weights prepared": lists,
        "mask bytes": passes * call.fields["masks"].data.size,
        "blocks": amounts["tiles"] / tiles * lists,
        "fours": amounts["tiles"] / tiles * fours,
    }


def _sign_sums(call: _Call) -> tuple[str, Amounts]:
    """Sums of bits as micro/sign_sums.cc runs them."""
    fields, shape = call.fields, _members(call.fields["shape"])
    begin, end = call.part or (0, shape["output_height"])
    pixels = shape["batches"] * (end - begin) * shape["output_width"]
    outputs = pixels * shape["output_channels"]
    inputs = shape["batches"] * call.read_rows() * shape["input_width"] * shape["input_channels"]
    taps = pixels * shape["groups"] * shape["kernel_height"] * shape["kernel_width"]
    return "", {
        "rows": end - begin,
        "pixels": pixels,
        "outputs": outputs,
        "pairs": outputs * fields["planes"] * fields["bases"],
        "words": outputs * fields["planes"] * fields["bases"] * fields["patch_words"],
        "taps": taps * fields["planes"],
        "signs": inputs * fields["planes"],
    }


def _lstm(call: _Call) -> tuple[str, Amounts]:
    """Steps over time as micro/lstm.cc runs them."""
    fields = call.fields
    units = fields["batch"] * fields["time"] * fields["units"]
    return "", {
        "steps": fields["batch"] * fields["time"],
        "units": units,
        "macs": 4 * units * (fields["features"] + fields["units"]),
    }


def _pixels_inside(shape: Mapping[str, Any], begin: int, end: int) -> tuple[range, int]:
    """Returns the columns, and how many of the rows, whose taps all lie in the image."""
    is_point = shape["kernel_height"] == shape["kernel_width"] == 1
    same = shape["input_height"] == shape["output_height"]
    if is_point and same and shape["input_width"] == shape["output_width"]:
        return range(shape["output_width"]), end - begin

    def axis(count: str, size: str, end_word: str, pad: str) -> range:
        numbers = (f"kernel_{end_word}", f"stride_{end_word}", f"dilation_{end_word}", pad)
        return _inside(shape[count], shape[size], *(shape[name] for name in numbers))

    columns = axis("output_width", "input_width", "width", "pad_left")
    rows = axis("output_height", "input_height", "height", "pad_top")
    return columns, max(min(rows.stop, end) - max(rows.start, begin), 0)


def _members(struct: Struct) -> Mapping[str, Any]:
    return struct.fields


def _fully_connected(call: _Call) -> tuple[str, Amounts]:
    fields, tile = call.fields, _members(call.fields["tile"])
    tiles = -(-fields["outputs"] // _TILE)
    return _loop_of(tile), {
        "tiles prepared": tiles if tile["factor_step"] else 1,
        "tiles": tiles * fields["rows"],
        "sweeps": tiles,
        "blocks": tiles * fields["rows"] * -(-fields["depth"] // tile["block"]),
    }


def _packed_depthwise(call: _Call) -> tuple[str, Amounts]:
    """The same whose weights are decoded block by block."""
    layer = _members(call.fields["layer"])
    loop, amounts = _depthwise(call, layer)
    taps = layer["kernel_height"] * layer["kernel_width"]
    decoded = layer["batch"] * layer["channels"] * layer["depth_multiplier"] * taps
    return "any" if "int16" in call.types else loop, {**amounts, "weights prepared": decoded}


def _depthwise(call: _Call, layer: Mapping[str, Any] | None = None) -> tuple[str, Amounts]:
    """A depthwise convolution as micro/depthwise_conv2d.cc runs it."""
    fields = call.fields if layer is None else layer
    begin, end = call.part or (0, fields["output_height"])
    channels = fields["batch"] * fields["channels"]
    blocks = fields["batch"] * -(-fields["channels"] // _DEPTHWISE_BLOCK)
    groups = -(-(end - begin) // fields["group_rows"])
    outputs = channels * fields["depth_multiplier"]
    reach = (fields["kernel_height"] - 1) * fields["dilation_height"] + 1
    again = max(reach - fields["stride_height"], 0) * max(groups - 1, 0)
    planes = fields["plane_rows"] * fields["plane_pitch"]
    pixels = (end - begin) * fields["output_width"]
    stride = fields["stride_height"]
    is_3x3 = fields["kernel_height"] == fields["kernel_width"] == 3 and stride <= 2
    is_3x3 = is_3x3 and stride == fields["stride_width"]
    is_3x3 = is_3x3 and fields["dilation_height"] == fields["dilation_width"] == 1
    loop = f"3x3 by {stride}" if is_3x3 else "any"
    if is_3x3 and fields["depth_multiplier"] > 1:
        loop += " of several"
    return loop, {
        "filled": planes,
        "blocks": blocks,
        "groups": blocks * groups,
        "rows taken": blocks * call.read_rows(),
        "taken": blocks * call.read_rows() * fields["width"],
        "codes taken": channels * call.read_rows() * fields["width"],
        "moved": channels * again * fields["plane_pitch"],
        "sweeps": outputs * groups,
        "rows": outputs * (end - begin),
        "block pixels": blocks * groups * fields["width"],
        "block outputs": blocks * pixels,
        "outputs": outputs * pixels,
        "macs": outputs * pixels * fields["kernel_height"] * fields["kernel_width"],
    }


def _int16(call: _Call) -> tuple[str, Amounts]:
    """A convolution of int16 codes as micro/convolution_int16.h runs it."""
    fields, shape = call.fields, _members(call.fields["shape"])
    pixels = shape["batches"] * shape["output_height"] * shape["output_width"] * call.share
    outputs = pixels * shape["output_channels"]
    taps = shape["kernel_height"] * shape["kernel_width"]
    depth = shape["input_channels"] // shape["groups"]
    joined = shape["groups"] == 1 and shape["dilation_width"] == 1
    amounts = {
        "outputs": outputs,
        "runs": outputs * shape["kernel_height"] * (1 if joined else shape["kernel_width"]),
        "macs": call.step.macs * call.share,
        "weights prepared": shape["output_channels"] * taps * depth,
    }
    if "masks" not in fields:
        return "", amounts
    piece = fields["piece"]
    return f"pieces of {piece}", {
        "outputs": outputs,
        "pieces": pixels * fields["pieces"].data.size / piece,
        "mask bytes": pixels * fields["masks"].data.size,
        "runs copied": pixels * shape["groups"] * taps,
        "bytes copied": pixels * shape["groups"] * taps * depth,
    }


def _float(call: _Call) -> tuple[str, Amounts]:
    """A product of floats as micro/float_product.cc runs it."""
    fields = call.fields
    outputs = fields["rows"] * fields["outputs"]
    groups = -(-fields["depth"] // fields["group"])
    return "", {
        "outputs": outputs,
        "groups": outputs * groups,
        "bytes": outputs * -(-fields["depth"] * fields["bits"] // 8),
        "macs": call.step.macs,
    }


_FAMILIES: dict[str, Callable[[_Call], tuple[str, Amounts]]] = {
    "CodebookConv2DArgs": _packed,
    "CodebookConv2DInt16Args": _int16,
    "Conv2DArgs": _convolution,
    "Conv2DInt16Args": _int16,
    "DepthwiseConv2DArgs": _depthwise,
    "FloatProductArgs": _float,
    "FullyConnectedArgs": _fully_connected,
    "GroupedConv2DArgs": _packed,
    "LstmArgs": _lstm,
    "MaskedConv2DArgs": _masked,
    "MaskedConv2DInt16Args": _int16,
    "PackedDepthwiseConv2DArgs": _packed_depthwise,
    "SignSumsArgs": _sign_sums,
    "SparseConv2DArgs": _sparse,
    "TernaryConv2DArgs": _packed,
    "TransposeConvInt16Args": _int16,
    "VectorConv2DArgs": _vectors,
}
