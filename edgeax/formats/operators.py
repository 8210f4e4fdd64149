"""The op table: every custom operator's name, version, inputs and options, declared once.

Two families: those of edgeax, whose options are numbers of its own, and those of files that can be
trained, whose options are attributes: gradients that a converter writes into train signatures,
under TensorFlow's names, and layers whose weights are variables.

`python -m edgeax.formats.operators --header FILE` writes the C++ twin of this table,
tflite_kernels/core/op_table.h; a test fails while that file is stale.
"""

import argparse
import dataclasses
import re
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edgeax.formats.files import write_atomically

PADDING_SAME = 0
PADDING_VALID = 1


class Option(NamedTuple):
    """One int32 option of an operator: its name, the lowest and highest value, its meaning."""

    name: str
    low: int
    high: int
    doc: str


@dataclasses.dataclass(frozen=True)
class CustomOperator:
    """One custom operator. Its options lie in the file as little-endian int32: version, options.

    Attributes:
        name: The custom_name in a flatbuffer, "Edgeax" and a CamelCase name.
        version: Version of the layout, 1 or more.
        inputs: Names of the input tensors, in order.
        options: The options, in order.
    """

    name: str
    version: int
    inputs: tuple[str, ...]
    options: tuple[Option, ...]

    @property
    def has_binary_weights(self) -> bool:
        """Whether its weights are bits, without a codebook."""
        return any(option.name == "input_packed" for option in self.options)

    @property
    def has_bases(self) -> bool:
        """Whether its weights are sums of bits."""
        return any(option.name == "bases" for option in self.options)

    @property
    def takes_int16(self) -> bool:
        """Whether its activations may have 16 bits."""
        return any(option in _WIDE_CLAMP for option in self.options)

    def pack_options(self, **values: int) -> bytes:
        """Returns the custom_options bytes of a flatbuffer operator.

        Args:
            **values: Every option by its name.
        Raises:
            ValueError: an option is missing, unknown or out of its range.
        """
        names = [option.name for option in self.options]
        missing = [name for name in names if name not in values]
        unknown = [name for name in values if name not in names]
        if missing or unknown:
            raise ValueError(
                f"`values` must hold exactly the options of {self.name}: {names}. Received: "
                f"missing {missing}, unknown {unknown}. Pass every option by its name."
            )
        self._check(values)
        return struct.pack(f"<{1 + len(names)}i", self.version, *(values[name] for name in names))

    def unpack_options(self, data: bytes) -> dict[str, int]:
        """Undoes `pack_options`.

        Raises:
            ValueError: `data` has the wrong length or version, or an option is out of its range.
        """
        layout = struct.Struct(f"<{1 + len(self.options)}i")
        if len(data) != layout.size:
            raise ValueError(
                f"`data` must hold the {layout.size} bytes of the options of {self.name}. "
                f"Received: {len(data)} bytes. The file is damaged or from another release."
            )
        version, *fields = layout.unpack(data)
        if version != self.version:
            raise ValueError(
                f"`version` of {self.name} must be {self.version}. Received: {version}. Read the "
                "file with the release of edgeax that wrote it."
            )
        values = {option.name: field for option, field in zip(self.options, fields, strict=True)}
        self._check(values)
        return values

    def _check(self, values: dict[str, int]) -> None:
        for option in self.options:
            if not option.low <= values[option.name] <= option.high:
                raise ValueError(
                    f"`{option.name}` of {self.name} must lie in [{option.low}, {option.high}]. "
                    f"Received: {values[option.name]}. Keep the built-in operator for this layer."
                )
        if values.get("output_min", 0) > values.get("output_max", 0):
            raise ValueError(
                f"`output_min` of {self.name} must not exceed `output_max`. Received: "
                f"{values['output_min']} and {values['output_max']}. Swap them."
            )


@dataclasses.dataclass(frozen=True)
class GradientOperator:
    """An operator whose custom options are a flexbuffer: a map of attributes.

    A gradient that TensorFlow has bears its name.

    Attributes:
        name: The custom_name in a flatbuffer.
        inputs: Names of the input tensors, in order.
        attributes: Names of the attributes that are read; others do not change the result.
    """

    name: str
    inputs: tuple[str, ...]
    attributes: tuple[str, ...]


_CODEBOOK_INPUTS = ("input", "weights", "bias", "scale", "codebook")
_SPARSE_INPUTS = ("input", "weights", "bias", "scale", "indices")
_CODED_INPUTS = ("input", "coded")
_BINARY_INPUTS = ("input", "weights", "bias", "scale")
_LOOKUP_INPUTS = (*_CODEBOOK_INPUTS, "points")
_SIGN_SUM_INPUTS = (*_BINARY_INPUTS, "gains", "thresholds")

_WINDOW = (
    Option("kernel_height", 1, 4096, "Rows of the kernel."),
    Option("kernel_width", 1, 4096, "Columns of the kernel."),
    Option("stride_height", 1, 4096, "Rows between two outputs."),
    Option("stride_width", 1, 4096, "Columns between two outputs."),
    Option("dilation_height", 1, 4096, "Rows between two taps of the kernel; 1 = dense."),
    Option("dilation_width", 1, 4096, "Columns between two taps of the kernel; 1 = dense."),
    Option("padding", PADDING_SAME, PADDING_VALID, "0 = SAME, 1 = VALID, as in TFLite."),
)

_DENSE_WINDOW = tuple(option for option in _WINDOW if not option.name.startswith("dilation"))

_GROUPS = Option("groups", 1, 65536, "Divides input and output channels.")

_SPARSE = (
    Option("block", 1, 16, "Weights in a block: 1, 2, 4, 8 or 16; see edgeax/formats/sparse.py."),
    Option("places", 0, 2, "How blocks are placed: 0 a bit mask, 1 in 4 bits each, 2 in 8 bits."),
)

_BINARY = (
    Option("input_packed", 0, 1, "1 = the input holds bits, 0 = int8 codes."),
    Option("output_packed", 0, 1, "1 = the output holds bits, 0 = int8 codes."),
    Option("input_channels", 1, 65536, "Numbers in the last dimension of the input."),
)

_INPUT_CHANNELS = _BINARY[-1]

_SIGN_SUM = (
    Option("planes", 1, 8, "Signs that an activation is a sum of."),
    Option("bases", 1, 8, "Signs that a weight is a sum of."),
)

_PAD_VALUE = Option("pad_value", 0, 1, "What positions outside the image count as.")

_KEEP_NUM_DIMS = Option("keep_num_dims", 0, 1, "1 = output [..., N], 0 = output [rows, N].")

_FLOAT = (
    Option("group", 0, 65536, "Weights of a row that share a scale, a multiple of 8; 0 = all."),
    Option("activation", 0, 3, "0 = none, 1 = 0 and up, 2 = 0 to 6, 3 = -1 to 1."),
)

_GROUP_BITS = Option("group_bits", 4, 16, "Base-2 logarithm of the weights that share a codebook.")

_CLAMP = (
    Option("output_min", -128, 127, "Lowest output code (fused activation)."),
    Option("output_max", -128, 127, "Highest output code, not below output_min."),
)

_WIDE_CLAMP = (
    Option("output_min", -32768, 32767, "Lowest output code, of int8 or int16 (fused activation)."),
    Option("output_max", -32768, 32767, "Highest output code, not below output_min."),
)

OPERATORS: dict[str, CustomOperator] = {
    operator.name: operator
    for operator in (
        CustomOperator(
            "EdgeaxConv2D",
            1,
            _CODEBOOK_INPUTS,
            (*_WINDOW, _GROUPS, *_WIDE_CLAMP),
        ),
        CustomOperator(
            "EdgeaxDepthwiseConv2D",
            1,
            _CODEBOOK_INPUTS,
            (
                *_WINDOW,
                Option("depth_multiplier", 1, 65536, "Output channels per input channel."),
                *_WIDE_CLAMP,
            ),
        ),
        CustomOperator(
            "EdgeaxFullyConnected",
            1,
            _CODEBOOK_INPUTS,
            (_KEEP_NUM_DIMS, *_WIDE_CLAMP),
        ),
        CustomOperator(
            "EdgeaxSparseConv2D",
            1,
            _SPARSE_INPUTS,
            (*_WINDOW, _GROUPS, *_SPARSE, *_WIDE_CLAMP),
        ),
        CustomOperator(
            "EdgeaxSparseFullyConnected",
            1,
            _SPARSE_INPUTS,
            (_KEEP_NUM_DIMS, *_SPARSE, *_WIDE_CLAMP),
        ),
        CustomOperator(
            "EdgeaxCodedConv2D",
            1,
            _CODED_INPUTS,
            (*_WINDOW, _GROUPS, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxCodedFullyConnected",
            1,
            _CODED_INPUTS,
            (_KEEP_NUM_DIMS, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxBinaryConv2D",
            1,
            _BINARY_INPUTS,
            (*_WINDOW, _GROUPS, *_BINARY, _PAD_VALUE, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxBinaryFullyConnected",
            1,
            _BINARY_INPUTS,
            (_KEEP_NUM_DIMS, *_BINARY, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxBinaryMaxPool2D",
            1,
            ("input",),
            (*_DENSE_WINDOW, _INPUT_CHANNELS),
        ),
        CustomOperator(
            "EdgeaxFloatFullyConnected",
            1,
            _CODEBOOK_INPUTS,
            (_KEEP_NUM_DIMS, *_FLOAT),
        ),
        CustomOperator(
            "EdgeaxSignSumConv2D",
            1,
            _SIGN_SUM_INPUTS,
            (*_WINDOW, _GROUPS, *_SIGN_SUM, _PAD_VALUE, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxSignSumFullyConnected",
            1,
            _SIGN_SUM_INPUTS,
            (_KEEP_NUM_DIMS, *_SIGN_SUM, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxVectorConv2D",
            1,
            _CODEBOOK_INPUTS,
            (*_WINDOW, _GROUPS, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxVectorFullyConnected",
            1,
            _CODEBOOK_INPUTS,
            (_KEEP_NUM_DIMS, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxGroupedConv2D",
            1,
            _CODEBOOK_INPUTS,
            (*_WINDOW, _GROUPS, _GROUP_BITS, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxGroupedFullyConnected",
            1,
            _CODEBOOK_INPUTS,
            (_KEEP_NUM_DIMS, _GROUP_BITS, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxLookupConv2D",
            1,
            _LOOKUP_INPUTS,
            (*_WINDOW, _GROUPS, *_CLAMP),
        ),
        CustomOperator(
            "EdgeaxLookupFullyConnected",
            1,
            _LOOKUP_INPUTS,
            (_KEEP_NUM_DIMS, *_CLAMP),
        ),
    )
}

_CONVOLUTION = ("strides", "padding", "explicit_paddings", "dilations", "data_format")
_PREDICTION = (
    "bits",
    "predicted_bits",
    "gradient_bits",
    "predicted_gradient_bits",
    "carry",
    "beta",
)
_POOL = ("ksize", "strides", "padding", "data_format")

GRADIENT_OPERATORS: dict[str, GradientOperator] = {
    operator.name: operator
    for operator in (
        GradientOperator(
            "Conv2DBackpropFilter", ("input", "filter_sizes", "out_backprop"), _CONVOLUTION
        ),
        GradientOperator(
            "Conv2DBackpropInput", ("input_sizes", "filter", "out_backprop"), _CONVOLUTION
        ),
        GradientOperator(
            "DepthwiseConv2dNativeBackpropFilter",
            ("input", "filter_sizes", "out_backprop"),
            _CONVOLUTION,
        ),
        GradientOperator(
            "DepthwiseConv2dNativeBackpropInput",
            ("input_sizes", "filter", "out_backprop"),
            _CONVOLUTION,
        ),
        GradientOperator("MaxPoolGrad", ("orig_input", "orig_output", "grad"), _POOL),
        GradientOperator("AvgPoolGrad", ("orig_input_shape", "grad"), _POOL),
        GradientOperator("ReluGrad", ("gradients", "features"), ()),
        GradientOperator("Relu6Grad", ("gradients", "features"), ()),
        GradientOperator("LeakyReluGrad", ("gradients", "features"), ("alpha",)),
        GradientOperator("EluGrad", ("gradients", "outputs"), ()),
        *(
            GradientOperator(
                name, ("input", "filter_sizes", "out_backprop"), (*_CONVOLUTION, *_PREDICTION)
            )
            for name in ("EdgeaxPredictedSigns", "EdgeaxDepthwisePredictedSigns")
        ),
    )
}

_VARIABLE_INPUTS = ("input", "filter", "bias")

# Layers whose weights change from call to call. Their kernels have TensorFlow's order of axes.
VARIABLE_OPERATORS: dict[str, GradientOperator] = {
    operator.name: operator
    for operator in (
        GradientOperator("EdgeaxVariableConv2D", _VARIABLE_INPUTS, (*_CONVOLUTION, "activation")),
        GradientOperator(
            "EdgeaxVariableDepthwiseConv2D", _VARIABLE_INPUTS, (*_CONVOLUTION, "activation")
        ),
        GradientOperator("EdgeaxVariableFullyConnected", _VARIABLE_INPUTS, ("activation",)),
    )
}

# What a file that can be trained may have beside built-in operators and those of `OPERATORS`.
TRAINING_OPERATORS = {**GRADIENT_OPERATORS, **VARIABLE_OPERATORS}

_HEADER = """\
// Generated by `python -m edgeax.formats.operators --header FILE`. Do not edit.
#pragma once

#include <cstdint>

namespace edgeax {{

// An int32 option of a custom operator: its name, its lowest and its highest value.
struct OptionSpec {{
  const char* name;
  int32_t low;
  int32_t high;
}};

// What is needed to check any custom operator and to name the part that is wrong. In the file the
// custom options are 1 + option_count little-endian int32: the version, then the options in order.
struct OperatorSpec {{
  const char* name;
  int32_t version;
  int32_t input_count;
  const char* const* input_names;
  int32_t option_count;
  const OptionSpec* options;
}};

// Positions of the inputs of the operators below.
enum InputIndex : int32_t {{
{inputs}
}};
{operators}
// Every operator above.
// clang-format off
constexpr OperatorSpec kOperatorSpecs[] = {{
{specs}
}};
// clang-format on

// Gradients under TensorFlow's names, and layers whose weights change. Their custom options are a
// flexbuffer of attributes.

// clang-format off
{gradient_inputs}

constexpr OperatorSpec kGradientSpecs[] = {{
{gradient_specs}
}};
// clang-format on

// Places in kGradientSpecs.
enum GradientIndex : int32_t {{
{gradient_indices}
}};

}}  // namespace edgeax
"""

_OPERATOR = """
// {name}

constexpr const char k{short}Name[] = "{name}";
constexpr int32_t k{short}Version = {version};
constexpr int32_t k{short}InputCount = {input_count};
constexpr int32_t k{short}OptionCount = {option_count};

// The options as they follow the version in the file.
struct {short}Options {{
{fields}
}};

// clang-format off
static_assert(sizeof({short}Options) ==
              k{short}OptionCount * sizeof(int32_t),
              "{short}Options must have no padding");

constexpr const char* k{short}InputNames[k{short}InputCount] = {{
{input_names}
}};

constexpr OptionSpec k{short}OptionSpecs[k{short}OptionCount] = {{
{option_specs}
}};
// clang-format on
"""


def c_header() -> str:
    """Returns the text of tflite_kernels/core/op_table.h.

    Raises:
        ValueError: two operators have an input of the same name at different positions.
    """
    operators, gradients = OPERATORS.values(), TRAINING_OPERATORS.values()
    return _HEADER.format(
        inputs=_lines(f"k{_camel(name)} = {i}," for name, i in _input_positions().items()),
        operators="".join(map(_c_operator, operators)),
        specs=_lines(map(_c_spec, operators)),
        gradient_inputs="\n".join(map(_c_gradient_inputs, gradients)),
        gradient_specs=_lines(map(_c_gradient_spec, gradients)),
        gradient_indices=_lines(f"k{gradient.name}," for gradient in gradients),
    )


def _c_gradient_inputs(gradient: GradientOperator) -> str:
    names = ", ".join(f'"{name}"' for name in gradient.inputs)
    return f"constexpr const char* k{gradient.name}InputNames[] = {{{names}}};"


def _c_gradient_spec(gradient: GradientOperator) -> str:
    inputs = f"{len(gradient.inputs)}, k{gradient.name}InputNames"
    return f'{{"{gradient.name}", 1, {inputs}, 0, nullptr}},'


def _c_operator(operator: CustomOperator) -> str:
    return _OPERATOR.format(
        name=operator.name,
        short=_short(operator),
        version=operator.version,
        input_count=len(operator.inputs),
        option_count=len(operator.options),
        fields=_lines(f"// {o.doc}\n  int32_t {o.name};" for o in operator.options),
        input_names=_lines(f'"{name}",' for name in operator.inputs),
        option_specs=_lines(f'{{"{o.name}", {o.low}, {o.high}}},' for o in operator.options),
    )


def _c_spec(operator: CustomOperator) -> str:
    short = f"k{_short(operator)}"
    parts = ("Name", "Version", "InputCount", "InputNames", "OptionCount", "OptionSpecs")
    return "{" + ",\n   ".join(short + part for part in parts) + "},"


def _input_positions() -> dict[str, int]:
    """Returns the position of every input name; one C++ enum serves all operators."""
    positions: dict[str, int] = {}
    for operator in OPERATORS.values():
        for position, name in enumerate(operator.inputs):
            if positions.setdefault(name, position) != position:
                raise ValueError(
                    f"`inputs` of {operator.name} must have {name!r} at position "
                    f"{positions[name]}, as other operators do. Received: position {position}. "
                    "Reorder or rename the input."
                )
    return positions


def _short(operator: CustomOperator) -> str:
    return operator.name.removeprefix("Edgeax")


def _camel(name: str) -> str:
    return re.sub(r"(?:^|_)([a-z0-9])", lambda match: match[1].upper(), name)


def _lines(items: Iterable[str]) -> str:
    return "\n".join(f"  {item}" for item in items)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the generated header to the file given by `--header`."""
    parser = argparse.ArgumentParser(prog="python -m edgeax.formats.operators")
    parser.add_argument("--header", required=True, help="the file to write")
    write_atomically(parser.parse_args(arguments).header, c_header().encode())


if __name__ == "__main__":
    main()
