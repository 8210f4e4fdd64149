"""TensorFlow Lite Micro: which operators and types it has, and a header with those of a file.

What it has was read from its sources of August 2026.
"""

import re
from collections.abc import Iterable
from pathlib import PurePath

from edgeax.formats import decode_lut
from edgeax.formats.flatbuffer import Model, Operator, Subgraph
from edgeax.formats.operators import OPERATORS

BUILT_IN = frozenset(
    """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
    BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM
    DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL
    EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
    GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG
    LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM
    MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX
    REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT
    SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE
    SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV
    UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
    """.split()
)

_FLOAT32_ONLY = frozenset(
    "CEIL COS EXP FLOOR FLOOR_DIV FLOOR_MOD L2_POOL_2D LOG ROUND SIN SQRT SQUARE".split()
)
_NO_INT16 = frozenset(
    """
    ADD_N ARG_MAX ARG_MIN BATCH_TO_SPACE_ND CUMSUM DEPTH_TO_SPACE DIV ELU EMBEDDING_LOOKUP GATHER
    GATHER_ND HARD_SWISH L2_NORMALIZATION LOG_SOFTMAX MIRROR_PAD NEG RESIZE_BILINEAR
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH ZEROS_LIKE
    """.split()
)

# Whose methods of MicroMutableOpResolver are not spelled word by word.
_METHODS = {
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_MATMUL": "AddBatchMatMul",
    "CONV_2D": "AddConv2D",
    "CUMSUM": "AddCumSum",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "L2_POOL_2D": "AddL2Pool2D",
    "MAX_POOL_2D": "AddMaxPool2D",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
    decode_lut.OPERATOR: "AddDecode",
}

_CPP_WORDS = frozenset(
    """
    alignas alignof asm auto bool break case catch char class const constexpr continue decltype
    default delete do double else enum explicit extern false float for friend goto if inline int
    long mutable namespace new noexcept nullptr operator private protected public register return
    short signed sizeof static struct switch template this throw true try typedef typeid typename
    union unsigned using virtual void volatile while edgeax tflite std
    """.split()
)


def lacks(file: Model) -> list[str]:
    """Returns what TensorFlow Lite Micro has not of what a file needs, a text each; none is best.

    Example: `["EXP of int8 values, at 'net/exp'"]`
    """
    found: dict[str, None] = {}
    for graph in file.subgraphs:
        for operator in graph.operators:
            text = _lack(graph, operator)
            if text:
                found[text] = None
    return [*found]


def _lack(graph: Subgraph, operator: Operator) -> str:
    name = operator.name
    at = f"at {graph.tensors[operator.outputs[0]].name!r}" if operator.outputs else "without output"
    if operator.is_custom:
        return "" if name in OPERATORS or name == decode_lut.OPERATOR else f"{name}, {at}"
    if name not in BUILT_IN:
        return f"{name}, {at}"
    types = {graph.tensors[i].dtype for i in operator.inputs if i >= 0}
    activations = types & {"int8", "int16"}
    if name in _FLOAT32_ONLY and activations:
        return f"{name} of {min(activations)} values, {at}"
    return f"{name} of int16 values, {at}" if name in _NO_INT16 and "int16" in types else ""


def register_name(operator: str) -> str:
    """Returns the function of adapters/tflm/edgeax_ops.h that gives an operator of ours.

    Example: `register_name("EdgeaxConv2D")` is `"Register_EDGEAX_CONV_2D"`.
    """
    return "Register_" + re.sub(r"(?<=[a-z])(?=[A-Z0-9])", "_", operator).upper()


def op_resolver_header(operators: Iterable[str], file_name: str) -> str:
    """Returns a C++ header with a resolver that has the operators of a file and no others.

    Args:
        operators: Their names, built-in ones as in the schema.
        file_name: Of the model; its stem names the namespace.

    Raises:
        ValueError: TensorFlow Lite Micro has not all of them.
    """
    names = sorted(set(operators))
    missing = [
        n for n in names if n not in BUILT_IN and n not in OPERATORS and n != decode_lut.OPERATOR
    ]
    if missing:
        raise ValueError(
            f"`operators` must be operators of TensorFlow Lite Micro or of edgeax. Received: "
            f"{missing}. Export with runtime='tflm'."
        )
    stem = PurePath(file_name).stem
    includes = ['#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"']
    if any(name in OPERATORS for name in names):
        includes.append('#include "tflite_kernels/adapters/tflm/edgeax_ops.h"')
    calls = "".join(
        f"  if (resolver.{_call(name)} != kTfLiteOk) return kTfLiteError;\n" for name in names
    )
    lines = "\n".join(includes)
    namespace = identifier(stem)
    printable = stem.encode("ascii", "replace").decode().replace("\\", "/")
    return f"""// The operators of {printable}, for TensorFlow Lite Micro. Written by edgeax.
#pragma once

{lines}

namespace {namespace} {{

using OpResolver = tflite::MicroMutableOpResolver<{len(names)}>;

inline TfLiteStatus AddOps(OpResolver& resolver) {{
{calls}  return kTfLiteOk;
}}

}}  // namespace {namespace}
"""


def _call(name: str) -> str:
    if name in OPERATORS:
        return f'AddCustom("{name}", edgeax::tflm::{register_name(name)}())'
    words = "".join(word.capitalize() for word in name.split("_"))
    return f"{_METHODS.get(name, f'Add{words}')}()"


def identifier(text: str) -> str:
    """Returns a name for C++ that reads like a text.

    Example: `identifier("2 words")` is `"model_2_words"`.
    """
    name = re.sub(r"[^0-9A-Za-z]+", "_", text).strip("_")
    is_plain = name.isidentifier() and name not in _CPP_WORDS
    return name if is_plain else f"model_{name}".rstrip("_")
