"""Resource variables become states, and keep what LiteRT keeps."""

import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime import Interpreter
from edgeax.runtime.mcu.operators.variables import assignment
from edgeax.runtime.mcu.program import Alias, Array, Step, Struct, Value
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.read_state import Variables, read_variables, settle
from edgeax.runtime.mcu.targets import TARGETS
from tests.emulation.rigs import RIGS
from tests.runtime.mcu import stepped, streaming

HOST = TARGETS["host"]


@pytest.fixture(scope="module")
def delay() -> bytes:
    return streaming.delay_file()


@pytest.fixture(scope="module")
def stream() -> bytes:
    return streaming.stream_file()


def runs_of(content: bytes, program, rows) -> list[dict[int, np.ndarray]]:
    """What LiteRT gives for rows one after the other."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    runs = []
    for row in rows:
        interpreter.set_tensor(given["index"], row)
        interpreter.invoke()
        made = [interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()]
        pairs = zip(program.outputs, made, strict=True)
        runs.append({program.inputs[0]: row} | {value: output.copy() for value, output in pairs})
    return runs


def random_codes(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)


def test_a_delay_gives_what_litert_gives_and_begins_anew_after_a_reset(delay, tmp_path):
    program = read_program(delay, HOST, "double")
    once = runs_of(delay, program, random_codes(4, 1, 3))
    text = stepped.text(program, "double", once + once, resets=[4])
    assert stepped.run_on_host(tmp_path, program, text) == "equal\n"


def test_only_what_is_needed_after_an_assignment_is_copied(delay):
    program = read_program(delay, HOST, "double")
    by_name = {value.name: number for number, value in program.values.items() if value.is_state}
    near, far = by_name["Variable_1"], by_name["Variable"]
    copies = [(step.reads[0], step.writes[0]) for step in program.steps]
    assert copies[0][0] == far and not program.values[copies[0][1]].is_state
    assert [(program.storage(copies[1][0]), copies[1][1])] == [(near, far)]
    assert copies[2] == (program.inputs[0], near) and len(copies) == 3


def test_the_first_content_is_that_of_the_file(delay):
    found = {value.name: value.initial for value in read_variables(_model(delay)).values.values()}
    assert found["Variable"] == -5
    assert found["Variable_1"].data.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_the_boards_keep_the_same(core, delay, tmp_path):
    rig = RIGS[core]
    rig.require()
    program = read_program(delay, HOST, "double")
    runs = runs_of(delay, program, random_codes(4, 1, 3))
    (tmp_path / "program.cc").write_text(stepped.text(program, "double", runs + runs, [4]))
    files = [rig.print_hook, tmp_path / "program.cc", *stepped.sources(program)]
    assert rig.run(rig.build(files, tmp_path / "program", stepped.FLAGS)).output == "equal\n"


@pytest.mark.parametrize("rounding", ["single", "double"])
def test_a_stream_is_convolved_as_in_litert_without_a_copy(stream, rounding, tmp_path):
    program = read_program(stream, HOST, rounding)
    assert not [step for step in program.steps if step.kernel == "Assign"]
    rows = random_codes(6, 1, 1, 1, streaming.FEATURES)
    text = stepped.text(program, rounding, runs_of(stream, program, rows))
    assert stepped.run_on_host(tmp_path, program, text) == "equal\n"


def test_a_stream_of_float_variables_is_refused_with_a_way_out():
    model = _model(streaming.stream_file(quantizes_variables=False))
    with pytest.raises(ValueError, match="_experimental_variable_quantization = True"):
        read_variables(model)


# How reads and assignments are settled. Values 1 and 2 are states, 0 is an input.


def state(number: int) -> Value:
    return Value(number, f"state {number}", "int8", (4,), is_state=True)


def step(reads, writes) -> Step:
    return Step("", "Anything", "any.h", Struct("AnyArgs", {}), reads, writes)


def read(number, value) -> Alias:
    return Alias("READ", number, value)


def assign(number, value) -> Step:
    return assignment("ASSIGN", value, number, 4)


def settled(*parts, outputs=()) -> list[str]:
    """What the parts became, in short: "1=5" for an alias, "1<-5" for a copy, "5(1)" for a step."""
    variables = Variables({1: state(1), 2: state(2)}, {1: 1, 2: 2, 11: 1})
    words = []
    for part in settle(parts, variables, [0], outputs):
        if isinstance(part, Alias):
            words.append(f"{part.read}={part.write}")
        elif part.kernel == "Assign":
            words.append(f"{part.writes[0]}<-{part.reads[0]}")
        else:
            words.append(f"{part.writes[0]}({part.reads[0]})")
    return words


def test_a_content_used_up_before_the_assignment_is_neither_copied_in_nor_out():
    parts = [read(1, 5), step((5,), (6,)), step((6,), (7,)), assign(1, 7)]
    assert settled(*parts) == ["1=5", "6(5)", "7(6)", "1=7"]


def test_a_step_that_reads_the_old_content_does_not_overwrite_it():
    assert settled(read(1, 5), step((5,), (6,)), assign(1, 6)) == ["1=5", "6(5)", "1<-6"]


def test_a_content_used_after_the_assignment_is_copied_out():
    parts = [read(1, 5), step((0,), (6,)), assign(1, 6), step((5,), (7,))]
    assert settled(*parts) == ["5<-1", "6(0)", "1=6", "7(5)"]


def test_a_content_used_between_its_computation_and_its_assignment_stays():
    parts = [read(1, 5), step((0,), (6,)), step((5,), (7,)), assign(1, 6)]
    assert settled(*parts) == ["1=5", "6(0)", "7(5)", "1<-6"]


def test_uses_under_another_shape_count():
    parts = [read(1, 5), Alias("", 5, 8), step((0,), (6,)), assign(1, 6), step((8,), (7,))]
    assert settled(*parts) == ["5<-1", "5=8", "6(0)", "1=6", "7(8)"]
    renamed = [step((0,), (6,)), Alias("", 6, 9), assign(1, 9)]
    assert settled(*renamed) == ["6(0)", "6=9", "1=6"]


def test_an_output_is_used_at_the_end():
    assert settled(read(1, 5), assign(1, 0), outputs=[5]) == ["5<-1", "1<-0"]
    assert settled(assign(1, 0), read(1, 5), outputs=[5]) == ["1<-0", "1=5"]


def test_inputs_other_states_constants_and_second_assignments_are_copied():
    assert settled(read(2, 5), assign(1, 5)) == ["2=5", "1<-5"]
    twice = [step((0,), (6,)), assign(1, 6), step((0,), (7,)), assign(1, 7)]
    assert settled(*twice) == ["6(0)", "1<-6", "7(0)", "1<-7"]
    shared = [step((0,), (6,)), assign(1, 6), assign(2, 6)]
    assert settled(*shared) == ["6(0)", "1=6", "2<-6"]
    assert settled(read(1, 5), assign(1, 5)) == ["5<-1", "1<-5"]
    constant = Array("value", np.int8([1]))
    assert settled(assign(1, constant))[0].startswith("1<-Array")


def test_another_handle_of_a_variable_is_the_same_state():
    assert settled(read(11, 5), assign(11, 0)) == ["1=5", "1<-0"]


# Bad files.


def _model(content: bytes) -> Model:
    return Model.from_bytes(content)


def drop_handles(model):
    graph = model.subgraphs[0]
    graph.operators = [op for op in graph.operators if op.name != "VAR_HANDLE"]


def call_late(model):
    operators = model.subgraphs[0].operators
    operators.append(operators.pop(0))


def call_itself(model):
    model.subgraphs[0].operators[0].retarget(1, {"initSubgraphIndex": 0})


def compute_first_content(model):
    model.subgraphs[1].insert(0, "RELU", [0], [1])


def begin_with_another_size(model):
    for place in (0, 1):
        model.subgraphs[1].tensors[place].data = np.int8([[1, 2]])


def read_another_size(model):
    model.subgraphs[0].tensors[7].shape = (1, 4)


@pytest.mark.parametrize(
    "change, message",
    [
        (drop_handles, "READ_VARIABLE: its handle must be one that VAR_HANDLE gives"),
        (call_late, "CALL_ONCE: it must come before all that uses variables"),
        (call_itself, "Received: place 0, graph 0"),
        (compute_first_content, "must only assign constants.*Received: operator 0 RELU of graph"),
        (begin_with_another_size, r"of its own type and size. Received: int8 \[1, 2\]"),
        (read_another_size, "READ_VARIABLE: size_bytes must be .* 3. Received: 4"),
    ],
)
def test_a_variable_that_cannot_be_a_state_is_refused(change, message, delay):
    model = _model(delay)
    change(model)
    with pytest.raises(ValueError, match=message):
        read_variables(model)
