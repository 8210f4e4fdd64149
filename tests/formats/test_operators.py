import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from tensorflow.python.framework import op_def_registry

from edgeax.formats import operators
from edgeax.formats.operators import (
    GRADIENT_OPERATORS,
    OPERATORS,
    TRAINING_OPERATORS,
    CustomOperator,
    Option,
)

REPOSITORY = Path(__file__).resolve().parents[2]
HEADER = REPOSITORY / "tflite_kernels" / "core" / "op_table.h"

CONV = {
    "kernel_height": 3,
    "kernel_width": 5,
    "stride_height": 1,
    "stride_width": 2,
    "dilation_height": 4,
    "dilation_width": 1,
    "padding": 1,
    "groups": 2,
    "output_min": -128,
    "output_max": 127,
}


def test_the_committed_header_is_not_stale():
    assert HEADER.read_text() == operators.c_header(), (
        "run python -m edgeax.formats.operators --header tflite_kernels/core/op_table.h"
    )


def test_the_command_writes_the_header(tmp_path):
    operators.main(["--header", str(tmp_path / "op_table.h")])
    assert (tmp_path / "op_table.h").read_text() == operators.c_header()


def test_options_lie_in_the_file_as_the_version_and_the_fields_in_order():
    packed = OPERATORS["EdgeaxConv2D"].pack_options(**CONV)
    assert packed == struct.pack("<11i", 1, 3, 5, 1, 2, 4, 1, 1, 2, -128, 127)
    packed = OPERATORS["EdgeaxFullyConnected"].pack_options(
        keep_num_dims=1, output_min=-5, output_max=6
    )
    assert packed.hex() == "0100000001000000fbffffff06000000"
    packed = OPERATORS["EdgeaxSparseConv2D"].pack_options(**CONV, block=4, places=2)
    assert packed == struct.pack("<13i", 1, 3, 5, 1, 2, 4, 1, 1, 2, 4, 2, -128, 127)
    packed = OPERATORS["EdgeaxSparseFullyConnected"].pack_options(
        keep_num_dims=1, block=16, places=1, output_min=-5, output_max=6
    )
    assert packed.hex() == "01000000010000001000000001000000fbffffff06000000"
    binary = {"input_packed": 1, "output_packed": 0, "input_channels": 66}
    packed = OPERATORS["EdgeaxBinaryConv2D"].pack_options(**CONV, **binary, pad_value=1)
    assert packed == struct.pack("<15i", 1, 3, 5, 1, 2, 4, 1, 1, 2, 1, 0, 66, 1, -128, 127)
    packed = OPERATORS["EdgeaxBinaryFullyConnected"].pack_options(
        keep_num_dims=1, **binary, output_min=-5, output_max=6
    )
    assert packed == struct.pack("<7i", 1, 1, 1, 0, 66, -5, 6)
    packed = OPERATORS["EdgeaxFloatFullyConnected"].pack_options(
        keep_num_dims=1, group=32, activation=2
    )
    assert packed == struct.pack("<4i", 1, 1, 32, 2)
    packed = OPERATORS["EdgeaxLookupConv2D"].pack_options(**CONV)
    assert packed == struct.pack("<11i", 1, 3, 5, 1, 2, 4, 1, 1, 2, -128, 127)
    packed = OPERATORS["EdgeaxLookupFullyConnected"].pack_options(
        keep_num_dims=1, output_min=-5, output_max=6
    )
    assert packed == struct.pack("<4i", 1, 1, -5, 6)
    packed = OPERATORS["EdgeaxVectorConv2D"].pack_options(**CONV)
    assert packed == struct.pack("<11i", 1, 3, 5, 1, 2, 4, 1, 1, 2, -128, 127)
    packed = OPERATORS["EdgeaxVectorFullyConnected"].pack_options(
        keep_num_dims=1, output_min=-5, output_max=6
    )
    assert packed == struct.pack("<4i", 1, 1, -5, 6)


def test_the_inputs_are_those_of_the_kernels():
    for operator in OPERATORS.values():
        key = ["indices"] if "Sparse" in operator.name else ["codebook"]
        key = [] if "Binary" in operator.name else key
        key = ["gains", "thresholds"] if "SignSum" in operator.name else key
        key = ["codebook", "points"] if "Lookup" in operator.name else key
        coded = "Coded" in operator.name
        wanted = ("coded",) if coded else ("weights", "bias", "scale", *key)
        wanted = () if "Pool" in operator.name else wanted
        assert operator.inputs == ("input", *wanted)
        assert operator.version == 1


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=lambda operator: operator.name)
@pytest.mark.parametrize("end", ["low", "high"])
def test_options_at_the_ends_of_their_ranges_survive(operator, end):
    values = {option.name: getattr(option, end) for option in operator.options}
    assert operator.unpack_options(operator.pack_options(**values)) == values


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=lambda operator: operator.name)
def test_each_option_outside_its_range_is_named(operator):
    for option in operator.options:
        for value in (option.low - 1, option.high + 1):
            values = {other.name: other.low for other in operator.options} | {option.name: value}
            message = rf"`{option.name}` of {operator.name} must lie in .*Received: {value}"
            with pytest.raises(ValueError, match=message):
                operator.pack_options(**values)
            data = struct.pack(f"<{1 + len(values)}i", operator.version, *values.values())
            with pytest.raises(ValueError, match=message):
                operator.unpack_options(data)


def test_missing_and_unknown_options_are_named():
    values = {**CONV, "grups": 1}
    del values["groups"]
    with pytest.raises(ValueError, match=r"missing \['groups'\], unknown \['grups'\]"):
        OPERATORS["EdgeaxConv2D"].pack_options(**values)


def test_an_empty_output_range_is_rejected():
    with pytest.raises(ValueError, match=r"`output_min` of EdgeaxConv2D must not exceed.*5.*4"):
        OPERATORS["EdgeaxConv2D"].pack_options(**CONV | {"output_min": 5, "output_max": 4})


@pytest.mark.parametrize("length", [0, 4, 40, 43, 45, 48])
def test_options_of_another_length_are_rejected(length):
    with pytest.raises(ValueError, match=f"44 bytes .*EdgeaxConv2D.*Received: {length} bytes"):
        OPERATORS["EdgeaxConv2D"].unpack_options(bytes(length))


def test_options_of_another_version_are_rejected():
    packed = struct.pack("<i", 2) + OPERATORS["EdgeaxConv2D"].pack_options(**CONV)[4:]
    with pytest.raises(ValueError, match="`version` of EdgeaxConv2D must be 1. Received: 2"):
        OPERATORS["EdgeaxConv2D"].unpack_options(packed)


def test_inputs_of_one_name_must_have_one_position(monkeypatch):
    other = CustomOperator("EdgeaxOther", 1, ("weights",), (Option("x", 0, 1, "X."),))
    monkeypatch.setitem(OPERATORS, other.name, other)
    with pytest.raises(ValueError, match="'weights' at position 1.*position 0"):
        operators.c_header()


def test_a_compiler_reads_the_same_table_from_the_header(tmp_path):
    """The plugin's generic check reads kOperatorSpecs: it must say what the Python table says."""
    compiler = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    if compiler is None:
        pytest.fail("a C++17 compiler is needed: install g++")
    (tmp_path / "print.cc").write_text(
        """
        #include <cstdio>
        #include "tflite_kernels/core/op_table.h"
        int main() {
          for (const edgeax::OperatorSpec& op : edgeax::kOperatorSpecs) {
            std::printf("%s %d\\n", op.name, op.version);
            for (int i = 0; i < op.input_count; ++i) std::printf("%s\\n", op.input_names[i]);
            for (int i = 0; i < op.option_count; ++i) {
              const edgeax::OptionSpec& option = op.options[i];
              std::printf("%s %d %d\\n", option.name, option.low, option.high);
            }
          }
          for (const edgeax::OperatorSpec& op : edgeax::kGradientSpecs) {
            std::printf("%s %d\\n", op.name, op.option_count);
            for (int i = 0; i < op.input_count; ++i) std::printf("%s\\n", op.input_names[i]);
          }
          static_assert(edgeax::kMaxPoolGrad == 4, "place of a gradient");
          static_assert(edgeax::kCodebook == 4, "position of the last input");
          static_assert(sizeof(edgeax::Conv2DOptions) == 40, "options after the version");
        }
        """
    )
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fno-exceptions", "-fno-rtti"]
    command = [compiler, "-std=c++17", *warnings, f"-I{REPOSITORY}", "print.cc", "-o", "print"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    printed = subprocess.run([tmp_path / "print"], capture_output=True, text=True, check=True)
    expected = []
    for operator in OPERATORS.values():
        expected += [f"{operator.name} {operator.version}", *operator.inputs]
        expected += [f"{option.name} {option.low} {option.high}" for option in operator.options]
    for gradient in TRAINING_OPERATORS.values():
        expected += [f"{gradient.name} 0", *gradient.inputs]
    assert printed.stdout.splitlines() == expected


def test_the_struct_fields_follow_the_order_of_the_table():
    header = operators.c_header()
    for operator in OPERATORS.values():
        struct_name = operator.name.removeprefix("Edgeax") + "Options"
        body = re.search(rf"struct {struct_name} {{(.*?)}};", header, re.DOTALL)[1]
        fields = re.findall(r"int32_t (\w+);", body)
        assert fields == [option.name for option in operator.options]


def test_an_operator_takes_16_bit_activations_if_its_limits_are_so_wide():
    wide = {name for name, operator in OPERATORS.items() if operator.takes_int16}
    kinds = {"Conv2D", "DepthwiseConv2D", "FullyConnected", "SparseConv2D", "SparseFullyConnected"}
    assert wide == {f"Edgeax{kind}" for kind in kinds}


def test_gradients_have_the_names_inputs_and_attributes_that_tensorflow_gives_them():
    own = {"EdgeaxPredictedSigns", "EdgeaxDepthwisePredictedSigns"}
    for gradient in (GRADIENT_OPERATORS[name] for name in {*GRADIENT_OPERATORS} - own):
        definition = op_def_registry.get(gradient.name)
        assert [argument.name for argument in definition.input_arg] == [*gradient.inputs]
        assert {*gradient.attributes} <= {attribute.name for attribute in definition.attr}
