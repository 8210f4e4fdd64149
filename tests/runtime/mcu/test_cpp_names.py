import pytest

from edgeax.runtime.mcu import cpp_names


@pytest.mark.parametrize("name", ["m", "Model2", "my_model", "x_1"])
def test_names_of_cpp_are_taken(name):
    cpp_names.check_name(name)


@pytest.mark.parametrize(
    "name", ["", "2x", "_x", "x_", "a__b", "a-b", "a b", "int", "std", "edgeax", "größe", "main"]
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
    ],
)
def test_a_text_becomes_a_name(text, expected):
    assert cpp_names.identifier(text, "input") == expected
    cpp_names.check_name(expected)


def test_names_that_meet_get_numbers():
    assert cpp_names.unique(["a", "b", "a", "a"], {"b"}) == ["a", "b_2", "a_2", "a_3"]


def test_a_comment_stays_in_its_line():
    assert cpp_names.comment("a\nb\\") == "a?b?"
    assert cpp_names.comment("x" * 200) == "x" * 57 + "..."
