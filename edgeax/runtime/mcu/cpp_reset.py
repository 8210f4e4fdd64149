"""The C++ that gives the states of a program their first content."""

from edgeax.runtime.mcu.cpp_values import TYPES, Constants
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.ports import place
from edgeax.runtime.mcu.program import Array


def reset_text(plan: Plan, constants: Constants) -> str:
    """Returns the function `Reset` of a program, empty where it has no states."""
    if not plan.states:
        return ""
    lines = ["__builtin_memset(states, 0, sizeof(states));"]
    for number in plan.states:
        value = plan.program.values[number]
        at = place(plan, TYPES[value.dtype], number)
        if isinstance(value.initial, Array):
            name = constants.array(number, value.initial)
            lines.append(f"__builtin_memcpy({at}, {name}, sizeof({name}));")
        elif value.initial:
            lines.append(f"__builtin_memset({at}, {value.initial}, {value.size_bytes});")
    return "\n".join(["void Reset() {", *(f"  {line}" for line in lines), "}"])
