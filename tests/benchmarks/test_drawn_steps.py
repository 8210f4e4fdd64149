from collections import Counter

from benchmarks.drawn_steps import drawn_steps
from edgeax.runtime.mcu.cost_table import signature
from edgeax.runtime.mcu.program import Window
from edgeax.runtime.mcu.work import whole, work


def test_every_loop_of_products_is_drawn_many_times():
    steps = drawn_steps("cortex-m4", "double")
    kinds = Counter(work(one.program, one.step, one.part).kind for one in steps)
    for kind in (
        "Conv2D int8 expanded",
        "Conv2D int8",
        "Conv2D int8 saturating",
        "DepthwiseConv2D int8 3x3 by 1",
        "DepthwiseConv2D int8 3x3 by 2",
        "DepthwiseConv2D int8 any",
        "FullyConnected int8",
        "CodebookConv2D int8 expanded",
        "CodebookConv2D int8 paired",
        "SparseConv2D int8",
        "Add int8",
        "AveragePool2D int8",
    ):
        assert kinds[kind] >= 6, kind


def test_images_are_drawn_in_parts_too_and_roundings_apart():
    steps = drawn_steps("cortex-m55", "single")
    parts = {one.part != whole(one.step) for one in steps if isinstance(one.step.extent, Window)}
    assert parts == {True, False}
    names = {signature(one.program, one.step, one.rounding) for one in steps}
    assert "Conv2D<single>(Conv2DArgs, int8)" in names and "Relocate(RelocateArgs, int8)" in names
