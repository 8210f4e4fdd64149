import itertools

import numpy as np
import pytest

from edgeax.formats import memory
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.plan import Place, plan, stages_of
from edgeax.runtime.mcu.program import Array, Elements, Window
from tests.data import data_file
from tests.runtime.mcu import steps
from tests.runtime.mcu.steps import step


def planned(sizes, some_steps, inputs, outputs, **options):
    program = steps.program(sizes, some_steps, inputs, outputs, **options)
    return plan(program, stages_of(program))


def assert_apart(found, merged=()):
    for one, other in itertools.combinations(found.buffers.values(), 2):
        together = one.first <= other.last and other.first <= one.last
        if together and {one.number, other.number} not in [set(pair) for pair in merged]:
            ends = one.offset + one.size_bytes, other.offset + other.size_bytes
            assert ends[0] <= other.offset or ends[1] <= one.offset, (one, other)


def test_a_chain_takes_what_lives_at_once():
    found = planned({0: 16, 1: 40, 2: 24}, [step([0], [1]), step([1], [2])], [0], [2])
    assert_apart(found)
    assert found.arena_bytes == found.ram_bytes == found.live_bytes == 64
    assert [found.live_at(stage) for stage in (0, 1)] == [56, 64]


def test_the_user_reads_outputs_after_the_last_step_and_writes_inputs_before_the_first():
    branches = [step([0], [2]), step([1], [3])]
    found = planned({0: 8, 1: 8, 2: 8, 3: 8}, branches, [0, 1], [2, 3])
    assert (found.buffers[1].first, found.buffers[1].last) == (0, 1)
    assert (found.buffers[2].first, found.buffers[2].last) == (0, 1)
    assert_apart(found)


def test_scratch_lives_during_its_step_only():
    some = [step([0], [1], scratch_bytes=100), step([1], [2], scratch_bytes=30)]
    found = planned({0: 8, 1: 8, 2: 8}, some, [0], [2])
    scratch = [b for b in found.buffers.values() if b.number < 0]
    assert [(b.size_bytes, b.first, b.last, b.name) for b in scratch] == [
        (100, 0, 0, "scratch"),
        (30, 1, 1, "scratch"),
    ]
    assert found.arena_bytes == 16 + 104
    assert found.stages[0].calls[0].scratch == Place(scratch[0].number)


def test_what_dies_gives_its_memory_to_what_may_take_it_in_place():
    some = [step([0], [1], in_place=((0, 0),)), step([1, 1], [2], in_place=((0, 0),))]
    found = planned({0: 40, 1: 40, 2: 40}, some, [0], [2])
    assert found.buffers[0].offset == found.buffers[1].offset
    assert found.arena_bytes == 80  # read twice, the second one may not be overwritten


@pytest.mark.parametrize(
    "outputs, later",
    [([2], [step([1, 0], [2])]), ([1, 0], [])],
    ids=["read later", "an output"],
)
def test_what_is_still_wanted_is_not_overwritten(outputs, later):
    some = [step([0], [1], in_place=((0, 0),)), *later]
    found = planned({0: 40, 1: 40, 2: 8}, some, [0], outputs)
    assert_apart(found)


def test_one_input_is_overwritten_once():
    some = [step([0], [1, 2], in_place=((0, 0), (0, 1)))]
    found = planned({0: 40, 1: 40, 2: 40}, some, [0], [1, 2])
    assert_apart(found, merged=[(0, 1)])
    assert found.arena_bytes == 80


def test_an_alias_is_the_memory_of_its_value():
    some = [step([0], [1]), step([2], [3])]
    found = planned({0: 8, 1: 16, 2: 16, 3: 8}, some, [0], [3], aliases={2: 1})
    assert 2 not in found.buffers and found.buffers[1].last == 1
    assert found.stages[1].calls[0].reads == (Place(1),)


def test_an_alias_keeps_its_value_alive():
    some = [step([0], [1]), step([1], [3], in_place=((0, 0),))]
    found = planned({0: 8, 1: 16, 2: 16, 3: 16}, some, [0], [3, 2], aliases={2: 1})
    assert_apart(found)


def test_states_lie_in_an_area_of_their_own():
    some = [step([0, 5], [1, 5]), step([1, 6], [2])]
    found = planned({0: 8, 1: 8, 2: 8, 5: 12, 6: 10}, some, [0], [2], states={5, 6})
    assert set(found.states) == {5, 6} and not {5, 6} & set(found.buffers)
    assert (found.states[5].offset, found.states[6].offset) == (0, 16)
    assert found.state_bytes == 32 and found.ram_bytes == found.arena_bytes + 32


def test_calls_tell_rows_and_counts():
    table = Array("table", np.int8([1]))
    window = Window(input_rows=9, output_rows=7, kernel=3)
    some = [step([0, table], [1], extent=window), step([1], [2], extent=Elements(5))]
    found = planned({0: 9, 1: 7, 2: 5}, some, [0], [2])
    first, second = (stage.calls[0] for stage in found.stages)
    assert first.rows == (0, 7, 0) and first.count is None and first.reads[1] is table
    assert second.count == 5 and second.rows is None


def test_a_program_without_steps_has_a_plan():
    found = planned({0: 6, 1: 6}, [], [0], [1], aliases={1: 0})
    assert found.arena_bytes == 8 and found.buffers[0].size_bytes == 6


@pytest.mark.parametrize(
    "name, least",
    [
        ("vww_mobilenetv1_int8", 55_296),
        ("ic_resnet8_int8", 49_152),
        ("ad_autoencoder_int8", 768),
    ],
)
def test_known_models_take_what_lives_at_once_without_any_trick(name, least):
    graph = Model.read(data_file(f"models/{name}.tflite")).subgraphs[0]
    ram = {i for i, tensor in enumerate(graph.tensors) if not tensor.is_constant}
    sizes = {i: graph.tensors[i].size_bytes for i in ram}
    some = [step([i for i in op.inputs if i in ram], op.outputs) for op in graph.operators]
    found = planned(sizes, some, graph.inputs, graph.outputs)
    assert_apart(found)
    plain = [(s.values_read, s.writes) for s in some]
    assert memory.peak_bytes(sizes, plain, graph.inputs, graph.outputs) == least
    assert found.arena_bytes == least
