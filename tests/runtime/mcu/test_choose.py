import dataclasses

import pytest

from edgeax.runtime.mcu.choose import choose
from edgeax.runtime.mcu.plan import plan, stages_of
from edgeax.runtime.mcu.program import Struct
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import image_programs, plan_run

M4 = TARGETS["cortex-m4"]


def pyramid(macs=10**6, scratch=0):
    """A wide image that two convolutions halve, as at the head of a network."""
    maker = image_programs.Maker()
    image = maker.value(32, 32, 3)
    wide = maker.window(image, 512, kernel=3, pad=(1, 1), scratch=scratch)
    half = maker.window(wide, 256, kernel=3, stride=2, pad=(0, 1))
    program = maker.program([image], [maker.window(half, 64, kernel=3, stride=2, pad=(0, 1))])
    steps = tuple(dataclasses.replace(step, macs=macs) for step in program.steps)
    return dataclasses.replace(program, steps=steps)


def test_room_for_whole_images_costs_nothing():
    program = pyramid()
    whole = plan(program, stages_of(program)).ram_bytes
    choice = choose(program, M4, whole)
    assert choice.cost == 0 and choice.plan.ram_bytes == whole
    assert all(stage.run is None for stage in choice.plan.stages)


def test_less_room_costs_more_until_nothing_fits():
    program = pyramid()
    last = 0.0
    for ram_bytes in (16_000, 12_000, 8_000, 5_700):
        choice = choose(program, M4, ram_bytes)
        plan_run.run(choice.plan)
        assert choice.plan.ram_bytes <= ram_bytes
        assert choice.cost >= last and choice.share == pytest.approx(choice.cost / (3e6 * 1.2))
        last = choice.cost
    assert last > 0


def test_a_budget_below_every_plan_is_refused_with_the_least():
    with pytest.raises(ValueError, match=r"`ram_bytes` must be at least (\d+).*: 3000"):
        choose(pyramid(), M4, 3000)
    with pytest.raises(ValueError) as refused:
        choose(pyramid(), M4, 1)
    least = int(str(refused.value).split("at least ")[1].split(" ")[0])
    assert choose(pyramid(), M4, least).plan.ram_bytes <= least


def test_unasked_only_what_costs_next_to_nothing_is_saved():
    dear, cheap = choose(pyramid(macs=10**4), M4), choose(pyramid(macs=10**8), M4)
    assert cheap.share < 0.01 and dear.share < 0.01
    assert cheap.plan.ram_bytes < 6_000 < dear.plan.ram_bytes


def test_packed_layers_may_cost_a_bit_more_for_less_ram():
    dense, layer = pyramid(macs=10**5), {"layer": Struct("PackedLayer", {})}
    steps = [dataclasses.replace(s, arguments=Struct("Args", layer)) for s in dense.steps]
    packed = choose(dataclasses.replace(dense, steps=tuple(steps)), M4)
    assert choose(dense, M4).share < 0.01 < packed.share < 0.015
    assert packed.plan.ram_bytes < choose(dense, M4).plan.ram_bytes


@pytest.mark.parametrize("seed", range(30))
def test_all_plans_find_what_they_read(seed):
    program = image_programs.drawn(seed)
    whole = plan(program, stages_of(program)).ram_bytes
    for ram_bytes in (None, whole, 3 * whole // 4, whole // 2):
        try:
            choice = choose(program, M4, ram_bytes)
        except ValueError as error:
            assert "must be at least" in str(error)
            continue
        plan_run.run(choice.plan)
        assert ram_bytes is None or choice.plan.ram_bytes <= ram_bytes


def test_kernels_get_less_scratch_where_nothing_else_fits():
    roomy, thrifty = pyramid(scratch=2000), pyramid(scratch=80)
    with pytest.raises(ValueError):
        choose(roomy, M4, 6_000)
    choice = choose(roomy, M4, 6_000, thrifty)
    plan_run.run(choice.plan)
    assert choice.cost > choose(roomy, M4, 8_000, thrifty).cost
