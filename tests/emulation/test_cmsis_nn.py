"""Generated programs with the user's CMSIS-NN, where EDGEAX_CMSIS_NN and EDGEAX_CMSIS_NN_LIBRARIES
name it, see cmsis_nn.py: bit for bit, on this machine and on boards."""

from pathlib import Path

import pytest

from benchmarks.mcu import KNOWN
from edgeax.runtime.mcu.generate import generate
from tests.data import data_file
from tests.emulation import cmsis_nn, process, require
from tests.runtime.mcu import cmsis_nn_layers, cmsis_nn_programs, image_networks

CORES = ("cortex-m4", "cortex-m55")
LAYERS = {"layers": cmsis_nn_layers.layers, "others": cmsis_nn_layers.others}
STRIPES = {
    "separable": (image_networks.separable, 6_000),
    "residual": (image_networks.residual, 2_900),
}


def library(machine: str) -> cmsis_nn.Library:
    found = cmsis_nn.of_user(machine)
    if found is None:
        pytest.skip(f"EDGEAX_CMSIS_NN and EDGEAX_CMSIS_NN_LIBRARIES name none for {machine}")
    return found


def check(core: str, folder: Path) -> None:
    """A program gives the outputs of its vectors here and on its board."""
    here = cmsis_nn_programs.run_here(folder, library(cmsis_nn.HERE))
    assert here.code == 0, here.output
    require.board_tools()
    there = cmsis_nn_programs.run_on_board(core, folder, library(core))
    assert there == process.Outcome("", 0)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("core", CORES)
def test_layers(core: str, name: str, tmp_path: Path) -> None:
    library(core)
    cmsis_nn_programs.write_program(LAYERS[name](), tmp_path / "net", core)
    check(core, tmp_path / "net")


@pytest.mark.parametrize("name", STRIPES)
@pytest.mark.parametrize("core", CORES)
def test_stripes(core: str, name: str, tmp_path: Path) -> None:
    library(core)
    network, ram_bytes = STRIPES[name]
    generate(network(), tmp_path / "net", target=core, ram_bytes=ram_bytes, name="net")
    check(core, tmp_path / "net")


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("core", CORES)
def test_models(core: str, name: str, tmp_path: Path) -> None:
    library(core)
    data = data_file(f"models/{KNOWN[name].file}").read_bytes()
    found = generate(data, tmp_path / "net", target=core, name="net")
    assert found.cmsis_nn is not None and not found.cmsis_nn.ours
    check(core, tmp_path / "net")


def test_what_a_variable_names_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EDGEAX_CMSIS_NN", raising=False)
    assert cmsis_nn.of_user("cortex-m4") is None
    monkeypatch.setenv("EDGEAX_CMSIS_NN", str(tmp_path / "tree"))
    monkeypatch.setenv("EDGEAX_CMSIS_NN_LIBRARIES", str(tmp_path))
    assert cmsis_nn.of_user("cortex-m4") is None
    (tmp_path / "cortex-m4").mkdir()
    (tmp_path / "cortex-m4" / "libcmsis-nn.a").write_bytes(b"")
    found = cmsis_nn.of_user("cortex-m4")
    assert found is not None and found.file.parent.name == "cortex-m4"
    assert found.flags[-1] == str(tmp_path / "tree" / "Include")
