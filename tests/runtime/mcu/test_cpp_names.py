import pytest

from edgeax.runtime.mcu import cpp_names


@pytest.mark.parametrize("name", ["m", "Model2", "my_model", "x_1"])
def test_names_of_cpp_are_taken(name):
    cpp_names.check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "2x", "_x", "x_", "a__b", "a-b", "a b", "int", "std", "edgeax", "größe", "main"]
    + ["time", "String", "test", "printf", "Test_Vectors", "RAM", "int8_t"],
)
def test_other_names_are_refused_with_one_that_is_taken(name):
    with pytest.raises(ValueError, match="`name` must be a C") as error:
        cpp_names.check_name(name)
    cpp_names.check_name(str(error.value).rpartition("such as '")[2].rstrip("'."))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("serving_default_x:0", "serving_default_x_0"),
        ("a//b", "a_b"),
        ("__x__", "x"),
        ("0", "input_0"),
        ("", "input"),
        ("日本", "input"),
        ("class", "class_0"),
        ("std", "std_0"),
        ("INPUT", "input"),  # a macro of Arduino
        ("NULL", "null"),
        ("INT", "int_0"),
        ("x", "x"),
        ("X", "X"),
        ("int8_t", "int8_t_0"),
        ("stdout", "stdout_0"),
        ("time", "time"),  # a tensor has no file
    ],
)
def test_a_text_becomes_a_name(text, expected):
    assert cpp_names.identifier(text, "input") == expected


@pytest.mark.parametrize("text", ["time", "x", "a b", "INT", "3d", "Test", "remove"])
def test_a_text_becomes_a_name_of_a_program(text):
    cpp_names.check_name(cpp_names.program_name(text))


def test_names_that_meet_get_numbers():
    assert cpp_names.unique(["a", "b", "a", "a"], {"b"}) == ["a", "b_2", "a_2", "a_3"]


def test_a_comment_stays_in_its_line():
    assert cpp_names.comment("a\nb\\") == "a?b?"
    assert cpp_names.comment("x" * 200) == "x" * 57 + "..."
