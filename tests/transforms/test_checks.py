import numpy as np
import pytest

from edgeax.transforms import checks


def test_what_is_in_range_comes_back():
    assert checks.checked_bits(4, 2, 8, "Any") == 4
    assert checks.checked_axis(-1) == -1
    assert checks.checked_axis(None) is None
    assert checks.checked_positive("rate", 2) == 2.0
    assert checks.checked_choice("kind", "a", ("a", "b")) == "a"


@pytest.mark.parametrize(
    "check, message",
    [
        (lambda: checks.checked_bits(2.5, 2, 8, "Any"), r"`bits` of Any .*\[2, 8\].*bits=2.5"),
        (lambda: checks.checked_bits(9, 2, 8, "Any"), r"bits=9"),
        (lambda: checks.checked_axis(1), "`axis` must be -1.*axis=1"),
        (lambda: checks.checked_positive("rate", float("nan")), "`rate` must be above 0.*nan"),
        (lambda: checks.checked_choice("kind", "c", ("a", "b")), r"\('a', 'b'\).*kind='c'"),
    ],
)
def test_what_is_out_of_range_is_refused(check, message):
    with pytest.raises(ValueError, match=message):
        check()


@pytest.mark.parametrize("value", [1, 64, np.int64(8), np.uint8(3)])
def test_whole_numbers_of_any_kind_count(value):
    found = checks.checked_count("batch_size", value)
    assert found == value and type(found) is int


@pytest.mark.parametrize("value", [0, -1, 2.0, "2", None, True])
def test_what_is_no_count_is_refused(value):
    with pytest.raises(ValueError, match=r"`places` must be an integer, at least 1.*places="):
        checks.checked_count("places", value)


def test_a_seed_is_at_least_0():
    assert checks.checked_seed(np.int32(0)) == 0
    with pytest.raises(ValueError, match="`seed` must be an integer, at least 0.*seed=-1"):
        checks.checked_seed(-1)


def test_a_strength_is_at_least_0():
    assert checks.checked_strength(0) == 0.0
    for value in (-1, float("nan"), float("inf"), "1", None):
        with pytest.raises(ValueError, match=f"`strength` must be at least 0.*{value!r}"):
            checks.checked_strength(value)


@pytest.mark.parametrize("value", [-1e-9, 1.0, float("nan"), "0.5", None])
def test_what_does_not_lie_below_1_is_refused(value):
    assert checks.checked_below_1("momentum", np.float32(0.5)) == 0.5
    with pytest.raises(ValueError, match=r"`momentum` must lie in \[0, 1\).*momentum="):
        checks.checked_below_1("momentum", value)


def test_an_object_is_given_itself_or_by_its_name():
    names = {"one": lambda: 1, "two": lambda: 2}
    assert checks.named_object("count", "two", names, (int,)) == 2
    assert checks.named_object("count", 7, names, (int, float)) == 7
    with pytest.raises(
        ValueError, match=r"`count` .*\['one', 'two'\], or a int or a float.*'to'.*two"
    ):
        checks.named_object("count", "to", names, (int, float))
