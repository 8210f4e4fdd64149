import dataclasses

import pytest

from edgeax.runtime.mcu.operators import HANDLERS, conv2d, products
from edgeax.runtime.mcu.program import Window
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import product_cases


def step_of(drawn: product_cases.Drawn, target: str = "cortex-m4"):
    return drawn.case(target, "double").step


def patch(target: str, image: tuple[int, ...], kernel: int, **others) -> conv2d.Patch:
    shape = conv2d.Shape(*image, *image[1:3], 8, kernel, kernel, **others)
    return conv2d.patch_of(TARGETS[target], shape)


def test_patches_are_read_in_place_where_runs_are_long_and_whole_words():
    assert patch("cortex-m4", (1, 8, 8, 16), 3) == conv2d.Patch(3, 48, 1)
    assert patch("cortex-m4", (1, 8, 8, 16), 1) == conv2d.Patch(1, 16, 1)
    assert patch("cortex-m4", (1, 8, 8, 3), 3) == conv2d.Patch(1, 28, 0)
    assert patch("cortex-m4", (1, 8, 8, 5), 5) == conv2d.Patch(1, 128, 0)
    assert patch("cortex-m55", (1, 8, 8, 5), 5) == conv2d.Patch(5, 25, 1)
    assert patch("cortex-m55", (1, 8, 8, 3), 3) == conv2d.Patch(1, 27, 0)
    assert patch("cortex-m4", (1, 8, 8, 16), 3, dilation_width=2) == conv2d.Patch(1, 144, 0)
    assert patch("cortex-m4", (1, 8, 8, 16), 3, groups=2) == conv2d.Patch(1, 72, 0)


def test_a_step_tells_its_window_and_products():
    step = step_of(product_cases.conv2d(1, (1, 9, 8, 4), 6, (3, 5), (2, 1), (2, 1)))
    assert step.extent == Window(9, 5, kernel=3, stride=2, dilation=2, pad=2)
    assert step.macs == 5 * 8 * 6 * 3 * 5 * 4
    assert (step.kernel, step.header, step.rounds) == ("Conv2D", "conv2d.h", True)


def test_scratch_holds_copied_patches_and_tiles():
    step = step_of(product_cases.conv2d(1, (1, 8, 8, 16), 4, (3, 3)))
    assert step.scratch_bytes == 144 + 72 + 4 * 144 * 2  # one tile, of 16 bits
    step = step_of(product_cases.conv2d(1, (1, 8, 8, 16), 4, (3, 3)), "cortex-m55")
    assert step.scratch_bytes == 144 + 72
    step = step_of(product_cases.conv2d(1, (1, 8, 8, 16), 4, (1, 1)), "cortex-m55")
    assert step.scratch_bytes == 72  # no patch is copied


def test_weights_are_not_expanded_where_scratch_would_be_large():
    step = step_of(product_cases.conv2d(1, (1, 4, 4, 128), 4, (3, 3)))
    assert step.arguments.fields["tile"].fields["is_expanded"] == 0
    assert step.scratch_bytes == 1152 + 72


@pytest.mark.parametrize(
    "option, value, words",
    [
        ("strideH", 0, "its strides must be above 0"),
        ("dilationWFactor", 0, "its strides must be above 0"),
        ("padding", 1, "its output must have the shape \\(1, 4, 4, 8\\). .*\\(1, 6, 6, 8\\)"),
    ],
)
def test_options_that_do_not_suit_the_shapes_are_refused(option, value, words):
    node = product_cases.conv2d(1, (1, 6, 6, 4), 8, (3, 3)).node("cortex-m4", "double")
    setattr(node.operator._raw.builtinOptions, option, value)
    with pytest.raises(ValueError, match=f"operator 0 CONV_2D, y: {words}"):
        HANDLERS["CONV_2D"](node)


@pytest.mark.parametrize(
    "tensor, shape, words",
    [
        (0, (1, 6, 24), "its input, weights and output must have 4 axes"),
        (0, (1, 6, 6, 6), "its channels must split into groups"),
        (3, (1, 6, 6, 7), "its output must have the shape \\(1, 6, 6, 8\\)"),
    ],
)
def test_shapes_that_do_not_suit_each_other_are_refused(tensor, shape, words):
    node = product_cases.conv2d(1, (1, 6, 6, 4), 8, (3, 3)).node("cortex-m4", "double")
    node.tensors[tensor].shape = shape
    with pytest.raises(ValueError, match=words):
        HANDLERS["CONV_2D"](node)


def test_a_wide_layer_takes_several_sweeps():
    node = product_cases.conv2d(14, (1, 3, 5, 64), 260, (1, 1)).node("cortex-m4", "double")
    shape = conv2d.Shape(1, 3, 5, 64, 3, 5, 260, 1, 1)
    found = products.read_products(node, (0, 1, 2))
    plan = conv2d.plan_for(node, shape, found)
    assert plan.sweep_channels < 260 and plan.scratch_bytes <= 2048 + 72
    assert dataclasses.replace(plan, sweep_channels=4).scratch_bytes == 72 + 512
