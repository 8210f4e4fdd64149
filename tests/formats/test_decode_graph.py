import numpy as np
import pytest

from edgeax.formats import decode_lut
from edgeax.formats.decode_graph import axis_of, expand, index_bits, insert_decode, is_decode
from edgeax.formats.flatbuffer import Model
from tests.runtime import files

KERNEL = [[1, 0], [0, 2], [1, -1]]  # of files.int8_dense: 4 codes, one scale


def compressed(axis=None):
    """Returns a file with its kernel behind DECODE."""
    model = Model.from_bytes(files.int8_dense())
    graph = model.subgraphs[0]
    kernel = graph.tensors[1]
    if axis is not None:
        kernel.scale = [1.0, 2.0, 4.0]
        kernel.quantized_axis = axis
    insert_decode(graph, 1, decode_lut.encode(kernel.data, axis))
    model.prune()
    return Model.from_bytes(model.to_bytes())


@pytest.mark.parametrize("axis", [None, 0])
def test_decode_stands_before_its_reader_and_writes_a_tensor_like_the_kernel(axis):
    graph = compressed(axis).subgraphs[0]
    decode, dense = graph.operators
    assert is_decode(decode) and not is_decode(dense)
    assert (decode.name, decode.version, decode.custom_options) == ("TFLM_DECODE", 1, b"")
    assert decode.outputs == (dense.inputs[1],)
    kernel = graph.tensors[dense.inputs[1]]
    assert (kernel.name, kernel.dtype, kernel.shape) == ("w", "int8", (3, 2))
    assert not kernel.is_constant and not kernel.is_variable
    assert kernel.scale.tolist() == ([1.0] if axis is None else [1.0, 2.0, 4.0])
    assert kernel.zero_point.tolist() == [0] * len(kernel.scale)
    assert kernel.quantized_axis == 0 and axis_of(kernel) == axis
    indices, tables = (graph.tensors[index] for index in decode.inputs)
    assert indices.dtype == tables.dtype == "uint8" and indices.scale is None
    # Of -1 0 1 2 the kernel has 2 1 1 3 2 0: 10 01 01 11, 10 00.
    assert axis is not None or indices.data.tolist() == [0x97, 0x80]
    assert index_bits(graph, decode) == (2 if axis is None else 1)


@pytest.mark.parametrize("axis", [None, 0])
def test_expanding_gives_the_kernel_back_at_the_same_place(axis):
    model = compressed(axis)
    place = model.subgraphs[0].operators[1].inputs[1]
    expand(model)
    graph = Model.from_bytes(model.to_bytes()).subgraphs[0]
    assert [operator.name for operator in graph.operators] == ["FULLY_CONNECTED"]
    assert graph.operators[0].inputs[1] == place
    assert graph.tensors[place].data.tolist() == KERNEL


def test_every_reader_of_a_kernel_has_a_decode_operator_of_its_own():
    model = Model.from_bytes(files.int8_dense())
    graph = model.subgraphs[0]
    x, w, _ = graph.operators[0].inputs
    for place, name in enumerate(("y", "z")):
        other = graph.add_state(name, "int8", (1, 3), 0.25, -10, is_variable=False)
        graph.insert(place, "FULLY_CONNECTED", [x, w, -1], [other])
    insert_decode(graph, w, decode_lut.encode(graph.tensors[w].data, None))
    assert [is_decode(operator) for operator in graph.operators] == [True, False] * 3
    decodes, readers = graph.operators[::2], graph.operators[1::2]
    assert len({operator.inputs for operator in decodes}) == 1
    assert [operator.outputs[0] for operator in decodes] == [op.inputs[1] for op in readers]
    assert len({operator.outputs for operator in decodes}) == 3


def test_without_decode_nothing_changes():
    model = Model.from_bytes(files.int8_dense())
    before = model.to_bytes()
    expand(model)
    assert model.to_bytes() == before


def test_several_kernels_of_one_decode_operator_are_expanded():
    model = compressed()
    graph = model.subgraphs[0]
    decode = graph.operators[0]
    encoded = decode_lut.encode(np.int8([[5, 6, 7, 8, 9]]), None)
    more = [graph.add_tensor("i", encoded.indices), graph.add_tensor("t", encoded.ancillary)]
    other = graph.add_state("other", "int8", (1, 5), 1.0, is_variable=False)
    decode.inputs, decode.outputs = (*decode.inputs, *more), (*decode.outputs, other)
    assert index_bits(graph, decode) == 3
    expand(model)
    assert graph.tensors[other].data.tolist() == [[5, 6, 7, 8, 9]]
    assert graph.tensors[graph.operators[0].inputs[1]].data.tolist() == KERNEL


def test_other_decodings_have_no_bits_and_are_refused():
    model = compressed()
    graph = model.subgraphs[0]
    tables = graph.tensors[graph.operators[0].inputs[1]]
    changed = tables.data.copy()
    changed[0] = 2  # pruning
    tables.data = changed
    assert index_bits(graph, graph.operators[0]) is None
    with pytest.raises(ValueError, match=r"type 2 .*Run the file in TensorFlow Lite Micro itself"):
        expand(model)


def test_decode_with_too_few_or_computed_inputs_is_refused():
    for inputs in (lambda old: old[:1], lambda old: (), lambda old: (old[0], 0), lambda old: (-1,)):
        model = compressed()
        operator = model.subgraphs[0].operators[0]
        operator.inputs = inputs(operator.inputs)
        with pytest.raises(ValueError, match="two constant inputs for each int8 output"):
            expand(model)
    model = compressed()
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].outputs[0]].dtype = "int16"
    with pytest.raises(ValueError, match=r"Received: 2 for outputs of \['int16'\]"):
        expand(model)
