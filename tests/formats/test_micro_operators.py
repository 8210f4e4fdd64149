import re
from pathlib import Path

import pytest

from edgeax.formats import micro_operators
from edgeax.formats.flatbuffer import Model
from edgeax.formats.operators import OPERATORS
from tests.tflite_kernels import models

KERNELS = Path(__file__).resolve().parents[2] / "tflite_kernels"


def test_a_header_names_each_operator_once_and_nothing_else():
    used = ["CONV_2D", "SOFTMAX", "EdgeaxConv2D", "CONV_2D"]
    assert micro_operators.op_resolver_header(used, "kws.tflite") == (
        "// The operators of kws, for TensorFlow Lite Micro. Written by edgeax.\n"
        "#pragma once\n"
        "\n"
        '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"\n'
        '#include "tflite_kernels/adapters/tflm/edgeax_ops.h"\n'
        "\n"
        "namespace kws {\n"
        "\n"
        "using OpResolver = tflite::MicroMutableOpResolver<3>;\n"
        "\n"
        "inline TfLiteStatus AddOps(OpResolver& resolver) {\n"
        "  if (resolver.AddConv2D() != kTfLiteOk) return kTfLiteError;\n"
        '  if (resolver.AddCustom("EdgeaxConv2D", edgeax::tflm::Register_EDGEAX_CONV_2D()) '
        "!= kTfLiteOk) return kTfLiteError;\n"
        "  if (resolver.AddSoftmax() != kTfLiteOk) return kTfLiteError;\n"
        "  return kTfLiteOk;\n"
        "}\n"
        "\n"
        "}  // namespace kws\n"
    )


def test_built_in_operators_alone_need_no_header_of_edgeax():
    text = micro_operators.op_resolver_header(["TFLM_DECODE", "ARG_MAX"], "a.tflite")
    assert "edgeax_ops.h" not in text
    assert "AddDecode()" in text and "AddArgMax()" in text


def test_every_operator_of_edgeax_is_declared_and_defined():
    folder = KERNELS / "adapters" / "tflm"
    for file in ("edgeax_ops.h", "edgeax_ops.cc"):
        names = re.findall(r"TFLMRegistration\* (Register_\w+)\(\)", (folder / file).read_text())
        assert names == [micro_operators.register_name(name) for name in OPERATORS]


@pytest.mark.parametrize(
    "text, name",
    [
        ("kws", "kws"),
        ("2 words", "model_2_words"),
        ("my-model.v1", "my_model_v1"),
        ("class", "model_class"),
        ("edgeax", "model_edgeax"),
        ("模型", "model"),
    ],
)
def test_a_name_for_cpp_reads_like_the_file(text, name):
    assert micro_operators.identifier(text) == name


def test_an_operator_that_is_missing_is_named_and_no_header_written():
    with pytest.raises(ValueError, match=r"Received: \['GELU'\]"):
        micro_operators.op_resolver_header(["GELU", "ADD"], "a.tflite")


def file_of(name, dtype="float32", custom=None):
    """A file of one operator of one input."""
    model = models.Model()
    scale = None if dtype == "float32" else 0.5
    source = model.add(models.Tensor("x", (1, 4), dtype, scale=scale))
    output = model.add(models.Tensor("y", (1, 4), dtype, scale=scale))
    builtin = None if custom else getattr(models.schema.BuiltinOperator, name)
    model.operators.append(models.Operator([source], [output], custom, builtin=builtin))
    model.inputs, model.outputs = [source], [output]
    return Model.from_bytes(model.write())


@pytest.mark.parametrize(
    "file, wanted",
    [
        (file_of("EXP"), []),
        (file_of("EXP", "int8"), ["EXP of int8 values, at 'y'"]),
        (file_of("HARD_SWISH", "int8"), []),
        (file_of("HARD_SWISH", "int16"), ["HARD_SWISH of int16 values, at 'y'"]),
        (file_of("GELU"), ["GELU, at 'y'"]),
        (file_of("", custom="Foreign"), ["Foreign, at 'y'"]),
        (file_of("", custom="EdgeaxConv2D"), []),
        (file_of("", custom="TFLM_DECODE"), []),
    ],
)
def test_what_is_missing_is_named_with_its_type_and_place(file, wanted):
    assert micro_operators.lacks(file) == wanted
