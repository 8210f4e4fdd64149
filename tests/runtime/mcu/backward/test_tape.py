import numpy as np

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.backward.tape import Rule, Tape
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.program import Array
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import networks

RULE = Rule(rate_bits=1, dead_zone=64, least_error=4096, seed=9)


def tape_and_nodes(parts=()):
    graph = Model.from_bytes(networks.dense_chain()).subgraphs[0]
    nodes = [
        Node(place, operator, graph.tensors, TARGETS["host"], "double")
        for place, operator in enumerate(graph.operators)
    ]
    first = len(graph.tensors)
    return Tape(graph.tensors, first, {nodes[0].outputs[0]}, dict(parts), RULE, 1), nodes


def test_gradients_have_room_for_their_exponent():
    tape, _ = tape_and_nodes()
    sizes = [tape.values[tape.new("v", dtype, 10)].size_bytes for dtype in ("int16", "int32")]
    assert sizes == [8 + 20, 8 + 40]
    assert tape.values[tape.word("v", "int32", 1)].size_bytes == 4


def test_the_random_numbers_are_a_state_that_is_not_learnt():
    tape, _ = tape_and_nodes()
    weights = tape.trained("weights", Array("w", np.int8([1, 2])))
    assert tape.learnt == [weights] and tape.values[weights].is_state
    value = tape.values[tape.random]
    assert value.is_state and value.initial.data.tolist() == [9]


def test_gradients_of_several_readers_are_joined():
    tape, nodes = tape_and_nodes()
    tensor = nodes[1].inputs[0]
    assert tape.wants(tensor) and tape.gradient(tensor) is None
    tape.give(nodes[1], 0, 100)
    assert tape.gradient(tensor) == 100 and not tape.backward
    tape.give(nodes[1], 0, 101)
    (step,) = tape.backward
    assert step.kernel == "JoinGradients" and step.reads == (100, 101)
    assert tape.gradient(tensor) == step.writes[0]
    assert step.arguments.fields["count"] == 8


def test_sums_are_narrowed_in_place():
    tape, nodes = tape_and_nodes()
    arguments = Array("a", np.int8([1]))
    tape.give_sums(nodes[1], "Kernel", "header.h", arguments, (7,))
    first, second = tape.backward
    assert (first.kernel, second.kernel) == ("Kernel", "NarrowGradient")
    assert second.reads == first.writes and second.in_place == ((0, 0),)
    assert tape.gradient(nodes[1].inputs[0]) == second.writes[0]


def test_a_mask_is_kept_for_training_only():
    tape, nodes = tape_and_nodes()
    masked = tape.mask(nodes[0], (-128, 127))
    (kept,) = tape.forward
    assert id(kept) in tape.kept and tape.values[kept.writes[0]].size_bytes == 1  # 8 bits
    assert masked(50) == tape.backward[-1].writes[0]


def test_only_the_last_operator_has_a_least_error():
    tape, nodes = tape_and_nodes()
    assert [tape.least_error(node) for node in nodes] == [0, 4096]
