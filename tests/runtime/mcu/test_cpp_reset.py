import numpy as np

from edgeax.runtime.mcu.cpp_reset import reset_text
from edgeax.runtime.mcu.cpp_values import Constants
from edgeax.runtime.mcu.operators.variables import assignment
from edgeax.runtime.mcu.plan import plan, stages_of
from edgeax.runtime.mcu.program import Array, Program, Value


def placed(*states: Value):
    """The plan of a program that assigns its input to every state."""
    given = Value(0, "x", "int8", (3,))
    steps = tuple(assignment("", 0, state.index, 3) for state in states)
    values = {value.index: value for value in (given, *states)}
    program = Program(values, steps, {}, (0,), ())
    return plan(program, stages_of(program))


def test_every_state_gets_its_first_content():
    plain = Value(1, "a", "int8", (3,), is_state=True)
    filled = Value(2, "b", "int8", (3,), is_state=True, initial=-5)
    given = Value(
        3, "c", "int16", (3,), is_state=True, initial=Array("initial", np.int16([1, 2, 3]))
    )
    constants = Constants()
    assert reset_text(placed(plain, filled, given), constants).splitlines() == [
        "void Reset() {",
        "  __builtin_memset(states, 0, sizeof(states));",
        "  __builtin_memset(At<int8_t>(states, 8), -5, 3);",
        "  __builtin_memcpy(At<int16_t>(states, 16), k3_initial, sizeof(k3_initial));",
        "}",
    ]
    assert constants.size_bytes == 6


def test_a_program_without_states_needs_no_reset():
    assert reset_text(placed(), Constants()) == ""
