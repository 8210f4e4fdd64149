"""Steps whose outputs nobody reads: they are not computed."""

import dataclasses

from edgeax.runtime.mcu.program import Program


def without_unread(program: Program) -> Program:
    """Returns the program without steps that neither outputs nor states depend on."""
    kept = {value.index for value in program.values.values() if value.is_state}
    wanted = {program.storage(value) for value in (*program.outputs, *kept)}
    steps = []
    for step in reversed(program.steps):
        if any(program.storage(value) in wanted for value in step.writes):
            wanted.update(program.storage(value) for value in step.values_read)
            steps.append(step)
    return dataclasses.replace(program, steps=tuple(reversed(steps)))
