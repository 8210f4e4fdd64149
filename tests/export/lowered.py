"""A network frozen and converted once, to be lowered in several ways; and its operators' sums."""

import dataclasses
import warnings

import numpy as np

from edgeax.export.convert import convert
from edgeax.export.freeze import Frozen, freeze
from edgeax.export.lower import Stored, lower
from edgeax.formats import packing
from edgeax.formats.flatbuffer import Model
from edgeax.formats.operators import OPERATORS
from edgeax.runtime.interpreter import Interpreter
from tests.tflite_kernels.native import Case

# Every int8 code as a codebook, so that a built-in operator is a case of ours too.
ALL_CODES = np.arange(-128, 128).astype(np.int8)


@dataclasses.dataclass
class Converted:
    """A network as the converter made it.

    Attributes:
        frozen: The network it was made of.
        content: The file, before any lowering.
    """

    frozen: Frozen
    content: bytes

    def lower(self, pack: bool) -> tuple[Model, dict[str, Stored]]:
        """Returns the lowered file and how each layer's kernel is stored, by path."""
        model = Model.from_bytes(self.content)
        stored = lower(model, self.frozen.weights, pack)
        return model, {entry.path: entry for entry in stored}

    def encoded(self, path):
        """Returns the encoded kernel of a layer."""
        return next(weight.encoded for weight in self.frozen.weights if weight.path == path)


def converted(model, samples) -> Converted:
    samples = samples if isinstance(samples, list) else [samples]
    frozen = freeze(model, samples, integer=True)
    return Converted(frozen, convert(frozen.model, quantized=True).to_bytes())


def constants(model: Model, path: str) -> dict[str, object]:
    """Returns the constant tensors that `lower` wrote for a layer, by name without the path."""
    tensors = model.subgraphs[0].tensors
    return {t.name.rpartition("/")[2]: t for t in tensors if t.name.rpartition("/")[0] == path}


def cases(model: Model, *inputs) -> list[tuple[str, Case, np.ndarray]]:
    """Runs a file; returns path, case and output codes of each operator with a kernel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = Interpreter(model_content=model.to_bytes(), preserve_all_tensors=True)
    interpreter.run(*inputs)
    graph = Model.from_bytes(model.to_bytes()).subgraphs[0]
    found = []
    for operator in graph.operators:
        path = kernel_path(graph, operator)
        if path and operator.name != "TRANSPOSE_CONV":  # of which we have no like
            seen = interpreter.get_tensor(operator.inputs[0])
            found.append(
                (path, case(graph, operator, seen), interpreter.get_tensor(*operator.outputs))
            )
    return found


def kernel_path(graph, operator) -> str:
    """Returns the path of the layer that `lower` wrote the operator's kernel for, or ""."""
    names = [graph.tensors[index].name for index in operator.inputs[1:2]]
    path, _, last = names[0].rpartition("/") if names else ("", "", "")
    return path if last in ("kernel", "weights") else ""


def case(graph, operator, seen) -> Case:
    """Returns the sums that an operator has to do on input codes `seen`."""
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    tensors = [graph.tensors[index] for index in operator.inputs[1:] if index >= 0]
    if operator.is_custom:
        kernel, bias, scale, codebook = (tensor.data for tensor in tensors)
        name, options = (
            operator.name,
            OPERATORS[operator.name].unpack_options(operator.custom_options),
        )
        channels = scale.size
        count = (
            channels if name == "EdgeaxDepthwiseConv2D" else depth(name, options, source, channels)
        )
        rows = packing.unpack(kernel, 4, count, signed=False)
    else:
        name, options = built_in(graph, operator)
        scale, codebook = tensors[0].scale, ALL_CODES
        bias = np.zeros(scale.size, np.int32) if len(tensors) < 2 else tensors[1].data
        kernel = tensors[0].data.astype(np.int32) + 128
        rows = (
            kernel.reshape(-1, scale.size)
            if "Depthwise" in name
            else kernel.reshape(scale.size, -1)
        )
    return Case(
        name=name,
        operator=name,
        options=options,
        kind="single",
        input=seen,
        weights=rows.astype(np.uint8),
        bias=bias,
        scale=scale,
        codebook=codebook,
        input_scale=float(source.scale[0]),
        input_zero_point=int(source.zero_point[0]),
        output_scale=float(output.scale[0]),
        output_zero_point=int(output.zero_point[0]),
        output_shape=output.shape,
    )


def depth(name, options, source, channels) -> int:
    if name == "EdgeaxFullyConnected":
        return source.shape[-1]
    return options["kernel_height"] * options["kernel_width"] * source.shape[3] // options["groups"]


def built_in(graph, operator) -> tuple[str, dict[str, int]]:
    """Returns the operator of ours that does the same, and its options."""
    given, kernel = graph.tensors[operator.inputs[0]], graph.tensors[operator.inputs[1]]
    output, options = graph.tensors[operator.outputs[0]], operator.options
    zero, scale = int(output.zero_point[0]), float(output.scale[0])
    six = min(127, zero + round(6.0 / scale))
    low, high = {"NONE": (-128, 127), "RELU": (zero, 127), "RELU6": (zero, six)}[
        options["fused_activation_function"]
    ]
    clamp = {"output_min": low, "output_max": high}
    if operator.name == "FULLY_CONNECTED":
        return "EdgeaxFullyConnected", clamp
    window = {
        "kernel_height": kernel.shape[1],
        "kernel_width": kernel.shape[2],
        "stride_height": options["stride_h"],
        "stride_width": options["stride_w"],
        "dilation_height": options["dilation_h_factor"],
        "dilation_width": options["dilation_w_factor"],
        "padding": int(options["padding"] == "VALID"),
    }
    if operator.name == "DEPTHWISE_CONV_2D":
        multiplier = options["depth_multiplier"]
        return "EdgeaxDepthwiseConv2D", window | clamp | {"depth_multiplier": multiplier}
    groups = given.shape[3] // kernel.shape[3]
    return "EdgeaxConv2D", window | clamp | {"groups": groups}
