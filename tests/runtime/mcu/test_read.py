import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats.flatbuffer import Model
from edgeax.formats.operators import OPERATORS
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime import files
from tests.runtime.mcu import networks
from tests.tflite_kernels import models
from tests.tflite_kernels.models import Operator, Tensor


def read(data):
    return read_program(data, TARGETS["host"], "double")


def reshape_model(**changes):
    """x -> RESHAPE -> y, with other settings of x."""
    model = models.Model(inputs=[0])
    model.add(Tensor(**{"name": "x", "shape": (1, 6), "scale": 0.5, **changes}))
    model.outputs = [networks.add_reshape(model, 0, (6, 1), "y")]
    return model


def edited(data, change):
    model = Model.from_bytes(data)
    change(model.subgraphs[0])
    return model.to_bytes()


def with_signatures(data, *signatures):
    """Adds signatures, each the names of the one input and the one output."""
    raw = schema.ModelT.InitFromPackedBuf(data, 0)
    graph = raw.subgraphs[0]
    raw.signatureDefs = []
    for names in signatures:
        signature = schema.SignatureDefT()
        signature.signatureKey = f"key {names[0]}"
        signature.inputs, signature.outputs = (
            [tensor_map(name, ends[0])]
            for name, ends in zip(names, (graph.inputs, graph.outputs), strict=True)
        )
        raw.signatureDefs.append(signature)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(raw.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor_map(name, index):
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def names_of_ends(data):
    program = read(data)
    return [program.values[number].name for number in (*program.inputs, *program.outputs)]


def test_a_chain_becomes_steps():
    program = read(networks.dense_chain())
    assert [step.label for step in program.steps] == [
        "0 FULLY_CONNECTED, h",
        "1 FULLY_CONNECTED, y",
    ]
    names = {program.values[number].name for number in program.values}
    assert names == {"x", "h", "y"}  # no constants
    assert [program.values[n].name for n in (*program.inputs, *program.outputs)] == ["x", "y"]


def test_inputs_and_outputs_are_named_by_the_one_signature_there_is():
    data = networks.dense_chain()
    assert names_of_ends(with_signatures(data, ("clip", "scores"))) == ["clip", "scores"]
    assert names_of_ends(with_signatures(data, ("a", "b"), ("c", "d"))) == ["x", "y"]


def test_a_path_is_read_like_its_bytes(tmp_path):
    (tmp_path / "net.tflite").write_bytes(networks.dense_chain())
    program = read(tmp_path / "net.tflite")
    assert program.values == read(networks.dense_chain()).values


def test_a_reshape_becomes_an_alias():
    program = read(networks.reshaped())
    assert program.steps == () and program.aliases == {program.outputs[0]: program.inputs[0]}


def test_a_variable_is_a_state():
    model = Model.from_bytes(networks.dense_chain())
    graph = model.subgraphs[0]
    state = graph.add_state("memory", "int8", (1, 12), scale=0.5, zero_point=3)
    first = graph.operators[0]
    first.inputs = [state, *first.inputs[1:]]
    program = read(model.to_bytes())
    assert [value.name for value in program.values.values() if value.is_state] == ["memory"]


def test_a_batch_left_open_is_one():
    program = read(reshape_model(signature=(-1, 6)).write())
    assert program.values[0].shape == (1, 6)


@pytest.mark.parametrize("names", [["TheirOperator"], ["Theirs", "Others"]])
def test_all_unknown_operators_are_named_at_once(names):
    model = reshape_model()
    for name in names:
        output = model.add(Tensor(f"z{name}", (1, 6), scale=0.5))
        model.operators.append(Operator([0], [output], custom=name))
    places = ", ".join(f"{at} {name} (custom)" for at, name in enumerate(names, 1))
    with pytest.raises(ValueError) as error:
        read(model.write())
    assert f"Received: {places}. Known are" in str(error.value)


def test_all_operators_in_float_are_named():
    with pytest.raises(ValueError, match="in float 0 FULLY_CONNECTED. Quantize the model"):
        read(files.float_dense())


@pytest.mark.parametrize("signature", [(1, -1), (-1, -1)])
def test_open_sizes_are_refused(signature):
    with pytest.raises(ValueError, match=r"'x' must have a fixed shape .*: \[1, 6\], open along"):
        read(reshape_model(signature=signature).write())


def test_an_empty_tensor_is_refused():
    with pytest.raises(ValueError, match=r"'x' must have a fixed shape of positive sizes"):
        read(reshape_model(shape=(0, 6)).write())


@pytest.mark.parametrize("dtype", ["string", "float16", "complex64"])
def test_types_that_no_kernel_has_are_refused(dtype):
    data = edited(reshape_model().write(), lambda g: setattr(g.tensors[0], "dtype", dtype))
    with pytest.raises(ValueError, match=f"must have one of the types .* Received: {dtype}"):
        read(data)


def test_a_constant_output_is_refused():
    data = edited(networks.dense_chain(), lambda graph: setattr(graph, "outputs", [1]))
    with pytest.raises(ValueError, match="output 0 .* Received: the constant 'h_weights'"):
        read(data)


def test_a_constant_input_is_refused():
    data = edited(networks.dense_chain(), lambda graph: setattr(graph, "inputs", [0, 1]))
    with pytest.raises(ValueError, match="input 1 .* Received: the constant 'h_weights'"):
        read(data)


def test_a_graph_without_outputs_or_operators_is_refused():
    with pytest.raises(ValueError, match="must have outputs"):
        read(edited(networks.dense_chain(), lambda graph: setattr(graph, "outputs", [])))
    with pytest.raises(ValueError, match="must have operators"):
        read(edited(networks.dense_chain(), lambda graph: graph.operators.clear()))


def test_operators_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="0 FULLY_CONNECTED: .* computed before. Received: 'h'"):
        read(edited(networks.dense_chain(), lambda graph: graph.operators.reverse()))


def test_an_output_that_nothing_computes_is_refused():
    with pytest.raises(ValueError, match="have been computed. Received: 'y'"):
        read(edited(networks.dense_chain(), lambda graph: graph.operators.pop()))


def test_a_tensor_that_is_written_twice_is_refused():
    def twice(graph):
        graph.operators[1].outputs = graph.operators[0].outputs

    with pytest.raises(ValueError, match="1 FULLY_CONNECTED: .* nothing else writes. .*'h'"):
        read(edited(networks.dense_chain(), twice))


def test_a_reshape_of_a_constant_is_refused():
    model = reshape_model()
    model.add(Tensor("c", (1, 6), np.int8, 0.5, data=np.int8([[1, 2, 3, 4, 5, 6]])))
    model.outputs.append(networks.add_reshape(model, len(model.tensors) - 1, (6, 1), "z"))
    with pytest.raises(ValueError, match="must be computed. Received: the constant 'c'"):
        read(model.write())


def test_a_truncated_file_is_refused_at_every_length():
    data = networks.dense_chain()
    for length in range(0, len(data) - 1, 37):
        with pytest.raises(ValueError):
            read(data[:length])


def test_damaged_files_give_a_program_or_a_value_error():
    data = networks.images()
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            damaged[at] = rng.integers(256)
        try:
            read(bytes(damaged))
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize(
    "inputs, outputs, wanted",
    [(2, 0, "1 outputs and at least 1 inputs"), (2, 2, "1 outputs"), (0, 1, "at least 1 inputs")],
)
def test_operators_have_all_their_ends(inputs, outputs, wanted):
    model = reshape_model()
    model.outputs.append(model.add(Tensor("z", (6, 1), np.int8, 0.5, 3)))
    (operator,) = model.operators
    operator.inputs = operator.inputs[:inputs]
    operator.outputs = model.outputs[:outputs]
    with pytest.raises(ValueError, match=rf"0 RESHAPE: .*{wanted}.* Received: {outputs} and"):
        read(model.write())


@pytest.mark.parametrize("name", ["VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"])
def test_operators_without_any_ends_are_refused(name):
    model = reshape_model()
    model.operators.append(Operator([], [], builtin=getattr(schema.BuiltinOperator, name)))
    with pytest.raises(ValueError, match=f"1 {name}: it must"):
        read(model.write())


def test_the_schema_has_the_operators_that_are_known():
    from edgeax.runtime.mcu.operators import HANDLERS

    own = {name for name in HANDLERS if name in OPERATORS}
    assert own == {*OPERATORS}
    assert all(hasattr(schema.BuiltinOperator, name) for name in HANDLERS if name not in own)
