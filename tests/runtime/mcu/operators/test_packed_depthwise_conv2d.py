"""Packed depthwise layers: codes in flash, and no more than a block of weights in RAM."""

import numpy as np
import pytest

from tests.runtime.mcu import generated, packed_cases
from tests.tflite_kernels import int16_cases, models, random_cases

NAME = "EdgeaxDepthwiseConv2D"


def drawn(
    entries: int,
    channels: int = 30,
    multiplier: int = 1,
    wide: bool = False,
    size: tuple[int, int] = (6, 7),
    kernel: int = 3,
    stride: int = 1,
):
    """A layer over so many channels, of so many different weights."""
    random = np.random.default_rng(entries + multiplier)
    case = (int16_cases if wide else random_cases).draw(NAME, 1)
    window = dict(kernel_height=kernel, kernel_width=kernel, padding=0)
    window |= dict(stride_height=stride, stride_width=stride)
    window |= dict(output_min=-(2**15) if wide else -128, output_max=2**15 - 1 if wide else 127)
    case.options |= window | dict(dilation_height=1, dilation_width=1, depth_multiplier=multiplier)
    ends = np.iinfo(case.input.dtype)
    case.input = random.integers(ends.min, ends.max, (1, *size, channels)).astype(case.input.dtype)
    outputs = channels * multiplier
    case.output_shape = (1, *(-(-side // stride) for side in size), outputs)
    case.bias = random.integers(-999, 999, outputs).astype(np.int32)
    case.scale = np.float32(random.uniform(0.001, 0.01, outputs))
    case.output_scale = 0.5
    case.codebook = random.choice(np.arange(-128, 128), entries, replace=False).astype(np.int8)
    case.weights = random.integers(0, entries, (kernel * kernel, outputs), dtype=np.uint8)
    return case


def step_of(case, target="cortex-m4"):
    return packed_cases.step_of(models.model_of(case).write(), target, "double")


@pytest.mark.parametrize("entries, bits", [(16, 4), (4, 2), (2, 1)])
@pytest.mark.parametrize("multiplier", [1, 3])
def test_weights_of_few_values_stay_codes(entries, bits, multiplier):
    step = step_of(drawn(entries, multiplier=multiplier))
    fields = step.arguments.fields
    assert step.kernel == "PackedDepthwiseConv2D" and fields["bits"] == bits
    assert fields["layer"].fields["weights"] is None
    assert fields["codes"].data.size <= 270 * multiplier * bits / 8 + 8
    plain = step_of(drawn(2, channels=1, multiplier=multiplier)).scratch_bytes
    assert step.scratch_bytes - plain <= 36 * multiplier + 8


def test_few_weights_stay_as_they_are():
    assert step_of(drawn(16, channels=2)).kernel == "DepthwiseConv2D"


@pytest.mark.parametrize("target", ["host", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("wide", [False, True])
def test_a_program_gives_what_the_interpreter_gives(target, wide, tmp_path):
    """With the layout of the target, on this machine."""
    content = models.model_of(drawn(16, wide=wide)).write()
    outcome = generated.run(content, tmp_path / "net", target=target)
    assert generated.is_success(outcome)
