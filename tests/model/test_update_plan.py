import pytest

from edgeax.model.update_plan import UpdatePart, UpdatePlan


def test_a_plan_is_read_as_text():
    parts = (UpdatePart("a"), UpdatePart("b", channels=3, bias=False), UpdatePart("c", channels=0))
    plan = UpdatePlan(parts, {"state_bytes": 1234}, gain=0.75)
    assert str(plan).splitlines() == [
        "a: kernel, bias",
        "b: 3 channels of its kernel",
        "c: no kernel, bias",
        "state_bytes: 1,234",
        "decrease of the loss, of that of all layers: 75%",
    ]


@pytest.mark.parametrize(
    "parts, said",
    [
        ((), r"at least one layer, and each once. Received: \[\]"),
        ((UpdatePart("a"), UpdatePart("a")), r"each once. Received: \['a', 'a'\]"),
        ((UpdatePart("a", channels=-1),), "at least 0. Received: -1 for 'a'"),
    ],
)
def test_a_plan_that_is_none_is_refused(parts, said):
    with pytest.raises(ValueError, match=said):
        UpdatePlan(parts)
