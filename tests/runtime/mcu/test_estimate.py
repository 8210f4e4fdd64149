"""Estimates against programs that are built and run."""

import dataclasses
import json

import pytest

import edgeax
from benchmarks import packed_versions
from benchmarks.drawn_network import separable_network
from benchmarks.firmware import Bench
from edgeax.runtime.mcu.choose import choose
from edgeax.runtime.mcu.cost_table import table_for
from edgeax.runtime.mcu.estimate import estimate, estimate_of
from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.targets import TARGETS
from tests.emulation import boards, require
from tests.runtime.mcu import networks


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    require.board_tools()
    require.counter()
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("rounding", ["double", "single"])
@pytest.mark.parametrize("core", boards.BOARDS)
def test_an_estimate_is_right_after_building(core, rounding, bench, tmp_path):
    """Exact for RAM and constants, within 10 % for flash and instructions."""
    found = estimate(separable_network(), core, rounding=rounding)
    folder = tmp_path / "net"
    written = generate(separable_network(), folder, core, rounding=rounding, name="net")
    firmware = bench.build(core, folder, "net")
    outcome = bench.run(firmware)
    assert found.ram_bytes == firmware.ram_bytes == written.ram_bytes
    assert found.constant_bytes == written.constant_bytes
    program_bytes = firmware.flash_bytes - written.constant_bytes
    assert found.program_bytes == pytest.approx(program_bytes, rel=0.10)
    assert found.instructions == pytest.approx(outcome.instructions, rel=0.10)
    assert found.stack_bytes == pytest.approx(outcome.stack_bytes, rel=0.15)


@pytest.mark.parametrize(
    "core, version",
    [
        ("cortex-m4", "ternary"),
        ("cortex-m4", "block_sparse"),
        ("cortex-m55", "codebook"),
        ("cortex-m55", "scattered"),
    ],
)
def test_instructions_of_packed_layers_are_estimated(core, version, bench, tmp_path):
    data = getattr(packed_versions, version)(separable_network())
    found = estimate(data, core)
    folder = tmp_path / "net"
    generate(data, folder, core, name="net")
    firmware = bench.build(core, folder, "net")
    assert found.ram_bytes == firmware.ram_bytes
    assert found.instructions == pytest.approx(bench.run(firmware).instructions, rel=0.10)


def test_what_decoding_costs_is_said_where_it_costs_something():
    changes = (packed_versions.codebook, packed_versions.block_sparse, bytes)
    said = [str(estimate(change(separable_network()))) for change in changes]
    assert ["decoding packed weights costs" in text for text in said] == [True, False, False]


def test_less_ram_is_estimated_with_its_instructions():
    free = estimate(separable_network(), ram_bytes=1 << 20)
    small = estimate(separable_network(), ram_bytes=int(free.ram_bytes * 0.75))
    assert small.ram_bytes <= free.ram_bytes * 0.75
    assert free.instructions < small.instructions < 1.5 * free.instructions
    assert "in stripes" in str(small)


def test_layers_add_up():
    found = estimate(networks.dense_chain())
    assert [layer.macs for layer in found.layers] == [96, 32]
    assert sum(layer.instructions for layer in found.layers) < found.instructions
    assert found.flash_bytes == found.program_bytes + found.constant_bytes


@pytest.mark.parametrize("target", ["cortex-m0plus", "rv32", "host"])
def test_targets_that_were_not_measured_say_so(target):
    found = estimate(networks.dense_chain(), target)
    assert (found.ram_bytes, found.program_bytes, found.instructions) == (24, None, None)
    assert found.stack_bytes is found.flash_bytes is None
    assert "nothing was measured on this target" in str(found)
    assert "unknown" in str(found)


def test_a_kernel_that_was_not_measured_is_named():
    program = read_program(networks.images(), TARGETS["cortex-m4"], "double")
    placed = choose(program, TARGETS["cortex-m4"]).plan
    table = dataclasses.replace(table_for("cortex-m4"), instructions={})
    found = estimate_of(placed, table, "cortex-m4", "double")
    assert found.instructions is None and found.program_bytes is not None
    assert found.notes == ("not measured: Conv2D",)


def test_it_prints_and_is_json():
    found = edgeax.mcu.estimate(networks.dense_chain(), target="cortex-m55")
    text = str(found)
    assert "cortex-m55, double rounding" in text and "0 FULLY_CONNECTED, h" in text
    assert "24 bytes" in text and table_for("cortex-m55").date in text
    assert json.loads(json.dumps(found.as_dict()))["flash_bytes"] == found.flash_bytes


def test_bad_arguments_are_refused_as_by_generate():
    with pytest.raises(ValueError, match="`target` must be one of"):
        estimate(networks.dense_chain(), "z80")
    with pytest.raises(ValueError, match="`ram_bytes` must be at least 24"):
        estimate(networks.dense_chain(), ram_bytes=8)
    with pytest.raises(ValueError, match="`source` must be a .tflite file"):
        estimate("nothing.tflite")
