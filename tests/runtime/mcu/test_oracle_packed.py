import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.oracle_packed import packed
from edgeax.runtime.mcu.packed_weights import NAMES
from tests.runtime import files
from tests.tflite_kernels import native

# Worked out without this code, for both roundings.
GOLDEN = [entry for entry in native.golden_entries() if entry["operator"] in NAMES]


def case(entry):
    data, codes, expected = files.golden_file(entry)
    graph = Model.from_bytes(data).subgraphs[0]
    return graph, graph.operators[0], codes, expected


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda entry: entry["name"])
def test_golden_outputs_come_out(entry):
    graph, operator, codes, expected = case(entry)
    output = packed(graph, operator, codes, entry["rounding"])
    assert output.dtype == expected.dtype and (output == expected).all()


def test_golden_vectors_have_both_roundings_and_every_form():
    assert {entry["rounding"] for entry in GOLDEN} == {"single", "double"}
    found = {entry["operator"] for entry in GOLDEN}
    assert {"EdgeaxConv2D", "EdgeaxDepthwiseConv2D", "EdgeaxSparseFullyConnected"} <= found
    assert {"EdgeaxVectorConv2D", "EdgeaxGroupedConv2D", "EdgeaxLookupConv2D"} <= found


def test_a_changed_code_changes_the_output():
    entry = next(e for e in GOLDEN if e["operator"] == "EdgeaxConv2D")
    graph, operator, codes, expected = case(entry)
    assert not (packed(graph, operator, np.flip(codes), entry["rounding"]) == expected).all()
