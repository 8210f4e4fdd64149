"""Generated programs give the outputs of their vectors on a processor without multiplications of 64
bits, DSP or floating point (Cortex-M0+), and on 32-bit RISC-V."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeax.runtime.mcu.generate import generate
from tests.emulation import boards, process, require, riscv32
from tests.runtime.mcu import generated, kernel_files, networks, packed_cases, step_program
from tests.runtime.mcu.operators import (
    test_batch_matmul,
    test_float_product,
    test_packed_depthwise_conv2d,
    test_packed_int16,
    test_transpose_conv,
)
from tests.tflite_kernels import models, random_cases

M0PLUS, RV32 = "cortex-m0plus", "rv32"
TARGETS = (M0PLUS, RV32)


def packed(drawn) -> bytes:
    return models.model_of(drawn).write()


NETWORKS: dict[str, Callable[[], bytes]] = {
    "dense": networks.dense_chain,
    "image": networks.images,
    "branches": networks.branches,
    "float ends": networks.float_ends,
    "floats": lambda: test_float_product.chain((0, 1, 2, 3)),
    "codebook": lambda: packed(random_cases.draw("EdgeaxConv2D", 3)),
    "zeros": lambda: packed(random_cases.draw("EdgeaxSparseFullyConnected", 4)),
    "points": lambda: packed(random_cases.draw("EdgeaxLookupConv2D", 2)),
    "depthwise": lambda: packed(test_packed_depthwise_conv2d.drawn(4)),
    "int16": lambda: packed(test_packed_int16.drawn("EdgeaxConv2D")),
    "int16 zeros": lambda: packed(test_packed_int16.drawn("EdgeaxSparseConv2D", left=0.3)),
    "int16 transposed": lambda: test_transpose_conv.WIDE[0].file,
    "matrices": lambda: test_batch_matmul.cases(np.int8)[0].file,
}


def built(target: str, folder: Path) -> Path:
    """Builds the test of a generated program."""
    flags = [f"-I{folder}", "-DEDGEAX_QUIET", "-Werror"]
    sources, output = generated.sources(folder), folder.with_suffix(".elf")
    if target == RV32:
        return riscv32.build(sources, output, flags)
    return boards.build(target, sources, output, flags)


def run(target: str, program: Path) -> process.Outcome:
    return riscv32.run(program) if target == RV32 else boards.run(target, program)


def need_tools(target: str) -> None:
    (require.riscv_tools if target == RV32 else require.board_tools)()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_program_gives_the_outputs_of_its_vectors(target: str, name: str, tmp_path: Path) -> None:
    need_tools(target)
    generate(NETWORKS[name](), tmp_path / "net", target=target, name="net")
    assert run(target, built(target, tmp_path / "net")) == process.Outcome("", 0)


@pytest.mark.parametrize("target", TARGETS)
def test_a_wrong_output_is_found(target: str, tmp_path: Path) -> None:
    need_tools(target)
    generate(networks.dense_chain(), tmp_path / "net", target=target, name="net")
    vectors = tmp_path / "net" / "test_vectors.h"
    head, _, tail = vectors.read_text().rpartition(", ")
    vectors.write_text(f"{head.rpartition(' ')[0]} 99, {tail}")
    assert run(target, built(target, tmp_path / "net")).code == 1


def test_packed_layers_on_risc_v_agree_with_the_oracle(tmp_path: Path) -> None:
    require.riscv_tools()
    cases = packed_cases.everything(RV32, 2)
    source = tmp_path / "cases.cc"
    source.write_text(step_program.source(cases))
    kernels = kernel_files.sources([case.step.header for case in cases])
    program = riscv32.build([source, *kernels], tmp_path / "cases", ["-I.", "-Werror"])
    assert riscv32.run(program) == process.Outcome("", 0)
