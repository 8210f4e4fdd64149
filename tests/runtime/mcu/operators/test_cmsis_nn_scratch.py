import pytest

from edgeax.runtime.mcu.operators import cmsis_nn_scratch
from edgeax.runtime.mcu.operators.conv2d import Shape
from edgeax.runtime.mcu.targets import TARGETS

M0, M4, M55 = (TARGETS[f"cortex-m{core}"] for core in ("0plus", "4", "55"))


def shape(channels: int, outputs: int, kernel: int, **others: int) -> Shape:
    return Shape(1, 9, 9, channels, 9, 9, outputs, kernel, kernel, **others)


@pytest.mark.parametrize(
    "channels, kernel, m4, m55",
    [
        (3, 3, 2 * 28 * 2, 4 * 32),  # 27 codes: filled up to 28, or to 32
        (8, 3, 2 * 72 * 2, 4 * 80),
        (8, 1, 4 * 8, 0),
    ],
)
def test_a_convolution_copies_patches(channels: int, kernel: int, m4: int, m55: int) -> None:
    one = shape(channels, 5, kernel)
    assert cmsis_nn_scratch.convolution_bytes(one, M4) == m4
    assert cmsis_nn_scratch.convolution_bytes(one, M55) == m55


def test_strides_and_groups_of_single_pixels_matter() -> None:
    strided = shape(8, 4, 1, stride_height=2, stride_width=2)
    assert cmsis_nn_scratch.convolution_bytes(strided, M4) == 0
    assert cmsis_nn_scratch.convolution_bytes(shape(8, 4, 1, groups=2), M4) == 2 * 8 * 2
    assert cmsis_nn_scratch.convolution_bytes(shape(8, 4, 1), M0) == 0


@pytest.mark.parametrize(
    "one, m0, m4, m55",
    [
        (shape(8, 8, 3, pad_top=1, pad_left=1), 0, 0, 4 * 124 * 9),
        (shape(8, 8, 3, pad_top=2), 0, 2 * 8 * 9, 4 * 124 * 9),
        (shape(8, 8, 5, pad_top=2, pad_left=2), 0, 2 * 8 * 25, 4 * 124 * 25),
        (shape(8, 16, 3), 0, 0, 0),
        (shape(8, 8, 3, dilation_height=2), 0, 0, 0),
        (shape(1, 8, 3), 0, 0, 4 * 16 + 9 * 8),
        (shape(1, 1, 3), 0, 0, 4 * 124 * 9),
    ],
    ids=["3x3", "far", "5x5", "several", "dilated", "as dense", "one"],
)
def test_a_depthwise_convolution_needs_what_its_function_copies(
    one: Shape, m0: int, m4: int, m55: int
) -> None:
    found = [cmsis_nn_scratch.depthwise_bytes(one, core) for core in (M0, M4, M55)]
    assert found == [m0, m4, m55]


def test_averages_are_summed_in_scratch_by_dsp_only() -> None:
    found = [cmsis_nn_scratch.average_pool_bytes(64, core) for core in (M0, M4, M55)]
    assert found == [0, 256, 0]
