"""Generated programs that train give the losses and weights of Python on every board."""

from pathlib import Path

import pytest

from edgeax.runtime.mcu.generate_training import generate_training
from tests.emulation import boards, process, require
from tests.runtime.mcu import generated, trainable_networks, training_files

CORES = {**boards.BOARDS, **boards.SMALL_BOARDS}


@pytest.mark.parametrize("core", CORES)
def test_a_program_learns_real_samples_bit_for_bit(core: str, tmp_path: Path) -> None:
    require.board_tools()
    folder = tmp_path / "net"
    data, samples = training_files.classifier(), training_files.clothes(25)
    generate_training(data, folder, target=core, name="net", samples=samples, test_steps=50)
    flags = [f"-I{folder}", "-DEDGEAX_QUIET", "-Werror"]
    program = boards.build(core, generated.sources(folder), tmp_path / "net.elf", flags)
    assert boards.run(core, program) == process.Outcome("", 0)


@pytest.mark.parametrize("core", ["cortex-m7", "cortex-m0plus"])
def test_all_kinds_of_layers_learn_bit_for_bit(core: str, tmp_path: Path) -> None:
    require.board_tools()
    folder = tmp_path / "net"
    shares = {0: 0.5, 1: 0.5, 2: 0.0, 5: 0.3, 8: 1.0, 10: 0.5, 11: 1.0}
    data = trainable_networks.blocks()
    generate_training(data, folder, target=core, name="net", trainable=shares, test_steps=3)
    flags = [f"-I{folder}", "-DEDGEAX_QUIET", "-Werror"]
    program = boards.build(core, generated.sources(folder), tmp_path / "net.elf", flags)
    assert boards.run(core, program) == process.Outcome("", 0)
