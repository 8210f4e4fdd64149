"""CONV_2D."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from edgeax.formats.same_padding import same_padding
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, products, tiles
from edgeax.runtime.mcu.operators.windows import Axis
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct, Window
from edgeax.runtime.mcu.targets import Target

_SCRATCH_BYTES = 2048  # what a layer takes that has the largest tensors
_PACKED_BYTES = 3072  # the same where weights are packed on Helium
_MOST_COPYING = 5120  # where patches are copied once for all tiles of a sweep
_MOST_DIRECT = 2048
_THRIFTY_BYTES = 384  # what a layer takes where scratch must be small
_MOST_PATCHES = 8
_MOST_PATCH_BYTES = 256  # of several
_LEAST_RUN = 12  # shorter runs are copied into one


@dataclasses.dataclass(frozen=True)
class Shape:
    """Shapes of a convolution: ConvolutionShape of micro/convolution.h."""

    batches: int
    input_height: int
    input_width: int
    input_channels: int
    output_height: int
    output_width: int
    output_channels: int
    kernel_height: int
    kernel_width: int
    stride_height: int = 1
    stride_width: int = 1
    dilation_height: int = 1
    dilation_width: int = 1
    pad_top: int = 0
    pad_left: int = 0
    groups: int = 1

    @classmethod
    def of_windows(
        cls, batches: int, height: Axis, width: Axis, inputs: int, outputs: int, groups: int = 1
    ) -> "Shape":
        """Returns the shapes of windows that lie on two axes.

        Args:
            batches: Images.
            height: How windows lie on the height.
            width: How windows lie on the width.
            inputs: Channels of the input.
            outputs: Channels of the output.
            groups: Into which the channels split.
        """
        return cls(
            batches=batches,
            input_height=height.size,
            input_width=width.size,
            input_channels=inputs,
            output_height=height.output,
            output_width=width.output,
            output_channels=outputs,
            kernel_height=height.kernel,
            kernel_width=width.kernel,
            stride_height=height.stride,
            stride_width=width.stride,
            dilation_height=height.dilation,
            dilation_width=width.dilation,
            pad_top=height.pad,
            pad_left=width.pad,
            groups=groups,
        )

    @property
    def macs(self) -> int:
        """Its multiply-accumulates."""
        outputs = self.batches * self.output_height * self.output_width * self.output_channels
        taps = self.kernel_height * self.kernel_width
        return outputs * taps * (self.input_channels // self.groups)

    @property
    def window(self) -> Window:
        """Which input rows the output rows read."""
        return Window(
            self.input_height,
            self.output_height,
            self.kernel_height,
            self.stride_height,
            self.dilation_height,
            self.pad_top,
        )

    def struct(self) -> Struct:
        """Returns it for C++."""
        return Struct("ConvolutionShape", dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class Patch:
    """How the kernels see what an output pixel reads.

    Attributes:
        runs: Its runs.
        run_bytes: Bytes of a run.
        is_direct: Whether patches inside the image are read where they lie.
    """

    runs: int
    run_bytes: int
    is_direct: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a convolution is cut: ConvolutionPlan of micro/convolution.h, and its tiles.

    Attributes:
        patch: How a patch is read.
        patches: Copied patches that scratch has room for.
        sweep_channels: Channels of the tiles that scratch has room for.
        room: Room of the weights of a tile.
    """

    patch: Patch
    patches: int
    sweep_channels: int
    room: tiles.Room

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch."""
        patches = self.patches * (-(-self.patch.runs * self.patch.run_bytes // 4) * 4)
        tile_bytes = tiles.HEAD_BYTES + self.room.size_bytes
        return -(-patches // 8) * 8 + self.sweep_channels // tiles.CHANNELS * tile_bytes

    def struct(self) -> Struct:
        """Returns it for C++."""
        fields = {**dataclasses.asdict(self.patch), "patches": self.patches}
        return Struct("ConvolutionPlan", {**fields, "sweep_channels": self.sweep_channels})


def conv2d(node: Node) -> Lowered:
    """Returns the step of a CONV_2D."""
    found = products.read_products(node, (0, 1, 2))
    shape = shape_of(node, found.weights.shape)
    if found.bias.dtype == np.int64:
        return [convolution_int16(node, found, shape)]
    return [convolution(node, products.without_constant_channels(found, node.rounding), shape)]


def convolution(node: Node, found: products.Products, shape: Shape) -> Step:
    """Returns the step of what is a convolution.

    Args:
        node: The operator.
        found: Its numbers; the weights in the shape (output channels, height, width, input
            channels of a group).
        shape: Its shapes.
    """
    quick = found.is_quick(node)
    plan = plan_for(node, shape, found)
    weights = _runs(found.weights, shape.groups, plan.patch.runs)
    layout = tiles.layout_for(node.target)
    arguments = Struct(
        "Conv2DArgs",
        {
            "shape": shape.struct(),
            "plan": plan.struct(),
            "tile": found.tile_plan(node, plan.room, quick),
            "input_zero_point": found.input_zero_point,
            "factors": found.factors.struct(shape.groups),
            "bias": products.bias_array(found.folded_bias, shape.groups),
            "weights": tiles.weights_array(
                [tiles.tiled(weights, layout)], layout, [plan.patch.run_bytes]
            ),
        },
    )
    return Step(
        label=node.label,
        kernel="Conv2D",
        header="conv2d.h",
        arguments=arguments,
        reads=(node.inputs[0],),
        writes=(node.outputs[0],),
        extent=shape.window,
        rounds=True,
        scratch_bytes=plan.scratch_bytes,
        macs=shape.macs,
    )


def convolution_int16(node: Node, found: products.Products, shape: Shape) -> Step:
    """Returns the step of what is a convolution of int16 codes; arguments as of `convolution`."""
    # The sums of convolutions LiteRT scales as TFLM does, those of dense layers otherwise.
    rounds = node.operator.name != "CONV_2D"
    return Step(
        label=node.label,
        kernel="Conv2D" if rounds else "Conv2D<Rounding::kDouble>",
        header="conv2d_int16.h",
        arguments=arguments_int16("Conv2DInt16Args", found, shape),
        reads=(node.inputs[0],),
        writes=(node.outputs[0],),
        extent=shape.window,
        rounds=rounds,
        macs=shape.macs,
    )


def arguments_int16(name: str, found: products.Products, shape: Shape) -> Struct:
    """Returns what a kernel of int16 codes is given; `name` is that of the struct in C++."""
    return Struct(
        name,
        {
            "shape": shape.struct(),
            "clamp": codes.clamp(found.output_limits),
            "factor_step": 0 if found.factors.is_one else 1,
            "factors": found.factors.struct(),
            "bias": Array("bias", found.bias, alignment=8),
            "weights": Array("weights", found.weights.reshape(-1)),
        },
    )


def plan_for(node: Node, shape: Shape, found: products.Products, decodes: bool = False) -> Plan:
    """Returns how to cut a convolution, with scratch that suits its place in the model.

    Args:
        node: The operator.
        shape: Its shapes.
        found: Its numbers.
        decodes: Whether its weights are packed, so that each tile is decoded to scratch.
    """
    patch = patch_of(node.target, shape)
    weights = _runs(found.weights, shape.groups, patch.runs)
    piece = tiles.piece_of(found.folded_bias, weights, patch.run_bytes)
    quick = found.is_quick(node)
    rooms = tiles.rooms(node.target, patch.runs, patch.run_bytes, quick, decodes, piece)
    return cut(node, shape, patch, rooms, decodes)


def cut(
    node: Node, shape: Shape, patch: Patch, rooms: Sequence[tiles.Room], is_packed: bool = False
) -> Plan:
    """Returns how to cut a convolution whose patches are known.

    Args:
        node: The operator.
        shape: Its shapes.
        patch: How its patches are read.
        rooms: The rooms that a tile can have, fastest first, smallest last.
        is_packed: Whether its weights are packed.
    """
    in_pairs = is_packed and node.target.has_helium and not node.is_thrifty
    if patch.is_direct:
        patches = 0 if _has_no_border(shape) else 2 if in_pairs else 1
    else:
        patches = max(1, min(_MOST_PATCHES, _MOST_PATCH_BYTES // patch.run_bytes))
    plans = [Plan(patch, patches, tiles.CHANNELS, room) for room in rooms]
    limit = _scratch_limit(node, in_pairs)
    plan = next((plan for plan in plans if plan.scratch_bytes <= limit), plans[-1])
    most = _MOST_COPYING if patches else _MOST_DIRECT
    if in_pairs:
        most = limit  # each sweep copies the patches at borders anew
    return _widened(plan, shape.output_channels // shape.groups, min(limit, most))


def patch_of(target: Target, shape: Shape) -> Patch:
    """Returns how the patches of a convolution are read."""
    return patch_in_words(shape, tiles.layout_for(target).multiple)


def patch_in_words(shape: Shape, multiple: int) -> Patch:
    """Returns how patches are read whose runs have a multiple of some bytes."""
    joined = shape.kernel_width == 1 or (shape.dilation_width == 1 and shape.groups == 1)
    run = shape.kernel_width * (shape.input_channels // shape.groups)
    long_enough = run >= _LEAST_RUN or shape.kernel_height == 1
    if joined and run % multiple == 0 and long_enough:
        return Patch(shape.kernel_height, run, is_direct=1)
    whole = shape.kernel_height * run
    return Patch(1, -(-whole // multiple) * multiple, is_direct=0)


def _widened(plan: Plan, channels: int, limit: int) -> Plan:
    """Returns the plan with as many tiles in a sweep as fit."""
    most = -(-channels // tiles.CHANNELS)
    for count in range(most, 1, -1):
        wider = dataclasses.replace(plan, sweep_channels=count * tiles.CHANNELS)
        if most % count == 0 and wider.scratch_bytes <= limit:
            return wider
    return plan


def _scratch_limit(node: Node, in_pairs: bool) -> int:
    """Returns the bytes of scratch that do not make the model larger, by a rule of thumb.

    A model needs at least room for a step's input and output; where this step has the largest, it
    gets little, elsewhere a part of what is free.
    """
    if node.is_thrifty:
        return _THRIFTY_BYTES
    computed = [tensor for tensor in node.tensors if not tensor.is_constant]
    largest = sorted((tensor.size_bytes or 0 for tensor in computed), reverse=True)[:2]
    own = sum(tensor.size_bytes or 0 for tensor in (node.input(0), node.output()))
    if in_pairs:
        return max(_PACKED_BYTES, (sum(largest) - own) // 4)
    return max(_SCRATCH_BYTES, (sum(largest) - own) // 2)


def _has_no_border(shape: Shape) -> bool:
    reach_y = (shape.output_height - 1) * shape.stride_height - shape.pad_top
    reach_x = (shape.output_width - 1) * shape.stride_width - shape.pad_left
    reach_y += (shape.kernel_height - 1) * shape.dilation_height
    reach_x += (shape.kernel_width - 1) * shape.dilation_width
    inside = reach_y < shape.input_height and reach_x < shape.input_width
    return inside and shape.pad_top == 0 and shape.pad_left == 0


def _runs(weights: np.ndarray, groups: int, runs: int) -> np.ndarray:
    return weights.reshape(groups, len(weights) // groups, runs, -1)


def shape_of(node: Node, weights: tuple[int, ...]) -> Shape:
    """Returns the shapes of a CONV_2D, all checked, of weights of a shape."""
    x, output, options = node.input(0).shape, node.output().shape, node.options
    node.require(
        len(x) == len(output) == len(weights) == 4,
        "its input, weights and output must have 4 axes",
        f"{x}, {weights} and {output}",
    )
    channels, height, width, depth = weights
    node.require(
        depth > 0 and x[3] % depth == 0 and channels % (x[3] // depth) == 0,
        "its channels must split into groups",
        f"{x[3]} input channels, weights of {depth}, {channels} output channels",
    )
    stride = options["stride_h"], options["stride_w"]
    dilation = options["dilation_h_factor"], options["dilation_w_factor"]
    node.require(min(*stride, *dilation) > 0, "its strides must be above 0", (stride, dilation))
    axes = list(zip(x[1:3], (height, width), stride, dilation, node.borders, strict=True))
    is_same = options["padding"] == "SAME"
    pads = [
        same_padding(size, taps, step, apart)[0] if is_same else border[0]
        for size, taps, step, apart, border in axes
    ]
    expected = [
        -(-size // step) if is_same else (size + sum(border) - (taps - 1) * apart - 1) // step + 1
        for size, taps, step, apart, border in axes
    ]
    node.require(
        output == (x[0], *expected, channels),
        f"its output must have the shape {(x[0], *expected, channels)}",
        output,
    )
    return Shape(
        batches=x[0],
        input_height=x[1],
        input_width=x[2],
        input_channels=x[3],
        output_height=expected[0],
        output_width=expected[1],
        output_channels=channels,
        kernel_height=height,
        kernel_width=width,
        stride_height=stride[0],
        stride_width=stride[1],
        dilation_height=dilation[0],
        dilation_width=dilation[1],
        pad_top=pads[0],
        pad_left=pads[1],
        groups=x[3] // depth,
    )


HANDLERS = {"CONV_2D": conv2d}
