"""Convolutions and dense layers of int16 codes against LiteRT and TensorFlow Lite Micro."""

import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu import oracle
from tests.emulation import places, process
from tests.emulation.rigs import RIGS
from tests.export import tflm
from tests.runtime.mcu import kernel_files, product_cases, step_program
from tests.runtime.mcu.declared import fields_of
from tests.runtime.mcu.product_cases import Drawn


def with_largest_sums(drawn: Drawn) -> Drawn:
    """The same layer with extreme weights and codes."""
    model = Model.from_bytes(drawn.file)
    weights = model.subgraphs[0].tensors[model.subgraphs[0].operators[0].inputs[1]]
    weights.data = np.full(weights.shape, -127, np.int8)
    codes = np.full_like(drawn.input, -32768)
    return Drawn(model.to_bytes(), model.to_bytes(), codes)


def conv2d(*arguments, **options) -> Drawn:
    return product_cases.conv2d(*arguments, **options, dtype="int16")


def dense(*arguments, **options) -> Drawn:
    return product_cases.fully_connected(*arguments, **options, dtype="int16")


CONVOLUTIONS = {
    "plain": conv2d(1, (1, 5, 6, 3), 7, (3, 3)),
    "strided": conv2d(2, (2, 7, 5, 4), 8, (3, 2), stride=(2, 3), activation="RELU"),
    "dilated": conv2d(3, (1, 9, 8, 2), 5, (3, 3), dilation=(2, 2), activation="RELU6"),
    "grouped": conv2d(4, (1, 4, 5, 6), 10, (2, 3), groups=2),
    "deep": conv2d(5, (1, 3, 3, 150), 6, (3, 3), padding="VALID"),
    "wide window": conv2d(6, (1, 3, 2, 5), 4, (5, 7)),
    "of one pixel": conv2d(7, (1, 1, 1, 9), 3, (1, 1), padding="VALID", per_channel=False),
}
DENSE = {
    "rows": dense(8, (3, 11), 6, per_channel=True),
    "one row": dense(9, (1, 600), 5, activation="RELU"),
    "channels": dense(10, (1, 40), 7, per_channel=True),
}
DENSE["largest sums"] = with_largest_sums(DENSE["one row"])
FLAGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{places.REPOSITORY}")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def cases(bands: bool = False) -> list[step_program.Case]:
    found = []
    for name, drawn in CONVOLUTIONS.items():
        rows = (1,) if bands and drawn.input.shape[0] == 1 and name != "of one pixel" else ()
        found.append(drawn.case("host", "single", rows if name != "deep" else ()))
    return found


def code_on_host(folder, program: list[step_program.Case]) -> int:
    source = folder / "program.cc"
    source.write_text(step_program.source(program))
    kernels = kernel_files.sources([case.step.header for case in program])
    process.compile_or_raise(["g++", *FLAGS, *SANITIZE, "-o", folder / "program", source, *kernels])
    return process.run([folder / "program"], timeout_s=60).code


@pytest.mark.parametrize("bands", [False, True])
def test_convolutions_give_the_codes_of_litert_whole_and_by_rows(bands, tmp_path):
    assert code_on_host(tmp_path, cases(bands)) == 0


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_both_roundings_of_litert_are_one(name):
    drawn = CONVOLUTIONS[name]
    assert np.array_equal(drawn.expected("single"), drawn.expected("double"))


def test_dense_layers_give_the_codes_of_litert_and_of_tflm(tmp_path):
    program = [drawn.case("host", "single") for drawn in DENSE.values()]
    program += [drawn.case("host", "double") for drawn in DENSE.values()]
    assert code_on_host(tmp_path, program) == 0


@pytest.mark.parametrize("name", ["one row", "channels", "largest sums"])
def test_the_oracle_of_dense_layers_is_tflm(name, tmp_path):
    drawn = DENSE[name]
    graph = Model.from_bytes(drawn.file).subgraphs[0]
    wanted = oracle.fully_connected(graph, graph.operators[0], drawn.input)
    (tmp_path / "dense.tflite").write_bytes(drawn.file)
    assert np.array_equal(tflm.run(tmp_path, [drawn.input])["dense"].outputs[0], wanted)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_the_boards_compute_the_same(core, tmp_path):
    rig = RIGS[core]
    rig.require()
    program = [*cases(), DENSE["one row"].case("host", "single")]
    (tmp_path / "program.cc").write_text(step_program.source(program))
    kernels = kernel_files.sources([case.step.header for case in program])
    flags = (f"-I{places.REPOSITORY}", "-Werror")
    firmware = rig.build(
        [rig.print_hook, tmp_path / "program.cc", *kernels], tmp_path / "program", flags
    )
    assert rig.run(firmware).code == 0


def test_arguments_stand_as_the_header_declares_them():
    (case, *_) = cases()
    assert list(case.step.arguments.fields) == fields_of("Conv2DInt16Args")
