"""LSTMs of generated programs against both interpreters, with memory kept between invocations."""

import dataclasses

import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime import Interpreter
from edgeax.runtime.mcu.node import Node, value_of
from edgeax.runtime.mcu.operators.lstm import HANDLERS
from edgeax.runtime.mcu.program import Program
from edgeax.runtime.mcu.targets import TARGETS
from tests.emulation.rigs import RIGS
from tests.export import tflm
from tests.runtime.mcu import lstm_files, stepped
from tests.runtime.mcu.declared import fields_of
from tests.runtime.mcu.lstm_files import Case

PLAIN = Case()
CASES = {
    "plain": PLAIN,
    "small cell": Case(cell_bits=0),
    "large cell": Case(cell_bits=6),
    "clipped": Case(cell_clip=0.9, cell_bits=2, weight_scale=0.05),
    "gates overflow": Case(weight_scale=1.0, units=33),
    "extreme zero points": Case(zero_points=(-128, 127)),
}
OF_LITERT_ONLY = {
    "two batches": Case(batch=2, time=7, features=17, units=21),
    "time first": Case(batch=2, time_major=True),
    "coupled gates": Case(couples=True),
    "one of each": Case(time=1, features=1, units=1),
}
RUNS = 3


def lowered(content: bytes, rounding: str) -> Program:
    """The program of a file of one LSTM."""
    graph = Model.from_bytes(content).subgraphs[0]
    node = Node(0, graph.operators[0], graph.tensors, TARGETS["host"], rounding)
    steps = tuple(HANDLERS["UNIDIRECTIONAL_SEQUENCE_LSTM"](node))
    used = {value for step in steps for value in (*step.values_read, *step.writes)}
    values = {value: value_of(value, graph.tensors[value]) for value in used}
    return Program(values, steps, {}, graph.inputs, graph.outputs)


def in_litert(content: bytes, rows: np.ndarray) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.reset_all_variables()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for row in rows:
        interpreter.set_tensor(given["index"], row)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(made["index"]).copy())
    return outputs


def written(content: bytes, rounding: str, rows, outputs, resets=()) -> tuple[Program, str]:
    program = lowered(content, rounding)
    (given,), (made,) = program.inputs, program.outputs
    runs = [{given: row, made: output} for row, output in zip(rows, outputs, strict=True)]
    return program, stepped.text(program, rounding, runs, resets)


@pytest.fixture(scope="module")
def in_tflm(tmp_path_factory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("tflm")
    for name, case in CASES.items():
        (folder / f"{name.replace(' ', '_')}.tflite").write_bytes(lstm_files.build(case))
    results = tflm.run(folder, [lstm_files.inputs(PLAIN, RUNS)[:, 0]])
    return {name: results[name.replace(" ", "_")].outputs[0] for name in CASES}


@pytest.mark.parametrize("name", [*CASES, *OF_LITERT_ONLY])
def test_single_rounding_gives_the_codes_of_litert(name, tmp_path):
    case = {**CASES, **OF_LITERT_ONLY}[name]
    content, rows = lstm_files.build(case), lstm_files.inputs(case, RUNS)
    outputs = in_litert(content, rows)
    program, text = written(content, "single", rows, outputs)
    assert stepped.run_on_host(tmp_path, program, text) == "equal\n"


@pytest.mark.parametrize("name", CASES)
def test_double_rounding_gives_the_codes_of_tflm(name, in_tflm, tmp_path):
    case = CASES[name]
    rows = lstm_files.inputs(case, RUNS)
    program, text = written(lstm_files.build(case), "double", rows, in_tflm[name][:, None])
    assert stepped.run_on_host(tmp_path, program, text) == "equal\n"


def test_a_reset_begins_from_zero_again(tmp_path):
    content, rows = lstm_files.build(PLAIN), lstm_files.inputs(PLAIN, 1)
    outputs = in_litert(content, rows)
    twice = [np.concatenate([part, part]) for part in (rows, outputs)]
    for resets, said in (((1,), "equal\n"), ((), "run 1, value")):
        program, text = written(content, "single", *twice, resets)
        assert stepped.run_on_host(tmp_path, program, text).startswith(said)


@pytest.mark.parametrize("gate", ["entry", "content"])
def test_gates_are_litert_s_at_every_code(gate, tmp_path):
    content, rows = lstm_files.every_code(gate)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.reset_all_variables()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], rows)
    interpreter.invoke()
    program = lowered(content, "single")
    cell = program.steps[0].writes[2]
    wanted = interpreter.get_tensor(cell).copy()
    assert len(np.unique(wanted)) > 9000
    run = {program.inputs[0]: rows, cell: wanted}
    text = stepped.text(dataclasses.replace(program, outputs=(cell,)), "single", [run])
    assert stepped.run_on_host(tmp_path, program, text) == "equal\n"


def test_time_first_gives_the_same_as_batch_first(tmp_path):
    case = Case(batch=2, units=9)
    turned = dataclasses.replace(case, time_major=True)
    rows = lstm_files.inputs(case, RUNS)
    outputs = np.stack(in_litert(lstm_files.build(case), rows))
    swapped = [np.ascontiguousarray(part.swapaxes(1, 2)) for part in (rows, outputs)]
    program, text = written(lstm_files.build(turned), "single", *swapped)
    assert stepped.run_on_host(tmp_path, program, text) == "equal\n"


@pytest.mark.parametrize("rounding", ["single", "double"])
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_the_boards_compute_the_same(core, rounding, in_tflm, tmp_path):
    rig = RIGS[core]
    rig.require()
    name = "gates overflow"
    content, rows = lstm_files.build(CASES[name]), lstm_files.inputs(CASES[name], RUNS)
    outputs = in_litert(content, rows) if rounding == "single" else in_tflm[name][:, None]
    program, text = written(content, rounding, rows, outputs)
    (tmp_path / "program.cc").write_text(text)
    files = [rig.print_hook, tmp_path / "program.cc", *stepped.sources(program)]
    firmware = rig.build(files, tmp_path / "program", stepped.FLAGS)
    assert rig.run(firmware).output == "equal\n"


def test_the_kernel_has_no_scratch_and_keeps_its_states():
    program = lowered(lstm_files.build(PLAIN), "double")
    (step,) = program.steps
    assert step.scratch_bytes == 0 and step.macs == 4 * 4 * 6 * (5 + 6)
    assert list(step.arguments.fields) == fields_of("LstmArgs")
    states = [program.values[value] for value in step.writes if program.values[value].is_state]
    assert [(state.dtype, state.initial) for state in states] == [("int8", -5), ("int16", 0)]


def changed(change) -> bytes:
    """The plain file after a change of its graph."""
    model = Model.from_bytes(lstm_files.build(PLAIN))
    change(model.subgraphs[0])
    return model.to_bytes()


def with_input(place, tensor):
    def change(graph):
        inputs = [*graph.operators[0].inputs]
        inputs[place] = tensor if tensor is not None else inputs[1]
        graph.operators[0].inputs = inputs

    return change


def with_scale(place, scale):
    def change(graph):
        graph.tensors[graph.operators[0].inputs[place]].scale = scale

    return change


def with_far_zero_point(graph):
    graph.tensors[graph.operators[0].inputs[0]].zero_point = 2**40


def relu(graph):
    graph.operators[0].retarget(1, {"fusedActivationFunction": 1})


@pytest.mark.parametrize(
    "change, message",
    [
        (with_input(9, None), "must be a plain LSTM. Received: one with peephole connections"),
        (with_input(16, None), "one with a projection"),
        (with_input(20, None), "one with layer normalization"),
        (with_input(1, -1), "input gate must be all there or all absent"),
        (relu, "its activation must be TANH. Received: RELU"),
        (with_scale(18, 0.5), "hidden state and output must have the same scale"),
        (with_scale(19, 0.3), "power of two between 2\\*\\*-15 and 2\\*\\*-9"),
        (with_scale(0, np.nan), "'x' must have one scale above 0. Received: .nan"),
        (with_far_zero_point, "the zero point of 'x' must be a code. Received: 1099511627776"),
        (with_input(2, 0), "weights 2 must be int8 of shape|must be a constant"),
        (with_input(13, None), "bias 13 must be int32"),
    ],
)
def test_what_it_does_not_know_is_refused_with_its_place(change, message):
    with pytest.raises(ValueError, match=message) as error:
        lowered(changed(change), "double")
    assert str(error.value).startswith("operator 0 UNIDIRECTIONAL_SEQUENCE_LSTM, y:")


def test_coupled_gates_are_refused_where_tflm_is_the_rule():
    with pytest.raises(ValueError, match='Pass rounding="single"'):
        lowered(lstm_files.build(Case(couples=True)), "double")
