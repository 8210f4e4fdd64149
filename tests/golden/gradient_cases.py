"""Golden vectors of gradients under TensorFlow's names, and of layers by variable weights, by exact
fractions.

They are worked out whenever they are asked for, in less than a second: no program in C++ reads them
from a file. In a case `inputs` holds the tensors of the operator by their names in the operator
table; those of whole numbers are constants. A number is the float32 nearest to what is written.
"""

import functools
import itertools
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from tests.golden.float_cases import nearest, number, written

BLOCK = 128  # positions whose products are added up before they are added to the others
CONV, DEPTHWISE = "Conv2DBackprop", "DepthwiseConv2dNativeBackprop"
SMALL = {"strides": [1, 1, 1, 1], "padding": "SAME"}

# Name, layer, shape of its input, of its kernel, attributes that differ.
CONVOLUTIONS: list[tuple[str, str, list[int], list[int], dict[str, Any]]] = [
    ("same", CONV, [1, 5, 4, 2], [3, 3, 2, 3], {}),
    ("stride_2", CONV, [2, 6, 5, 1], [3, 2, 1, 4], {"strides": [1, 2, 2, 1]}),
    ("stride_3_of_small_kernel", CONV, [1, 7, 7, 2], [2, 2, 2, 2], {"strides": [1, 3, 3, 1]}),
    (
        "dilation",
        CONV,
        [1, 7, 6, 2],
        [2, 3, 2, 2],
        {"padding": "VALID", "dilations": [1, 2, 2, 1]},
    ),
    ("pointwise", CONV, [1, 3, 4, 7], [1, 1, 7, 17], {"padding": "VALID"}),
    ("groups", CONV, [1, 4, 4, 4], [3, 3, 2, 6], {}),
    ("more_than_two_blocks", CONV, [2, 13, 12, 1], [2, 2, 1, 1], {}),
    (
        "explicit",
        CONV,
        [1, 4, 5, 1],
        [3, 3, 1, 2],
        {"padding": "EXPLICIT", "explicit_paddings": [0, 0, 2, 1, 0, 2, 0, 0]},
    ),
    ("same", DEPTHWISE, [1, 5, 5, 3], [3, 3, 3, 1], {}),
    ("two_for_each", DEPTHWISE, [2, 4, 5, 2], [2, 3, 2, 2], {"strides": [1, 2, 2, 1]}),
    ("dilation", DEPTHWISE, [1, 6, 5, 3], [3, 2, 3, 1], {"dilations": [1, 2, 2, 1]}),
    ("whole_lanes", DEPTHWISE, [1, 3, 4, 17], [3, 2, 17, 1], {"padding": "VALID"}),
]
ACTIVATIONS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
POOLS: list[tuple[str, list[int], dict[str, Any]]] = [
    ("halves", [1, 4, 4, 3], {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1]}),
    ("overlapping", [2, 5, 6, 2], {"ksize": [1, 3, 3, 1], "strides": [1, 2, 1, 1]}),
    (
        "valid",
        [1, 5, 7, 17],
        {"ksize": [1, 2, 3, 1], "strides": [1, 2, 3, 1], "padding": "VALID"},
    ),
]
Numbers = list[Fraction]


def axis(
    size: int, kernel: int, stride: int, dilation: int, padding: str, sides: tuple[int, int]
) -> tuple[int, int]:
    """The positions of an output and what is added before the input, as TensorFlow has it."""
    reach = (kernel - 1) * dilation + 1
    if padding == "SAME":
        output = -(-size // stride)
        return output, max((output - 1) * stride + reach - size, 0) // 2
    before, after = sides if padding == "EXPLICIT" else (0, 0)
    return (size + before + after - reach) // stride + 1, before


def place(
    shape: list[int], kernel: tuple[int, int], attributes: dict[str, Any]
) -> tuple[list[int], list[int]]:
    """Height and width of the output, and what is added above and at the left."""
    sides = attributes.get("explicit_paddings", [0] * 8)
    both = [
        axis(
            shape[1 + i],
            kernel[i],
            attributes["strides"][1 + i],
            attributes.get("dilations", [1] * 4)[1 + i],
            attributes["padding"],
            (sides[2 + 2 * i], sides[3 + 2 * i]),
        )
        for i in range(2)
    ]
    return [output for output, _ in both], [pad for _, pad in both]


class Layer:
    """A convolution: which number of the input a tap reads at a position."""

    def __init__(self, name: str, shape: list[int], kernel: list[int], attributes: dict[str, Any]):
        self.shape, self.kernel, self.attributes = shape, kernel, attributes
        depthwise = name == DEPTHWISE
        self.outputs = kernel[2] * kernel[3] if depthwise else kernel[3]
        self.groups = shape[3] if depthwise else shape[3] // kernel[2]
        self.inputs = shape[3] // self.groups
        (self.height, self.width), self.pads = place(shape, (kernel[0], kernel[1]), attributes)

    def positions(self) -> Iterator[tuple[int, int, int]]:
        return itertools.product(range(self.shape[0]), range(self.height), range(self.width))

    def read(self, n: int, y: int, x: int, ky: int, kx: int, channel: int) -> int | None:
        """The place in the input, None outside."""
        strides, dilations = (self.attributes[k] for k in ("strides", "dilations"))
        row = y * strides[1] - self.pads[0] + ky * dilations[1]
        column = x * strides[2] - self.pads[1] + kx * dilations[2]
        if not (0 <= row < self.shape[1] and 0 <= column < self.shape[2]):
            return None
        return ((n * self.shape[1] + row) * self.shape[2] + column) * self.shape[3] + channel

    def weights(self) -> Iterator[tuple[int, int, int, int]]:
        """Tap, number of the input channel in its group, output channel, in the file's order."""
        return itertools.product(
            range(self.kernel[0]), range(self.kernel[1]), range(self.inputs), range(self.outputs)
        )

    def channel(self, i: int, o: int) -> int:
        return o // (self.outputs // self.groups) * self.inputs + i


def outputs(layer: Layer, values: Numbers, weights: Numbers, bias: Numbers) -> Numbers:
    """What a layer makes of its input, without activation."""
    found = []
    taps = [*itertools.product(range(layer.kernel[0]), range(layer.kernel[1]))]
    numbered = {place: number for number, place in enumerate(layer.weights())}
    for (n, y, x), o in itertools.product(layer.positions(), range(layer.outputs)):
        total = bias[o]
        for (ky, kx), i in itertools.product(taps, range(layer.inputs)):
            at = layer.read(n, y, x, ky, kx, layer.channel(i, o))
            if at is not None:
                total = nearest(values[at] * weights[numbered[ky, kx, i, o]] + total)
        found.append(total)
    return found


def filter_gradient(layer: Layer, values: Numbers, gradients: Numbers) -> Numbers:
    found = []
    for ky, kx, i, o in layer.weights():
        blocks = []
        for position, (n, y, x) in enumerate(layer.positions()):
            if position % BLOCK == 0:
                blocks.append(Fraction(0))
            at = layer.read(n, y, x, ky, kx, layer.channel(i, o))
            value = Fraction(0) if at is None else values[at]
            blocks[-1] = nearest(value * gradients[position * layer.outputs + o] + blocks[-1])
        total = blocks[0]
        for block in blocks[1:]:
            total = nearest(total + block)
        found.append(total)
    return found


def input_gradient(layer: Layer, weights: Numbers, gradients: Numbers) -> Numbers:
    sums = [Fraction(0)] * (layer.shape[0] * layer.shape[1] * layer.shape[2] * layer.shape[3])
    numbered = {place: number for number, place in enumerate(layer.weights())}
    # By taps, then by output channels: each number of the input meets each of these once.
    for ky, kx in itertools.product(range(layer.kernel[0]), range(layer.kernel[1])):
        for position, (n, y, x) in enumerate(layer.positions()):
            for o in range(layer.outputs):
                for i in range(layer.inputs):
                    at = layer.read(n, y, x, ky, kx, layer.channel(i, o))
                    if at is None:
                        continue
                    weight = weights[numbered[ky, kx, i, o]]
                    gradient = gradients[position * layer.outputs + o]
                    sums[at] = nearest(gradient * weight + sums[at])
    return sums


def pool_gradient(case: dict[str, Any], shape: list[int], gradients: Numbers) -> Numbers:
    attributes = case["attributes"]
    kernel = tuple(attributes["ksize"][1:3])
    (height, width), pads = place(shape, kernel, attributes)
    found = [Fraction(0)] * (shape[0] * shape[1] * shape[2] * shape[3])
    places = itertools.product(range(shape[0]), range(height), range(width), range(shape[3]))
    for number_of, (n, y, x, c) in enumerate(places):
        rows = range(y * attributes["strides"][1] - pads[0], shape[1])[: kernel[0]]
        columns = range(x * attributes["strides"][2] - pads[1], shape[2])[: kernel[1]]
        window = [
            ((n * shape[1] + row) * shape[2] + column) * shape[3] + c
            for row in rows
            for column in columns
            if row >= 0 and column >= 0
        ]
        gradient = gradients[number_of]
        if case["operator"] == "MaxPoolGrad":
            values = [number(value) for value in case["inputs"]["orig_input"]["data"]]
            highest = max(window, key=lambda at: values[at])  # the first of several
            found[highest] = nearest(found[highest] + gradient)
            continue
        part = nearest(Fraction(1, len(window)))
        for at in window:
            found[at] = nearest(gradient * part + found[at])
    return found


def activation_gradient(case: dict[str, Any]) -> Numbers:
    names = [*case["inputs"]]
    gradients, values = ([number(v) for v in case["inputs"][name]["data"]] for name in names)
    alpha = number(case["attributes"].get("alpha", 0.0))
    rules = {
        "ReluGrad": lambda g, v: g if v > 0 else Fraction(0),
        "Relu6Grad": lambda g, v: g if 0 < v < 6 else Fraction(0),
        "LeakyReluGrad": lambda g, v: g if v > 0 else nearest(g * alpha),
        "EluGrad": lambda g, v: nearest(nearest(v + 1) * g) if v < 0 else g,
    }
    rule = rules[case["operator"]]
    return [rule(g, v) for g, v in zip(gradients, values, strict=True)]


@functools.cache
def gradients() -> list[dict[str, Any]]:
    """All cases."""
    found = []
    for row in CONVOLUTIONS:
        found += [_convolution(*row, of_filter) for of_filter in (True, False)]
    for row, activation in zip(CONVOLUTIONS, itertools.cycle(ACTIVATIONS), strict=False):
        found.append(_variable(*row, activation))
    found.append(_variable_dense())
    for row in POOLS:
        found += [_pool(operator, *row) for operator in ("MaxPoolGrad", "AvgPoolGrad")]
    for operator in ("ReluGrad", "Relu6Grad", "LeakyReluGrad", "EluGrad"):
        found.append(_activation(operator))
    return found


def _draw(name: str, shape: list[int], most: float = 2.0) -> dict[str, Any]:
    source = random.Random(f"gradient {name}")
    count = 1
    for size in shape:
        count *= size
    data = [round(source.uniform(-most, most), 2) for _ in range(count)]
    return {"shape": shape, "data": data}


def _numbers(tensor: dict[str, Any]) -> Numbers:
    return [number(value) for value in tensor["data"]]


def _tensor(shape: list[int], exact: Numbers) -> dict[str, Any]:
    return {"shape": shape, "data": [written(value) for value in exact]}


def _shape(shape: list[int]) -> dict[str, Any]:
    return {"shape": [4], "data": shape}


def _convolution(
    name: str,
    layer_name: str,
    shape: list[int],
    kernel: list[int],
    changes: dict[str, Any],
    of_filter: bool,
) -> dict[str, Any]:
    attributes = SMALL | {"dilations": [1, 1, 1, 1], "data_format": "NHWC"} | changes
    layer = Layer(layer_name, shape, kernel, attributes)
    label = f"{layer_name} {name}"
    output = _draw(f"{label} out", [shape[0], layer.height, layer.width, layer.outputs])
    case = {
        "name": name,
        "operator": layer_name + ("Filter" if of_filter else "Input"),
        "attributes": attributes,
    }
    values = _draw(f"{label} values", shape if of_filter else kernel)
    if of_filter:
        case["inputs"] = {"input": values, "filter_sizes": _shape(kernel), "out_backprop": output}
        exact = filter_gradient(layer, _numbers(values), _numbers(output))
        case["output"] = _tensor(kernel, exact)
    else:
        case["inputs"] = {"input_sizes": _shape(shape), "filter": values, "out_backprop": output}
        exact = input_gradient(layer, _numbers(values), _numbers(output))
        case["output"] = _tensor(shape, exact)
    return case


def _variable(
    name: str,
    layer_name: str,
    shape: list[int],
    kernel: list[int],
    changes: dict[str, Any],
    activation: str,
) -> dict[str, Any]:
    attributes = SMALL | {"dilations": [1, 1, 1, 1], "data_format": "NHWC"} | changes
    layer = Layer(layer_name, shape, kernel, attributes)
    kind = layer_name.removesuffix("Backprop").removesuffix("2dNative").removesuffix("2D")
    label = f"{layer_name} {name}"
    inputs = {
        "input": _draw(f"{label} values", shape),
        "filter": _draw(f"{label} weights", kernel),
        "bias": _draw(f"{label} bias", [layer.outputs]),
    }
    return {
        "name": name,
        "operator": f"EdgeaxVariable{kind}2D",
        "attributes": attributes | {"activation": activation},
        "inputs": inputs,
        "output": _tensor(
            [shape[0], layer.height, layer.width, layer.outputs],
            [
                _limited(number, activation)
                for number in outputs(layer, *map(_numbers, inputs.values()))
            ],
        ),
    }


def _limited(value: Fraction, activation: str) -> Fraction:
    low, high = ACTIVATIONS[activation]
    value = value if low is None else max(value, Fraction(low))
    return value if high is None else min(value, Fraction(high))


def _variable_dense() -> dict[str, Any]:
    """A dense layer is a convolution of one tap."""
    case = _variable("leading_axes", CONV, [1, 3, 6, 5], [1, 1, 5, 18], {}, "RELU")
    case |= {"operator": "EdgeaxVariableFullyConnected", "attributes": {"activation": "RELU"}}
    case["inputs"]["input"] = case["inputs"]["input"] | {"shape": [3, 6, 5]}
    case["inputs"]["filter"] = case["inputs"]["filter"] | {"shape": [5, 18]}
    case["output"] = case["output"] | {"shape": [3, 6, 18]}
    return case


def _pool(operator: str, name: str, shape: list[int], changes: dict[str, Any]) -> dict[str, Any]:
    attributes = SMALL | {"data_format": "NHWC"} | changes
    kernel = (attributes["ksize"][1], attributes["ksize"][2])
    (height, width), _ = place(shape, kernel, attributes)
    gradient = _draw(f"{name} grad", [shape[0], height, width, shape[3]])
    case = {"name": name, "operator": operator, "attributes": attributes}
    if operator == "MaxPoolGrad":
        values = _draw(f"{name} values", shape)
        values["data"] = [round(value, 0) for value in values["data"]]  # many that are equal
        case["inputs"] = {"orig_input": values, "orig_output": gradient, "grad": gradient}
    else:
        case["inputs"] = {"orig_input_shape": _shape(shape), "grad": gradient}
    case["output"] = _tensor(shape, pool_gradient(case, shape, _numbers(gradient)))
    return case


def _activation(operator: str) -> dict[str, Any]:
    shape = [3, 11]
    values = _draw(f"{operator} values", shape, 8.0 if operator != "EluGrad" else 1.0)
    values["data"][:3] = [0.0, 6.0, -0.5]
    case = {
        "name": "both_sides",
        "operator": operator,
        "attributes": {"alpha": 0.3} if operator == "LeakyReluGrad" else {},
        "inputs": {
            "gradients": _draw(f"{operator} gradients", shape),
            "outputs" if operator == "EluGrad" else "features": values,
        },
    }
    case["output"] = _tensor(shape, activation_gradient(case))
    return case
