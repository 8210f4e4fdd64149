"""Generated programs give the outputs of their vectors on every board, built for it without a
warning, without a heap and without a C++ library."""

from pathlib import Path

import pytest

from edgeax.runtime.mcu.generate import generate
from tests.data import data_file
from tests.emulation import boards, process, require
from tests.runtime.mcu import generated, networks

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
