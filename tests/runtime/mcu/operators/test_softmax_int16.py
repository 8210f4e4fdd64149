"""Softmax of int16 codes against both interpreters."""

import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime import Interpreter
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators.softmax_int16 import (
    exp_table,
    reciprocal_table,
    softmax_int16,
)
from edgeax.runtime.mcu.targets import TARGETS
from tests.emulation import places, process
from tests.emulation.rigs import RIGS
from tests.export import tflm
from tests.runtime.mcu import kernel_files, step_program
from tests.runtime.mcu.declared import fields_of

SHAPE = (1, 3, 40)
FLAGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{places.REPOSITORY}")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def build(scale=2.0**-11, beta=1.0, shape=SHAPE, dtype="int16", output_scale=2.0**-15) -> bytes:
    model = Model.empty()
    graph = model.subgraphs[0]
    given = graph.add_state("x", dtype, shape, scale, is_variable=False)
    made = graph.add_state("y", "int16", shape, output_scale, is_variable=False)
    graph.insert(0, "SOFTMAX", [given], [made])
    model.replace_with_builtin(0, 0, "SOFTMAX", [given], "SoftmaxOptions", {"beta": beta})
    graph.inputs, graph.outputs = [given], [made]
    return model.to_bytes()


def lowered(content: bytes):
    graph = Model.from_bytes(content).subgraphs[0]
    (step,) = softmax_int16(Node(0, graph.operators[0], graph.tensors, TARGETS["host"], "double"))
    return step


def codes(shape=SHAPE) -> np.ndarray:
    """Rows that are wide, narrow, and all the same."""
    drawn = np.random.default_rng(0).integers(-32768, 32768, shape)
    drawn[:, 1] //= 16
    drawn[:, 2] = 32767
    drawn[0, 0, :2] = -32768, 32767
    return drawn.astype(np.int16)


def in_litert(content: bytes, rows: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], rows)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy()


CASES = {
    "plain": {},
    "steep": {"scale": 2.0**-8, "beta": 3.0},
    "flat": {"scale": 2.0**-20},
    "odd scale": {"scale": 0.000317},
}


def program() -> str:
    return step_program.source(
        [
            step_program.Case(lowered(content), (codes(),), in_litert(content, codes()), "double")
            for content in (build(**options) for options in CASES.values())
        ]
    )


def test_it_gives_the_codes_of_litert(tmp_path):
    (tmp_path / "program.cc").write_text(program())
    kernels = kernel_files.sources(["softmax_int16.h"])
    process.compile_or_raise(
        ["g++", *FLAGS, *SANITIZE, "-o", tmp_path / "program", tmp_path / "program.cc", *kernels]
    )
    assert process.run([tmp_path / "program"], timeout_s=60).code == 0


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_the_boards_compute_the_same(core, tmp_path):
    rig = RIGS[core]
    rig.require()
    (tmp_path / "program.cc").write_text(program())
    files = [rig.print_hook, tmp_path / "program.cc"]
    files += kernel_files.sources(["softmax_int16.h"])
    flags = (f"-I{places.REPOSITORY}", "-Werror")
    assert rig.run(rig.build(files, tmp_path / "program", flags)).code == 0


def test_tflm_gives_the_codes_of_litert(tmp_path):
    for name, options in CASES.items():
        (tmp_path / f"{name.replace(' ', '_')}.tflite").write_bytes(build(**options))
    results = tflm.run(tmp_path, [codes()])
    for name, options in CASES.items():
        wanted = in_litert(build(**options), codes())
        assert np.array_equal(results[name.replace(" ", "_")].outputs[0], wanted), name


def test_the_tables_begin_and_end_where_they_must():
    exponentials, reciprocals = exp_table(), reciprocal_table()
    assert len(exponentials) == len(reciprocals) == 513
    # 1.4876 and 1.5170 steps at the ends of the first line, 1.5023 in its middle: the line from 1
    # to 1.5170 would give 1 there, not 2, so half of the difference is added to its beginning.
    assert exponentials[[0, -1]].tolist() == [2, 32767]
    assert reciprocals[[0, -1]].tolist() == [32767, 16384]


def test_arguments_stand_as_the_header_declares_them():
    assert list(lowered(build()).arguments.fields) == fields_of("SoftmaxInt16Args")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"dtype": "int8"}, "its input must be int16. Received: int8"),
        ({"output_scale": 0.5}, "its output must have scale"),
        ({"beta": 0.0}, "beta must be above 0"),
        ({"shape": (1, 70000)}, "its last axis 1 to 65535"),
    ],
)
def test_what_it_does_not_know_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        lowered(build(**options))
