import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators.reshape import HANDLERS
from edgeax.runtime.mcu.program import Alias
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import networks


def node_of(data):
    graph = Model.from_bytes(data).subgraphs[0]
    return Node(0, graph.operators[0], graph.tensors, TARGETS["host"], "double")


@pytest.mark.parametrize("name, inputs", [("RESHAPE", 2), ("SQUEEZE", 1), ("EXPAND_DIMS", 2)])
def test_a_new_shape_is_no_step(name, inputs):
    node = node_of(networks.reshaped())
    node.operator.inputs = node.inputs[:inputs]
    assert HANDLERS[name](node) == [Alias("0 RESHAPE, y", node.inputs[0], node.outputs[0])]


@pytest.mark.parametrize("name, wanted", [("RESHAPE", "1 or 2"), ("SQUEEZE", "1")])
def test_other_inputs_are_refused(name, wanted):
    node = node_of(networks.reshaped())
    node.operator.inputs = [*node.inputs] * 2
    with pytest.raises(ValueError, match=f"it must have {wanted} inputs. Received: 4"):
        HANDLERS[name](node)


def test_a_computed_shape_is_refused():
    node = node_of(networks.reshaped())
    node.operator.inputs = [node.inputs[0], node.inputs[0]]
    with pytest.raises(ValueError, match="input 1 must be a constant. Received: 'x', computed"):
        HANDLERS["RESHAPE"](node)


def test_a_shape_of_another_size_is_refused():
    node = node_of(networks.reshaped())
    node.tensors[node.outputs[0]].shape = (2, 4)
    with pytest.raises(ValueError, match=r"as many elements. Received: \(1, 6\) and \(2, 4\)"):
        HANDLERS["RESHAPE"](node)
