import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgeax.export.frugal import order_frugally
from edgeax.formats.flatbuffer import Model


@pytest.fixture
def file():
    """x is spread over two times 1000 numbers at once, and only then each is added up."""
    file = Model.empty()
    (graph,) = file.subgraphs
    x = graph.add_state("x", "float32", (1, 1), is_variable=False)
    wide = [graph.add_state(f"wide_{i}", "float32", (1, 1000), is_variable=False) for i in (0, 1)]
    sums = [graph.add_state(f"sum_{i}", "float32", (1,), is_variable=False) for i in (0, 1)]
    y = graph.add_state("y", "float32", (1,), is_variable=False)
    times = graph.add_tensor("times", np.int32([1, 1000]))
    axis = graph.add_tensor("axis", np.int32([1]))
    steps = [
        ("TILE", [x, times], [wide[0]]),
        ("TILE", [x, times], [wide[1]]),
        ("SUM", [wide[0], axis], [sums[0]]),
        ("SUM", [wide[1], axis], [sums[1]]),
        ("ADD", sums, [y]),
    ]
    for place, step in enumerate(steps):
        graph.insert(place, *step)
    graph.inputs, graph.outputs = [x], [y]
    return file


def test_what_is_large_is_used_up_before_the_next(file):
    (graph,) = file.subgraphs
    assert file.peak_activation_bytes() == 2 * 4000 + 4
    order_frugally(graph)
    assert file.peak_activation_bytes() == 4000 + 2 * 4
    assert [operator.name for operator in graph.operators] == ["TILE", "SUM", "TILE", "SUM", "ADD"]
    interpreter = Interpreter(model_content=file.to_bytes())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.float32([[0.5]]))
    interpreter.invoke()
    assert interpreter.get_tensor(interpreter.get_output_details()[0]["index"]) == [1000.0]


def test_what_uses_a_variable_stays_in_its_order(file):
    (graph,) = file.subgraphs
    x = graph.inputs[0]
    handle = graph.add_state("handle", "resource", (), is_variable=False)
    before = graph.add_state("before", "float32", (1, 1), is_variable=False)
    graph.insert(0, "READ_VARIABLE", [handle], [before])
    graph.insert(0, "VAR_HANDLE", [], [handle])
    graph.insert(len(graph.operators), "ASSIGN_VARIABLE", [handle, x], [])
    graph.insert(0, "CALL_ONCE", [], [])
    graph.outputs = [*graph.outputs, before]
    order_frugally(graph)
    names = [operator.name for operator in graph.operators]
    assert names[:2] == ["CALL_ONCE", "VAR_HANDLE"]
    assert names.index("READ_VARIABLE") < names.index("ASSIGN_VARIABLE")
    assert file.peak_activation_bytes() < 2 * 4000
