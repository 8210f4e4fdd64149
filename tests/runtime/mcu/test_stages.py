import numpy as np
import pytest

from edgeax.runtime.mcu import stages
from edgeax.runtime.mcu.plan import plan
from edgeax.runtime.mcu.stages import Cuts, Share
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import image_programs, plan_run

M4 = TARGETS["cortex-m4"]


def all_cuts(cuts, count):
    """Returns every sequence of stages that covers all steps."""
    by_first = {}
    for candidate in cuts.candidates:
        by_first.setdefault(candidate.first, []).append(candidate)

    def after(first):
        if first == count:
            yield ()
            return
        for candidate in by_first[first]:
            for rest in after(candidate.end):
                yield (candidate, *rest)

    return list(after(0))


@pytest.mark.parametrize("seed", [0, 2, 3, 5, 6, 7])  # of few cuts
def test_the_cheapest_cut_is_the_cheapest_of_all(seed):
    program = image_programs.drawn(seed)
    cuts = Cuts(program, M4)
    ways = all_cuts(cuts, len(program.steps))
    facts = [(max(c.peak_bytes for c in way), sum(c.cost for c in way)) for way in ways]
    for peak in cuts.peaks():
        costs = [cost for most, cost in facts if most <= peak]
        found = cuts.cheapest(peak)
        assert (found is None) == (not costs)
        if found is not None:
            assert sum(c.cost for c in found) == pytest.approx(min(costs))


@pytest.mark.parametrize("seed", range(40))
def test_all_stages_find_what_they_read(seed):
    program = image_programs.drawn(seed)
    rng = np.random.default_rng(seed)
    cuts = Cuts(program, M4)
    for _ in range(4):
        way, first = [], 0
        while first < len(program.steps):
            fitting = [c for c in cuts.candidates if c.first == first]
            way.append(fitting[int(rng.integers(len(fitting)))])
            first = way[-1].end
        placed = plan(program, [stages.stage(program, candidate) for candidate in way])
        plan_run.run(placed)
        assert placed.live_bytes <= max(candidate.peak_bytes for candidate in way)


def test_a_depthwise_and_a_pointwise_step_hold_no_image_between_them():
    program = image_programs.separable()
    fused = [c for c in Cuts(program, M4).candidates if c.end - c.first == 2]
    # The output of 144 bytes begins 72 before the input of 72; a line of 8 is all there is besides.
    (one,) = [c for c in fused if c.run.height == 1]
    assert one.line_bytes == {1: 8}
    assert one.peak_bytes == 144 + 8


def test_a_sum_is_computed_over_what_it_adds():
    program = image_programs.residual()
    (stage,) = [
        c for c in Cuts(program, M4).candidates if c.end - c.first == 3 and c.run.height == 1
    ]
    assert stage.shares == (Share(0, 3, None),)
    assert stage.peak_bytes == 64 + 3 * 8 + 8


def test_whole_calls_cost_nothing_more():
    cuts = Cuts(image_programs.residual(), M4)
    found = cuts.cheapest(10**9)
    assert [c.run for c in found] == [None] * 3 and sum(c.cost for c in found) == 0


def test_nothing_fits_into_too_few_bytes():
    cuts = Cuts(image_programs.residual(), M4)
    assert cuts.cheapest(min(cuts.peaks()) - 1) is None


def test_a_label_names_all_steps():
    program = image_programs.separable()
    fused = [c for c in Cuts(program, M4).candidates if c.end - c.first == 2]
    assert stages.stage(program, fused[0]).label == "0 STEP; 1 STEP, in stripes of 1"


def with_scratch(size):
    maker = image_programs.Maker()
    image = maker.value(9, 8, 1)
    return maker.program([image], [maker.window(image, 8, kernel=3, pad=(1, 1), scratch=size)])


def test_a_twin_that_takes_less_scratch_costs_more():
    roomy, thrifty = with_scratch(1000), with_scratch(96)
    cuts = Cuts(roomy, M4, thrifty)
    whole = [c for c in cuts.candidates if c.run is None]
    assert [c.is_thrifty for c in whole] == [False, True]
    assert [c.peak_bytes for c in whole] == [72 + 72 + 1000, 72 + 72 + 96]
    assert whole[0].cost == 0 < whole[1].cost < 0.4 * cuts.instructions
    assert stages.stage(thrifty, whole[1]).locals == {-1: 96}


def test_a_twin_that_takes_as_much_is_none():
    cuts = Cuts(with_scratch(96), M4, with_scratch(96))
    assert not any(c.is_thrifty for c in cuts.candidates)
