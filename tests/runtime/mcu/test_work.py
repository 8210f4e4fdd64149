"""What calls do, counted by hand."""

import dataclasses

import numpy as np
import pytest

from benchmarks.packed_versions import block_sparse, codebook, ternary
from edgeax.runtime.mcu.program import Array, Elements, Program, Step, Struct, Value, Window
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.targets import TARGETS
from edgeax.runtime.mcu.work import whole, work
from tests.runtime.mcu import lstm_files, networks, product_cases
from tests.runtime.mcu.operators import (
    test_float_product,
    test_packed_depthwise_conv2d,
    test_packed_int16,
)
from tests.tflite_kernels import models


def program_of(drawn, target="cortex-m4"):
    return read_program(drawn.file, TARGETS[target], "double")


def amounts(program, part):
    return work(program, program.steps[0], part).amounts


def test_a_convolution_with_padding_reads_its_border_tap_by_tap():
    """A 3x3 window of 4 channels over 6 x 6 pixels: runs of 12 weights, three to a patch; 16 pixels
    have whole windows, 20 do not.
    """
    program = program_of(product_cases.conv2d(1, (1, 6, 6, 4), 8, (3, 3)))
    found = amounts(program, (0, 6))
    assert found["tiles prepared"] == 2
    assert found["weights prepared"] == 2 * 36
    assert found["pixels"] == 36
    assert found["tiles"] == 36 * 2
    assert found["runs"] == 36 * 2 * 3
    assert found["blocks"] == 36 * 2 * 9
    assert found["taps apart"] == (6 * 2) * 9
    assert found["runs copied"] == (2 * 4) * 3
    assert found["bytes copied"] == (12 + 8) * 36


def test_a_part_of_a_convolution_does_as_much_less():
    program = program_of(product_cases.conv2d(1, (1, 6, 6, 4), 8, (3, 3)))
    parts = [amounts(program, (row, row + 1)) for row in range(6)]
    everything = amounts(program, (0, 6))
    for name in ("pixels", "tiles", "blocks", "taps apart", "bytes copied"):
        assert sum(part[name] for part in parts) == everything[name]
    assert [part["tiles prepared"] for part in parts] == [2] * 6


def test_a_pointwise_convolution_copies_nothing():
    program = program_of(product_cases.conv2d(1, (1, 6, 5, 16), 8, (1, 1)))
    found = amounts(program, (0, 6))
    assert found["pixels"] == 30 and found["blocks"] == 30 * 2 * 4
    assert found["bytes copied"] == found["taps apart"] == 0


def test_a_kind_names_kernel_types_and_loops():
    drawn = product_cases.conv2d(1, (1, 6, 6, 4), 8, (3, 3))
    kinds = {t: work(p, p.steps[0], (0, 6)).kind for t in TARGETS for p in [program_of(drawn, t)]}
    assert kinds["cortex-m4"] == "Conv2D int8 expanded"
    assert kinds["cortex-m55"] == "Conv2D int8"
    saturating = product_cases.conv2d(1, (1, 6, 6, 4), 8, (3, 3), gain=900.0, per_channel=False)
    program = program_of(saturating)
    assert work(program, program.steps[0], (0, 6)).kind == "Conv2D int8 saturating"


def packed_program(change, target="cortex-m4", image=(1, 6, 6, 4), channels=8):
    file = product_cases.conv2d(1, image, channels, (3, 3)).with_bias
    return read_program(change(file), TARGETS[target], "double")


def test_a_layer_that_decodes_tiles_does_what_a_convolution_does():
    program = packed_program(codebook)
    done = work(program, program.steps[0], (0, 6))
    assert done.kind == "CodebookConv2D int8 expanded"
    assert done.amounts == amounts(
        program_of(product_cases.conv2d(1, (1, 6, 6, 4), 8, (3, 3))), (0, 6)
    )


def test_paired_tiles_are_a_loop_of_their_own():
    program = packed_program(ternary)
    assert work(program, program.steps[0], (0, 6)).kind == "CodebookConv2D int8 paired"


def test_a_sparse_layer_multiplies_the_blocks_that_are_left():
    """A 3x3 window of 16 channels has 36 blocks of 4 weights, of which 4 + 4 + 1 are left."""
    program = packed_program(block_sparse, image=(1, 6, 6, 16))
    found = amounts(program, (0, 6))
    assert found["blocks"] == 36 * 2 * 9 and found["fours"] == 36 * 2 * 3
    assert found["weights prepared"] == 2 * 9 and found["mask bytes"] == 2 * 5


def test_an_lstm_multiplies_for_four_gates():
    case = lstm_files.Case(batch=2, time=3, features=5, units=6)
    program = read_program(lstm_files.build(case), TARGETS["cortex-m4"], "double")
    found = amounts(program, None)
    assert found["steps"] == 6 and found["units"] == 36 and found["macs"] == 36 * 4 * 11


def test_a_dense_layer_reads_blocks_of_4_weights():
    program = read_program(networks.dense_chain(), TARGETS["cortex-m4"], "double")
    first, second = (work(program, step, None).amounts for step in program.steps)
    assert first == {"calls": 1, "tiles prepared": 1, "tiles": 2, "sweeps": 2, "blocks": 2 * 3}
    assert second == {"calls": 1, "tiles prepared": 1, "tiles": 1, "sweeps": 1, "blocks": 2}


@pytest.mark.parametrize("part, share", [((0, 40), 1.0), ((10, 20), 0.25)])
def test_elements_count_by_their_share(part, share):
    values = {n: Value(n, "v", "int8", (2, 20)) for n in (0, 1)}
    step = Step("f", "F", "f.h", Struct("FArgs", {}), (0,), (1,), Elements(40), macs=80)
    program = Program(values, (step,), {}, (0,), (1,))
    found = work(program, step, part)
    assert found.kind == "F int8"
    assert found.amounts["outputs"] == found.amounts["inputs"] == 40 * share
    assert found.amounts["vectors"] == 2 * share and found.amounts["macs"] == 80 * share
    assert whole(step) == (0, 40)


def test_a_whole_window_is_all_of_its_rows():
    step = Step("f", "F", "f.h", Struct("FArgs", {}), (0,), (1,), Window(9, 5))
    assert whole(step) == (0, 5)
    assert whole(dataclasses.replace(step, extent=None)) is None


def test_a_step_of_constants_alone_has_a_kind():
    values = {1: Value(1, "v", "int16", (4,))}
    reads = (Array("a", np.int8([1, 2])),)
    step = Step("f", "F", "f.h", Struct("FArgs", {}), reads, (1,))
    assert work(Program(values, (step,), {}, (), (1,)), step, None).kind == "F int16"


def program_of_packed(content):
    return read_program(content, TARGETS["cortex-m4"], "double")


def test_int16_layers_count_runs_and_what_is_decoded():
    """5 x 3 outputs of 16 channels, 3 runs of 60 products each; one group, so runs are rows."""
    drawn = test_packed_int16.drawn("EdgeaxConv2D")
    found = amounts(program_of_packed(models.model_of(drawn).write()), (0, 5))
    assert found["outputs"] == 15 * 16 and found["runs"] == 3 * 15 * 16
    assert found["macs"] == 15 * 16 * 180 and found["weights prepared"] == 16 * 180


def test_stored_pieces_count_once_a_pixel():
    drawn = test_packed_int16.drawn("EdgeaxSparseConv2D", left=0.25, piece=4)
    program = program_of_packed(models.model_of(drawn).write())
    done = work(program, program.steps[0], (0, 5))
    assert done.kind == "MaskedConv2D int16 pieces of 4"
    stored = np.any(drawn.weights.reshape(16, 45, 4), axis=2).sum()
    assert done.amounts["pieces"] == 15 * stored
    assert done.amounts["mask bytes"] == 15 * 16 * 6
    assert done.amounts["runs copied"] == 15 * 9 and done.amounts["bytes copied"] == 15 * 180


def test_packed_depthwise_layers_are_depthwise_layers_that_decode():
    drawn = test_packed_depthwise_conv2d.drawn(4)
    found = amounts(program_of_packed(models.model_of(drawn).write()), (0, 6))
    assert found["outputs"] == 6 * 7 * 30 and found["weights prepared"] == 9 * 30


def test_products_of_floats_count_groups_and_bytes():
    program = program_of_packed(test_float_product.chain((1,)))
    fields = program.steps[0].arguments.fields
    found = amounts(program, None)
    assert fields["bits"] == 4 and found["outputs"] == 2 * 11
    assert found["groups"] == 2 * 11 * 4 and found["bytes"] == 2 * 11 * 15
