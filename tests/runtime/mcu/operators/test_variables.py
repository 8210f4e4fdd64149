import numpy as np

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators.variables import HANDLERS
from edgeax.runtime.mcu.program import Alias
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu.declared import fields_of


def lowered(name, inputs, outputs):
    """The parts of one operator among a handle 0, a computed 1, a constant 2 and an output 3."""
    model = Model.empty()
    graph = model.subgraphs[0]
    graph.add_state("handle", "resource", (), is_variable=False)
    graph.add_state("x", "int8", (1, 3), 0.5, is_variable=False)
    graph.add_tensor("c", np.int8([[1, 2, 3]]))
    graph.add_state("y", "int8", (1, 3), 0.5, is_variable=False)
    graph.insert(0, name, inputs, outputs)
    node = Node(0, graph.operators[0], graph.tensors, TARGETS["host"], "double")
    return HANDLERS[name](node)


def test_a_read_is_the_memory_of_the_variable():
    assert lowered("READ_VARIABLE", [0], [3]) == [Alias("0 READ_VARIABLE, y", 0, 3)]


def test_an_assignment_copies_the_bytes():
    (step,) = lowered("ASSIGN_VARIABLE", [0, 1], [])
    assert (step.label, step.reads, step.writes) == ("0 ASSIGN_VARIABLE, x", (1,), (0,))
    assert step.arguments.fields == {"bytes": 3}
    assert list(step.arguments.fields) == fields_of(step.arguments.type)


def test_a_constant_is_copied_from_flash():
    (step,) = lowered("ASSIGN_VARIABLE", [0, 2], [])
    assert step.reads[0].data.tolist() == [[1, 2, 3]]


def test_handles_and_initializations_leave_no_step():
    assert lowered("VAR_HANDLE", [], [0]) == [] and lowered("CALL_ONCE", [], []) == []
