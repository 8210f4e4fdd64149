import pydoc
import re
from pathlib import Path

import pytest

from edgeax.formats import Method, implements, methods

TEST = "tests/formats/test_methods.py::test_a_decorated_class_is_listed"
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(methods, "_METHODS", dict(methods._METHODS))


class Decorated:
    """Does something.

    And more.
    """


class Inheriting(Decorated):
    """Adds to it."""


def entries(public):
    return [method for method in methods.methods() if method.public.endswith(public)]


def test_a_decorated_class_is_listed():
    implements("KEY2", "KEY1", test=TEST)(Decorated)
    public = f"{__name__}.Decorated"
    assert Decorated.sources == ("KEY2", "KEY1")
    assert entries(".Decorated") == [
        Method("KEY1", "Does something", public, TEST),
        Method("KEY2", "Does something", public, TEST),
    ]


def test_decorators_of_one_function_add_up_and_keep_their_tests():
    @implements("KEY3", test="tests/a.py::test_outer")
    @implements("KEY4", test="tests/a.py::test_inner")
    def decorated():
        """Does something else."""

    assert decorated.sources == ("KEY3", "KEY4")
    found = {method.key: method.test for method in entries(".decorated")}
    assert found == {"KEY3": "tests/a.py::test_outer", "KEY4": "tests/a.py::test_inner"}


def test_a_subclass_that_declares_a_method_does_not_claim_its_parents():
    Decorated.sources = ("KEY1",)
    implements("KEY5", test=TEST)(Inheriting)
    assert Inheriting.sources == ("KEY5",)


def test_the_list_is_sorted_by_key():
    for key in ("B", "C", "A"):
        implements(key, test=TEST)(Decorated)
    assert [method.key for method in entries(".Decorated")] == ["A", "B", "C"]


@pytest.mark.parametrize("test", ["", "tests/a.py", "a.py::test_x", "tests/a.py::x"])
def test_a_reference_to_no_test_is_rejected(test):
    with pytest.raises(ValueError, match=re.escape(f"Received: {test!r}")):
        implements("KEY", test=test)


def test_a_missing_key_is_rejected():
    with pytest.raises(ValueError, match="`keys` must hold at least one"):
        implements(test=TEST)


def test_an_object_without_docstring_is_rejected_before_it_is_listed():
    class Silent:
        pass

    with pytest.raises(ValueError, match="Silent"):
        implements("KEY6", test=TEST)(Silent)
    assert not entries("Silent")


def test_every_method_of_this_room_can_be_imported_and_has_its_test():
    own = [m for m in methods.methods() if m.public.startswith("edgeax.formats.")]
    assert "JKC18" in [method.key for method in own]
    for method in own:
        assert method.key in pydoc.locate(method.public).sources
        path, function = method.test.split("::")
        assert f"def {function}(" in (REPOSITORY / path).read_text()
