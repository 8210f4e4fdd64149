"""Packed layers of int16 codes: how their weights lie in flash, and that kernels give the plugin's
codes, whole and by rows."""

import numpy as np
import pytest

from edgeax.runtime.mcu.program import Array
from tests.emulation import process
from tests.runtime.mcu import generated, kernel_files, packed_cases, step_program
from tests.runtime.mcu.declared import fields_of
from tests.tflite_kernels import int16_cases, models, oracle, random_cases

CONV, SPARSE = "EdgeaxConv2D", "EdgeaxSparseConv2D"


def drawn(
    operator: str,
    entries: int = 16,
    left: float = 1.0,
    piece: int = 1,
    image: tuple[int, int, int] = (5, 6, 20),
    channels: int = 16,
    kernel: int = 3,
):
    """A layer with strides of 1 and 2, of so many values, with so much of its pieces left."""
    random = np.random.default_rng(entries)
    case = int16_cases.draw(operator, 1)
    height, width, inputs = image
    depth = kernel * kernel * inputs
    case.options |= dict(kernel_height=kernel, kernel_width=kernel, stride_height=1, stride_width=2)
    case.options |= dict(dilation_height=1, dilation_width=1, groups=1, padding=0)
    case.input = random.integers(-32768, 32768, (1, *image)).astype(np.int16)
    case.output_shape = (1, height, -(-width // 2), channels)
    case.bias = random.integers(-9999, 9999, channels).astype(np.int32)
    case.scale = np.float32(random.uniform(0.001, 0.01, channels))
    case.output_scale = 0.5
    if case.is_sparse:
        keeps = np.repeat(random.random((channels, depth // piece)) < left, piece, axis=1)
        case.weights = np.int8(random.integers(1, 127, (channels, depth)) * keeps)
        random_cases.store(case)
    else:
        case.codebook = random.choice(np.arange(-128, 128), entries, replace=False).astype(np.int8)
        case.weights = random.integers(0, entries, (channels, depth), dtype=np.uint8)
    return case


def step_of(case, target="host"):
    return packed_cases.step_of(models.model_of(case).write(), target, "single")


def share(step) -> float:
    """Bytes of packed weights for each weight."""
    names = ("codes", "codebook", "masks", "starts", "pieces")
    fields = step.arguments.fields
    found = [fields[name] for name in names if isinstance(fields.get(name), Array)]
    return sum(array.data.nbytes for array in found) / (16 * 180)


@pytest.mark.parametrize("entries, most", [(16, 0.51), (4, 0.26), (2, 0.13)])
def test_weights_of_few_values_stay_codes(entries, most):
    step = step_of(drawn(CONV, entries))
    assert step.kernel == "CodebookConv2D" and step.header == "codebook_conv2d_int16.h"
    assert share(step) < most and step.scratch_bytes <= 184


@pytest.mark.parametrize("piece, most", [(1, 0.43), (4, 0.31)])
def test_zeros_are_left_out_and_skipped(piece, most):
    step = step_of(drawn(SPARSE, left=0.25, piece=piece))
    assert step.kernel == "MaskedConv2D" and step.arguments.fields["piece"] == piece
    assert share(step) < most and step.scratch_bytes == 360


def test_weights_that_do_not_shrink_stay_as_they_are():
    assert step_of(drawn(SPARSE)).arguments.type == "Conv2DInt16Args"


@pytest.mark.parametrize("rounding", ["single", "double"])
@pytest.mark.parametrize(
    "operator", ["EdgeaxConv2D", "EdgeaxFullyConnected", "EdgeaxSparseFullyConnected"]
)
def test_a_program_gives_what_the_plugin_gives(operator, rounding, tmp_path):
    content = models.model_of(int16_cases.draw(operator, 3)).write()
    assert generated.is_success(generated.run(content, tmp_path / "net", rounding=rounding))


@pytest.mark.parametrize("bands", [(), (1, 3)])
def test_codes_are_those_of_the_oracle_whole_and_by_rows(bands, tmp_path):
    cases = []
    for case in (
        drawn(CONV),
        drawn(CONV, 2),
        drawn(SPARSE, left=0.2),
        drawn(SPARSE, piece=4, left=0.3),
    ):
        for kind in ("single", "double"):
            case.kind = int16_cases.kind_of_built_in(case.operator)
            expected = oracle.run(case)
            cases.append(step_program.Case(step_of(case), (case.input,), expected, kind, bands))
    for case in cases:
        assert list(case.step.arguments.fields) == fields_of(case.step.arguments.type)
    source = tmp_path / "cases.cc"
    source.write_text(step_program.source(cases))
    kernels = kernel_files.sources([case.step.header for case in cases])
    flags = "-std=c++17 -O1 -Wall -Wextra -Werror -I. -fsanitize=address,undefined".split()
    process.compile_or_raise(["g++", *flags, source, *kernels, "-o", tmp_path / "cases"])
    assert process.run([tmp_path / "cases"], timeout_s=60) == process.Outcome("", 0)
