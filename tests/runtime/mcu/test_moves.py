import dataclasses

from edgeax.runtime.mcu import moves
from edgeax.runtime.mcu.plan import plan
from edgeax.runtime.mcu.stages import Cuts, stage
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import image_programs, plan_run


def falling():
    """Images that lie one behind the other, each below the one before, and then a large one."""
    maker = image_programs.Maker()
    image = maker.value(16, 16, 4)
    one = maker.window(image, 64)
    two = maker.window(one, 32, kernel=3, pad=(1, 1))
    three = maker.window(two, 64)
    program = maker.program([image], [maker.window(three, 64, kernel=3, pad=(1, 1))])
    cuts = Cuts(program, TARGETS["cortex-m4"])
    cut = cuts.cheapest(min(peak for peak in cuts.peaks() if cuts.cheapest(peak)))
    return program, [stage(program, c) for c in cut], max(c.peak_bytes for c in cut)


def test_a_move_makes_room_and_what_moved_is_found():
    program, stages, peak = falling()
    placed, cost = moves.planned(program, stages, peak)
    plan_run.run(placed)
    assert peak <= placed.arena_bytes < plan(program, stages).arena_bytes
    moved = [call.step for s in placed.stages for call in s.calls if call.step.kernel == "Relocate"]
    assert moved and cost == 0.7 * sum(step.arguments.fields["bytes"] for step in moved)


def test_nothing_moves_where_there_is_room():
    program, stages, peak = falling()
    placed, cost = moves.planned(program, stages, 10 * peak)
    assert cost == 0 and len(placed.stages) == len(stages)


def test_outputs_of_the_program_stay_where_they_are():
    program, stages, _ = falling()
    kept = dataclasses.replace(program, outputs=tuple(range(1, 5)))
    assert [low for low, _ in moves._ways(kept, stages)] == []


def test_what_moved_has_no_number_that_another_program_has():
    program, stages, peak = falling()
    apart = dataclasses.replace(program, reserved=100)
    placed, _ = moves.planned(apart, stages, peak)
    new = {*placed.program.values} - {*program.values}
    assert new and min(new) >= 100
