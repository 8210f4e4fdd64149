"""Gradients under TensorFlow's names: cases and their models."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from tests.golden import gradient_cases as golden
from tests.tflite_kernels import models

CONVOLUTIONS = ("Conv2DBackprop", "DepthwiseConv2dNativeBackprop")


@dataclass
class GradientCase:
    """One call.

    Attributes:
        name: Of the case.
        operator: Its name.
        attributes: As TensorFlow has them.
        inputs: By name, in order: int32 are constants, all others inputs of the model.
        output_shape: The shape that the output has.
        expected: float32, where it is known.
    """

    name: str
    operator: str
    attributes: dict[str, Any]
    inputs: dict[str, np.ndarray]
    output_shape: tuple[int, ...]
    expected: np.ndarray | None = None

    @property
    def fed(self) -> dict[str, np.ndarray]:
        """The inputs of the model."""
        return {name: a for name, a in self.inputs.items() if a.dtype != np.int32}


def options_of(attributes: dict[str, Any]) -> bytes:
    """The flexbuffer that TensorFlow's converter writes of attributes."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Int("T", 0)
        for name in sorted(attributes):
            value = attributes[name]
            if isinstance(value, list):
                builder.TypedVectorFromElements(name, value)
            elif isinstance(value, str):
                builder.String(name, value)
            elif isinstance(value, int):
                builder.Int(name, value)
            else:
                builder.Float(name, value)
    return bytes(builder.Finish())


def model_of(case: GradientCase) -> models.Model:
    """A model of one operator."""
    model = models.Model()
    for name, array in case.inputs.items():
        is_fed = name in case.fed
        tensor = models.Tensor(name, array.shape, array.dtype, data=None if is_fed else array)
        number = model.add(tensor)
        if is_fed:
            model.inputs.append(number)
    inputs = [*range(len(case.inputs))]
    model.outputs = [model.add(models.Tensor("y", case.output_shape, np.float32))]
    operator = models.Operator(
        inputs, model.outputs, case.operator, custom_options=options_of(case.attributes)
    )
    model.operators.append(operator)
    return model


def golden_cases() -> list[GradientCase]:
    """The cases of golden/gradient_cases.py, those of layers by variable weights among them."""

    def array(tensor: dict[str, Any], kind: Any) -> np.ndarray:
        return np.array(tensor["data"], kind).reshape(tensor["shape"])

    return [
        GradientCase(
            f"{entry['operator']}_{entry['name']}",
            entry["operator"],
            entry["attributes"],
            {
                name: array(tensor, np.int32 if "size" in name or "shape" in name else np.float32)
                for name, tensor in entry["inputs"].items()
            },
            tuple(entry["output"]["shape"]),
            array(entry["output"], np.float32),
        )
        for entry in golden.gradients()
    ]


def draw(seed: int, operator: str) -> GradientCase:
    """One case of an operator; the same for the same seed."""
    source = np.random.default_rng((7, seed))

    def floats(*shape: int) -> np.ndarray:
        return source.standard_normal(shape).astype(np.float32)

    batch, height, width, channels = (
        int(source.integers(low, high)) for low, high in ((1, 6), (5, 14), (5, 14), (1, 20))
    )
    if not operator.startswith(CONVOLUTIONS) and "Pool" not in operator:
        second = "outputs" if operator == "EluGrad" else "features"
        inputs = {"gradients": floats(batch, height), second: 5 * floats(batch, height)}
        attributes = {"alpha": 0.25} if operator == "LeakyReluGrad" else {}
        return GradientCase(f"{operator}_{seed}", operator, attributes, inputs, (batch, height))
    kernel = [int(size) for size in source.integers(1, 4, 2)]
    strides = [int(stride) for stride in source.integers(1, 4, 2)]
    is_convolution = operator.startswith(CONVOLUTIONS)
    if "Depthwise" in operator:
        strides[1] = strides[0]  # TensorFlow has no others
    may_dilate = strides == [1, 1] and operator.startswith("Conv2D")  # as in TensorFlow
    dilation = int(source.integers(1, 3)) if may_dilate else 1
    padding = str(source.choice(["SAME", "VALID"]))
    attributes = {"strides": [1, *strides, 1], "padding": padding, "data_format": "NHWC"}
    shape = [batch, height, width, channels]
    outputs = []
    for size, taps, stride in zip((height, width), kernel, strides, strict=True):
        covered = size - (taps - 1) * dilation if padding == "VALID" else size
        outputs.append(-(-covered // stride))
    if not is_convolution:
        attributes["ksize"] = [1, *kernel, 1]
        gradient = floats(batch, *outputs, channels)
        inputs = {"orig_input_shape": np.int32(shape), "grad": gradient}
        if operator == "MaxPoolGrad":
            inputs = {"orig_input": floats(*shape), "orig_output": gradient, "grad": gradient}
        return GradientCase(f"{operator}_{seed}", operator, attributes, inputs, tuple(shape))
    attributes["dilations"] = [1, dilation, dilation, 1]
    filters = int(source.choice([1, 3, 16, 33, 50]))
    multiplier = int(source.integers(1, 3))
    more = [channels, multiplier if "Depthwise" in operator else filters]
    all_filters = channels * multiplier if "Depthwise" in operator else filters
    gradient = floats(batch, *outputs, all_filters)
    if operator.endswith("Filter"):
        inputs = {"input": floats(*shape), "filter_sizes": np.int32([*kernel, *more])}
        output = (*kernel, *more)
    else:
        inputs = {"input_sizes": np.int32(shape), "filter": floats(*kernel, *more)}
        output = tuple(shape)
    inputs["out_backprop"] = gradient
    return GradientCase(f"{operator}_{seed}", operator, attributes, inputs, output)
