"""The steps of a program in an order that needs less memory, where its graph branches."""

import dataclasses

from edgeax.formats import memory_order
from edgeax.runtime.mcu.plan import ALIGNMENT, Stage, stages_of
from edgeax.runtime.mcu.program import Program


def reordered(program: Program) -> Program:
    """Returns the program in the order in which the fewest bytes live at once.

    Steps that use the same state keep their order. The program stays as it is where no order is
    better.
    """
    sizes = {
        number: -(-value.size_bytes // ALIGNMENT) * ALIGNMENT
        for number, value in program.values.items()
        if not value.is_state
    }
    states = {number for number, value in program.values.items() if value.is_state}
    order = memory_order.best_order(
        [_task(stage) for stage in stages_of(program)],
        sizes,
        [program.storage(number) for number in program.inputs],
        [program.storage(number) for number in program.outputs],
        {program.storage(number) for number in states},
    )
    return dataclasses.replace(program, steps=tuple(program.steps[index] for index in order))


def _task(stage: Stage) -> memory_order.Task:
    return memory_order.Task(stage.reads, stage.writes, sum(stage.locals.values()), stage.in_place)
