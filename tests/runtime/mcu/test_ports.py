from edgeax.runtime.mcu.plan import plan, stages_of
from edgeax.runtime.mcu.ports import place, ports_of
from edgeax.runtime.mcu.program import Program, Value
from tests.runtime.mcu import steps
from tests.runtime.mcu.steps import step


def planned(names, dtypes=("int8", "float32")):
    x, y = (Value(i, n, d, (2, 3)) for i, (n, d) in enumerate(zip(names, dtypes, strict=True)))
    program = Program({0: x, 1: y}, (step([0], [1], scratch_bytes=8),), {}, (0,), (1,))
    return plan(program, stages_of(program))


def test_ports_have_names_types_and_elements():
    (x,), (y,) = ports_of(planned(("serving:0", "out")))
    assert (x.name, x.type, x.elements) == ("serving_0", "int8_t", 6)
    assert (y.name, y.type, y.elements) == ("out", "float", 6)


def test_names_do_not_meet_each_other_nor_what_is_derived_from_them():
    assert [p.name for side in ports_of(planned(("x", "x"))) for p in side] == ["x", "x_2"]
    assert [p.name for side in ports_of(planned(("x", "x_size"))) for p in side] == [
        "x",
        "x_size_2",
    ]
    assert [p.name for side in ports_of(planned(("invoke", ""))) for p in side] == [
        "invoke_2",
        "output",
    ]


def test_places_are_typed_addresses():
    found = planned(("x", "y"))
    at = found.buffers[1].offset
    assert place(found, "float", 1) == f"At<float>(arena, {at})"
    assert place(found, "float", 1, 4, "net_program::") == (
        f"net_program::At<float>(net_program::arena, {at + 4})"
    )
    assert place(found, "void", -1) == f"At<void>(arena, {found.buffers[-1].offset})"


def test_states_have_an_area_of_their_own():
    program = steps.program({0: 8, 1: 8, 2: 8}, [step([0, 2], [1])], [0], [1], states={2})
    assert place(plan(program, stages_of(program)), "int8_t", 2) == "At<int8_t>(states, 0)"
