"""Generated programs give the outputs of their vectors on every board, built for it without a
warning, without a heap and without a C++ library."""

from pathlib import Path

import pytest

from benchmarks import packed_versions
from benchmarks.drawn_network import separable_network
from edgeax.runtime.mcu.generate import generate
from tests.data import data_file
from tests.emulation import boards, process, require
from tests.runtime.mcu import (
    cmsis_nn_layers,
    cmsis_nn_programs,
    generated,
    image_networks,
    networks,
)

NETWORKS = {
    "dense": networks.dense_chain,
    "image": networks.images,
    "batch": lambda: networks.images(batch=2),
    "branches": networks.branches,
}
MODELS = {
    "cortex-m4": "ad_autoencoder_int8",
    "cortex-m7": "ic_resnet8_int8",
    "cortex-m55": "vww_mobilenetv1_int8",
}


PACKED = {
    "cortex-m4": packed_versions.ternary,
    "cortex-m7": packed_versions.block_sparse,
    "cortex-m55": packed_versions.ternary,
}


def run_on_board(core: str, data: bytes, folder: Path) -> process.Outcome:
    """Generates a program for a core, builds its test for the board, and runs it there."""
    require.board_tools()
    generate(data, folder / "net", target=core, name="net")
    flags = [f"-I{folder / 'net'}", "-DEDGEAX_QUIET", "-Werror"]
    program = boards.build(core, generated.sources(folder / "net"), folder / "net.elf", flags)
    return boards.run(core, program)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("core", boards.BOARDS)
def test_a_program_gives_the_outputs_of_its_vectors(core: str, name: str, tmp_path: Path) -> None:
    assert run_on_board(core, NETWORKS[name](), tmp_path) == process.Outcome("", 0)


@pytest.mark.parametrize("core", MODELS)
def test_a_whole_model_gives_the_outputs_of_its_vectors(core: str, tmp_path: Path) -> None:
    data = data_file(f"models/{MODELS[core]}.tflite").read_bytes()
    assert run_on_board(core, data, tmp_path) == process.Outcome("", 0)


@pytest.mark.parametrize("core", PACKED)
def test_a_program_of_packed_layers_gives_the_outputs_of_its_vectors(
    core: str, tmp_path: Path
) -> None:
    data = PACKED[core](separable_network())
    assert run_on_board(core, data, tmp_path) == process.Outcome("", 0)


def test_a_wrong_constant_is_found_on_a_board(tmp_path: Path) -> None:
    generate(networks.dense_chain(), tmp_path / "net", target="cortex-m4", name="net")
    constants = tmp_path / "net" / "net_constants.h"
    wrong = constants.read_text().replace("k0_weights[", "k0_other[", 1)
    assert wrong != constants.read_text()
    constants.write_text(wrong.replace("k0_weights,", "k0_other + 1,", 1))
    require.board_tools()
    flags = [f"-I{tmp_path / 'net'}", "-DEDGEAX_QUIET"]
    sources = generated.sources(tmp_path / "net")
    program = boards.build("cortex-m4", sources, tmp_path / "net.elf", flags)
    assert boards.run("cortex-m4", program).code != 0


@pytest.mark.parametrize("name", ["layers", "others"])
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_cmsis_nn_is_called_as_it_wants(core: str, name: str, tmp_path: Path) -> None:
    """With the scratch that it asks for on the board, see stand_in_cmsis_nn."""
    require.board_tools()
    data = getattr(cmsis_nn_layers, name)()
    cmsis_nn_programs.write_program(data, tmp_path / "net", core)
    library = cmsis_nn_programs.stand_in(core)
    outcome = cmsis_nn_programs.run_on_board(core, tmp_path / "net", library)
    assert outcome == process.Outcome("", 0)


@pytest.mark.parametrize(
    "core, name, ram_bytes, our_steps",
    [
        ("cortex-m4", "separable", 2_000, 0),
        ("cortex-m4", "residual", 2_700, 0),
        ("cortex-m55", "separable", 6_000, 0),
        ("cortex-m55", "separable", 2_300, 2),  # without scratch for the depthwise ones
        ("cortex-m55", "residual", 2_900, 0),
    ],
)
def test_cmsis_nn_computes_images_in_stripes(
    core: str, name: str, ram_bytes: int, our_steps: int, tmp_path: Path
) -> None:
    require.board_tools()
    data = getattr(image_networks, name)()
    found = generate(data, tmp_path / "net", target=core, ram_bytes=ram_bytes, name="net")
    assert found.cmsis_nn is not None and len(found.cmsis_nn.ours) == our_steps
    assert any("stripes" in step.label for step in found.cmsis_nn.steps)
    library = cmsis_nn_programs.stand_in(core)
    outcome = cmsis_nn_programs.run_on_board(core, tmp_path / "net", library)
    assert outcome == process.Outcome("", 0)


def test_a_program_planned_for_another_processor_is_told_when_it_is_compiled(
    tmp_path: Path,
) -> None:
    require.board_tools()
    generate(networks.images(), tmp_path / "net", target="cortex-m4", name="net")
    library = cmsis_nn_programs.stand_in("cortex-m55")
    with pytest.raises(RuntimeError, match="planned for cortex-m4: generate it"):
        cmsis_nn_programs.run_on_board("cortex-m55", tmp_path / "net", library)


def test_a_cmsis_nn_that_wants_more_scratch_stops_the_program(tmp_path: Path) -> None:
    require.board_tools()
    generate(networks.images(), tmp_path / "net", target="cortex-m4", name="net")
    constants = tmp_path / "net" / "net_cmsis_nn_constants.h"
    text = constants.read_text()
    assert "    144,  // scratch_bytes" in text
    constants.write_text(text.replace("    144,  // scratch_bytes", "    143,  // scratch_bytes"))
    library = cmsis_nn_programs.stand_in("cortex-m4")
    outcome = cmsis_nn_programs.run_on_board("cortex-m4", tmp_path / "net", library)
    assert outcome.code == boards.FAULT_CODE
