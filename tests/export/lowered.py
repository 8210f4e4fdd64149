"""A network frozen and converted once, to be lowered in several ways; and its operators' sums."""

import dataclasses
import re
import warnings

import numpy as np

import edgeax
from edgeax.export.carriers import Carrier, Codes, carriers_of, integer_codes
from edgeax.export.convert import convert
from edgeax.export.freeze import freeze
from edgeax.export.frozen import Frozen
from edgeax.export.lower import FORMS, lower
from edgeax.export.stored import Stored
from edgeax.formats import packing, sparse, vector_rows
from edgeax.formats.flatbuffer import Model
from edgeax.formats.operators import OPERATORS
from edgeax.model import preset
from edgeax.runtime.interpreter import Interpreter
from tests.tflite_kernels.native import Case

INT8 = edgeax.Rule(".*", input=edgeax.Quantize("int8"), output=edgeax.Quantize("int8"))


def kernel_rule(name, filter):
    """What a preset does to the kernels of some layers."""
    return edgeax.Rule(filter, kernel=preset(name).rules[0].slots["kernel"])


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
        stored = lower(model, self.frozen.weights, FORMS if pack else ())
        return model, {entry.path: entry for entry in stored}

    def carrier(self, path: str) -> tuple[Model, Carrier, Codes]:
        """Returns the model as the converter made it, the operator that holds a layer's kernel, and
        the kernel's codes.
        """
        model = Model.from_bytes(self.content)
        found = carriers_of(model.subgraphs[0], self.frozen.weights)
        place = [weight.path for weight in self.frozen.weights].index(path)
        return model, found[place][0], integer_codes(self.frozen.weights[place].encoded)

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


def operator_of(model: Model, path: str):
    """Returns the first operator that holds the kernel of a layer."""
    graph = model.subgraphs[0]
    return next(op for op in graph.operators if kernel_path(graph, op) == path)


def options_of(operator) -> dict[str, int]:
    """Returns the options of an operator of ours."""
    return OPERATORS[operator.name].unpack_options(operator.custom_options)


def rows_of(graph, operator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads what an operator of ours stores.

    Returns:
        Its rows as numbers of entries in a table of codes, the table, and the scales.
    """
    weights, _, scale, last = (graph.tensors[index].data for index in operator.inputs[1:])
    channels, options = scale.size, options_of(operator)
    if operator.name == "EdgeaxDepthwiseConv2D":
        count = channels
    else:
        count = depth(operator.name, options, graph.tensors[operator.inputs[0]], channels)
    if operator.name.startswith("EdgeaxVector"):
        rows = vector_rows.decode(vector_rows.VectorRows(weights, last), channels)
        return (rows.astype(np.int32) + 128).astype(np.uint8), ALL_CODES, scale
    if not operator.name.startswith("EdgeaxSparse"):
        bits = last.size.bit_length() - 1
        return packing.unpack(weights, bits, count, signed=False), last, scale
    stored = sparse.SparseRows(count, options["block"], options["places"], weights, last)
    rows = sparse.decode(stored, channels)
    return (rows.astype(np.int32) + 128).astype(np.uint8), ALL_CODES, scale


def codes_and_scale(model: Model, path: str, shape) -> tuple[np.ndarray, np.ndarray]:
    """Returns the integer codes of a layer's kernel in canonical layout, and its scales."""
    graph, operator = model.subgraphs[0], operator_of(model, path)
    if not operator.is_custom:
        kernel = graph.tensors[operator.inputs[1]]
        codes, scale = kernel.data, kernel.scale
        depthwise = operator.name == "DEPTHWISE_CONV_2D"
        assert kernel.quantized_axis == (3 if depthwise else 0)
        assert not kernel.zero_point.any()
    else:
        entries, table, scale = rows_of(graph, operator)
        codes, depthwise = table[entries], operator.name == "EdgeaxDepthwiseConv2D"
    if depthwise:
        return codes.reshape(shape), scale
    return np.moveaxis(codes.reshape(shape[-1], *shape[:-1]), 0, -1), scale


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
        rows, codebook, scale = rows_of(graph, operator)
        bias = tensors[1].data
        # What a sparse or vector operator has to do is what the same with a codebook does.
        name, options = re.sub("Sparse|Vector", "", operator.name), options_of(operator)
        options = {key: n for key, n in options.items() if key not in ("block", "places")}
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
    if name.endswith("FullyConnected"):
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
