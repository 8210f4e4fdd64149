import numpy as np
import pytest

from edgeax.runtime.mcu.cpp_values import Constants, array_bytes, literal
from edgeax.runtime.mcu.program import Array, Step, Struct
from tests.emulation import process


@pytest.mark.parametrize(
    "value, expected",
    [
        (0, "0"),
        (-7, "-7"),
        (True, "true"),
        (2**31 - 1, "2147483647"),
        (-(2**31), "INT32_MIN"),
        (2**31, "2147483648u"),
        (2**40, "1099511627776ll"),
        (-(2**63), "INT64_MIN"),
        (0.5, "0.5f"),
        (2.0, "2.0f"),
        (np.float32(0.1), "0.100000001f"),
        (1e-20, "9.99999968e-21f"),
        (float("inf"), "__builtin_inff()"),
        (float("-inf"), "-__builtin_inff()"),
    ],
)
def test_numbers_are_written_as_cpp(value, expected):
    value = float(np.float32(value)) if isinstance(value, float) else value
    assert literal(value) == expected


def test_every_float_comes_back_as_it_was():
    drawn = np.random.default_rng(0).integers(0, 2**32, 2000, np.uint32).view(np.float32)
    finite = drawn[np.isfinite(drawn)]
    assert all(np.float32(literal(value)[:-1]) == value for value in finite)


def test_arguments_are_an_aggregate_with_named_lines():
    constants = Constants()
    weights = Array("weights", np.int8([[1, -2], [3, -128]]))
    inner = Struct("Clamp", {"min": -128, "max": 127})
    fields = {"depth": 2, "clamp": inner, "weights": weights, "bias": None, "kind": "Kind::kA"}
    assert constants.arguments(3, Struct("DenseArgs", fields)) == "k3_args"
    assert constants.text == "\n".join(
        [
            "alignas(4) constexpr int8_t k3_weights[4] = {",
            "    1, -2, 3, -128,",
            "};",
            "",
            "constexpr DenseArgs k3_args = {",
            "    2,  // depth",
            "    {-128, 127},  // clamp",
            "    k3_weights,  // weights",
            "    nullptr,  // bias",
            "    Kind::kA,  // kind",
            "};",
        ]
    )
    assert constants.size_bytes == 4


def test_equal_arrays_are_written_once():
    constants = Constants()
    names = [constants.array(step, Array("a", np.int32([1, 2]))) for step in (0, 1)]
    assert names == ["k0_a", "k0_a"] and constants.size_bytes == 8
    other = constants.array(1, Array("a", np.int32([1, 2]), alignment=16))
    assert other == "k1_a" and "alignas(16)" in constants.text


def test_arrays_of_one_step_have_different_names():
    constants = Constants()
    names = {constants.array(0, Array("a", np.int8([number]))) for number in range(3)}
    assert names == {"k0_a", "k0_a_2", "k0_a_3"}


def test_the_bytes_of_a_step_are_those_of_all_its_arrays():
    inner = Struct("Inner", {"shift": Array("shift", np.int8([1, 2, 3]))})
    arguments = Struct("Args", {"inner": inner, "bias": Array("bias", np.int32([1]))})
    step = Step("0 X, y", "X", "x.h", arguments, (0, Array("table", np.int16([1, 2]))), (1,))
    assert array_bytes(step) == 3 + 4 + 4


def test_all_types_compile_without_a_warning(tmp_path):
    constants = Constants()
    types = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool")
    extremes = [np.iinfo(t) for t in types[:-1]]
    arrays = [np.array([e.min, e.max], e.dtype) for e in extremes]
    arrays += [np.array([True, False]), np.float32([0.1, -np.inf, 3e38])]
    names = [constants.array(0, Array(f"a{i}", array)) for i, array in enumerate(arrays)]
    uses = "".join(f"+ static_cast<int>({name}[0] == {name}[1])" for name in names)
    source = tmp_path / "all.cc"
    source.write_text(f"#include <stdint.h>\n{constants.text}\nint main() {{ return 0 {uses}; }}\n")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror"]
    process.compile_or_raise(["g++", *flags, source, "-o", tmp_path / "all"])
