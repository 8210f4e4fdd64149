import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.node import Node, value_of
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import networks


@pytest.fixture
def node():
    graph = Model.from_bytes(networks.dense_chain()).subgraphs[0]
    return Node(1, graph.operators[1], graph.tensors, TARGETS["host"], "double")


def test_a_node_names_its_place(node):
    assert node.label == "1 FULLY_CONNECTED, y"


def test_inputs_outputs_and_constants(node):
    assert node.has_input(2) and not node.has_input(3)
    assert node.input(0).name == "h" and node.output().name == "y"
    assert node.constant(1).shape == (4, 8)
    value = node.value(node.outputs[0])
    assert (value.name, value.dtype, value.shape) == ("y", "int8", (1, 4))
    assert value.scale == np.float32(0.5) and value.zero_point == 3 and not value.is_state


def test_several_scales_are_none_of_a_value():
    graph = Model.from_bytes(networks.images()).subgraphs[0]
    assert value_of(1, graph.tensors[1]).scale is None


@pytest.mark.parametrize(
    "ask, words",
    [
        (lambda node: node.input(3), "it must have an input 3. Received: 3 inputs"),
        (lambda node: node.output(1), "it must have an output 1. Received: 1 outputs"),
        (lambda node: node.options["padding"], "it must have the option padding. Received: none"),
        (lambda node: node.constant(0), "input 0 must be a constant. Received: 'h', computed"),
        (
            lambda node: node.require(False, "x must be 1", 2, "Use 1."),
            "x must be 1. .*: 2. Use 1.",
        ),
    ],
)
def test_what_does_not_hold_is_told_with_the_place_and_a_way_out(node, ask, words):
    with pytest.raises(ValueError, match=f"operator 1 FULLY_CONNECTED, y: {words}"):
        ask(node)


def test_what_holds_is_not_told(node):
    node.require(True, "x must be 1", 1)
