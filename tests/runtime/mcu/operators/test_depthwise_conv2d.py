import dataclasses
import re

import numpy as np
import pytest

from edgeax.formats import rounding as rounding_module
from edgeax.runtime.mcu.operators import depthwise_conv2d
from edgeax.runtime.mcu.operators.windows import Axis
from edgeax.runtime.mcu.program import Window
from tests.runtime.mcu import declared, image_cases, kernel_files, native_steps
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor

CASES = 40


def layer(shape=(1, 3, 3, 1), dtype=np.int8, weights=None, bias=None, stride=1, **options) -> File:
    """A 3 x 3 layer with padding SAME and scales of 1."""
    weights = np.ones((1, 3, 3, shape[3]), np.int8) if weights is None else weights
    channels = weights.shape[3]
    bias = np.zeros(channels, np.int32) if bias is None else bias
    inputs = [
        Tensor("x", shape, dtype, 1.0, 5 if dtype == np.int8 else 0),
        Tensor("weights", weights.shape, np.int8, 1.0, 0, weights),
        Tensor("bias", bias.shape, bias.dtype, 1.0, 0, bias),
    ]
    size = [-(-side // stride) for side in shape[1:3]]
    output = Tensor("y", (shape[0], *size, channels), dtype, 1.0, -7 if dtype == np.int8 else 0)
    options = {"padding": 0, "strideH": stride, "strideW": stride, "depthMultiplier": 1} | options
    return File("DEPTHWISE_CONV_2D", ("DepthwiseConv2DOptions", options), inputs, output, 3)


def drawn_cases(dtype="int8"):
    rng = np.random.default_rng(3)
    return [image_cases.depthwise(rng, dtype) for _ in range(CASES)]


def test_a_window_gives_the_codes_worked_out_by_hand():
    file = layer(bias=np.int32([10]))
    x = np.arange(1, 10, dtype=np.int8).reshape(1, 3, 3, 1) + np.int8(5)  # 1 to 9 above its zero
    sums = np.array([[12, 21, 16], [27, 45, 33], [24, 39, 28]])
    got = image_cases.made(image_cases.Drawn(file, [x]))
    assert got[0, :, :, 0].tolist() == (sums + 10 - 7).tolist()


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_drawn_layers_equal_the_reference_kernels_of_tflite(dtype):
    for drawn in drawn_cases(dtype):
        assert np.array_equal(image_cases.made(drawn), drawn.file.interpreted(drawn.inputs))


def test_one_rounding_differs_from_xnnpack_only_next_to_a_half():
    """XNNPACK scales in float32 here: sums beyond 2**24 and near halves go either way."""
    wrong = total = 0
    for drawn in drawn_cases():
        got = image_cases.made(drawn, "single").astype(int)
        distance = np.abs(got - drawn.file.interpreted(drawn.inputs, "single"))
        assert distance.max() <= 1
        wrong, total = wrong + np.count_nonzero(distance), total + distance.size
    assert wrong < 0.01 * total


@pytest.mark.parametrize("kind", rounding_module.KINDS)
def test_a_channel_is_rounded_as_the_program_rounds(kind):
    weights = np.zeros((1, 3, 3, 1), np.int8)
    weights[0, 1, 1, 0] = 1
    file = layer((1, 1, 256, 1), weights=weights)
    file.inputs[0] = dataclasses.replace(file.inputs[0], zero_point=0, scale=0.25)
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 1, 256, 1)
    got = image_cases.made(image_cases.Drawn(file, [x]), kind)
    expected = rounding_module.requantize(x.astype(np.int32), 1 << 30, -1, kind) - 7
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("target", ["host", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("kind", rounding_module.KINDS)
def test_a_layer_may_be_computed_in_the_memory_of_its_input(kind, target):
    counted = 0
    for drawn in drawn_cases() + drawn_cases("int16"):
        if drawn.file.step(kind, target).in_place:
            expected = image_cases.made(drawn, kind)
            assert np.array_equal(image_cases.made(drawn, kind, 0, target), expected)
            counted += 1
    assert counted > CASES


def test_bands_of_rows_need_only_the_input_rows_that_the_extent_names():
    counted = 0
    for drawn in drawn_cases():
        step = drawn.file.step()
        shape = drawn.file.output.shape
        if shape[0] > 1 or shape[1] < 3 or not isinstance(step.extent, Window):
            continue
        whole, middle = image_cases.made(drawn), shape[1] // 2
        for begin, end in ((0, middle), (middle, shape[1])):
            first, last = step.extent.needed(begin, end)
            part = np.ascontiguousarray(drawn.inputs[0][:, first:last])
            band = (1, end - begin, *shape[2:]), "int8"
            got = native_steps.run_rows(step, [part], band, "double", (begin, end, first))
            assert np.array_equal(got, whole[:, begin:end])
        counted += 1
    assert counted > 5


def test_scratch_grows_with_what_the_model_has_to_spare_and_never_below_one_row():
    height, width = Axis(48, 48, 3, 1, 1, 1), Axis(48, 48, 3, 1, 1, 1)
    least = depthwise_conv2d.planes_for(height, width, 1, 0)
    assert (least.group_rows, least.rows, least.pitch) == (1, 3, 50)
    assert least.scratch_bytes(1) == 4 * 3 * 50 + 16
    more = depthwise_conv2d.planes_for(height, width, 1, 1200)
    assert (more.group_rows, more.rows) == (4, 6)
    assert depthwise_conv2d.planes_for(height, width, 1, 10**6).group_rows == 48


def test_helium_takes_columns_of_six_rows_and_other_windows_do_not():
    fields = layer((1, 8, 8, 4)).step(target="cortex-m55").arguments.fields
    assert (fields["group_rows"], fields["plane_rows"], fields["plane_pitch"]) == (4, 6, 10)
    fields = layer((1, 8, 8, 4), stride=2).step(target="cortex-m55").arguments.fields
    assert (fields["group_rows"], fields["plane_rows"]) == (2, 6)
    fields = layer((1, 8, 8, 4)).step(target="cortex-m4").arguments.fields
    assert fields["group_rows"] == 8


def test_the_bias_takes_in_the_zero_point_and_wraps():
    step = layer(bias=np.int32([-(2**31)])).step()
    assert step.arguments.fields["bias"].data.tolist() == [2**31 - 45]
    assert step.macs == 81


def test_the_fields_are_those_of_the_header():
    step = layer().step()
    assert [*step.arguments.fields] == declared.fields_of("DepthwiseConv2DArgs")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"dtype": np.float32}, r"its input must be int8 or int16\. Received: float32"),
        ({"weights": np.ones((1, 3, 3, 2), np.int8), "depthMultiplier": 3}, "times the depth mult"),
        ({"bias": np.zeros(3, np.int32)}, r"its bias must have 1 numbers\. Received: 3"),
        (
            {"bias": np.int64([2**31]), "dtype": np.int16},
            r"its bias must fit int32\. Received: 2147483648",
        ),
        ({"fusedActivationFunction": 5}, "activation"),
        ({"strideH": 0}, "must be above 0"),
        ({"weights": np.ones((2, 3, 3, 1), np.int8)}, r"must have the shape \(1, height"),
        ({"padding": 1}, r"its output must have the shape \(1, 1, 1\)"),
    ],
)
def test_what_cannot_be_generated_is_named(change, message):
    file = layer(**change)
    with pytest.raises(ValueError, match=f"operator 0 DEPTHWISE_CONV_2D, y: .*{message}"):
        file.step()


def test_weights_must_be_symmetric_and_have_scales_for_all_channels():
    file = layer()
    file.inputs[1].zero_point = 3
    with pytest.raises(ValueError, match=r"symmetric.*Received: \[3\]"):
        file.step()
    file = layer((1, 3, 3, 3))
    file.inputs[1].zero_point, file.inputs[1].scale = 0, [1.0, 2.0]
    with pytest.raises(ValueError, match="one scale, or 3 along axis 3"):
        file.step()


def test_sizes_of_planes_are_those_of_the_kernels():
    found = {}
    for name in ("depthwise_conv2d.h", "depthwise_columns_helium.h"):
        text = (kernel_files.MICRO / name).read_text()
        found |= dict(re.findall(r"constexpr int32_t (k\w+) = (\d+);", text))
    assert found["kDepthwiseBlock"] == str(depthwise_conv2d.BLOCK)
    assert found["kDepthwiseSlack"] == str(depthwise_conv2d._SLACK)
    assert found["kColumn"] == str(depthwise_conv2d._COLUMN)
