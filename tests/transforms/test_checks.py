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
