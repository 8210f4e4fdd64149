import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats.flatbuffer import Model
from tests.export.binary_networks import SIGNS, exported, images, network, steps_away
from tests.export.lowered import options_of

layers = keras.layers
QuantConv2D, QuantDense = edgeax.layers.QuantConv2D, edgeax.layers.QuantDense


def test_bits_stay_bits_through_pooling_and_reshaping(tmp_path):
    model = network(
        QuantConv2D(16, 3, name="first", padding="same", pad_values=1.0, **SIGNS),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2, padding="same"),
        QuantConv2D(24, 2, name="second", **SIGNS),
        layers.BatchNormalization(),
        layers.MaxPooling2D((3, 2), strides=1),
        layers.Flatten(),
        QuantDense(5, name="third", **SIGNS),
    )
    path, samples = tmp_path / "m.tflite", images()
    result, graph = exported(model, samples, path, strict=True)
    assert result.operators["EdgeaxBinaryMaxPool2D"] == 2 and "MAX_POOL_2D" not in result.operators
    shapes = [graph.tensors[op.outputs[0]].shape for op in graph.operators]
    kinds = [graph.tensors[op.outputs[0]].dtype for op in graph.operators]
    found = [(s, k) for s, k in zip(shapes, kinds, strict=True) if k == "uint8"]
    assert [shape for shape, _ in found] == [
        (1, 9, 8, 2),
        (1, 5, 4, 2),
        (1, 4, 3, 3),
        (1, 2, 2, 3),
        (1, 12),
    ]
    assert steps_away(model, graph, path, samples).max() < 0.501


@pytest.mark.parametrize("reader", ["float", "part of a byte"])
def test_codes_are_written_where_bits_cannot_be_read(reader, tmp_path):
    given = keras.Input((9, 8, 16))
    keras.utils.set_random_seed(2)
    filters = 12 if reader == "part of a byte" else 16
    image = QuantConv2D(filters, 3, name="first", **SIGNS)(given)
    image = layers.BatchNormalization()(image)
    if reader == "float":
        output = [
            QuantConv2D(8, 3, name="second", **SIGNS)(image),
            layers.Conv2D(2, 3, name="third")(image),
        ]
    else:
        output = QuantDense(4, name="second", **SIGNS)(layers.Flatten()(image))
    model, path = keras.Model(given, output), tmp_path / "m.tflite"
    edgeax.export(model, path, images(), measure=False)
    graph = Model.read(path).subgraphs[0]
    ours = [op for op in graph.operators if op.name.startswith("EdgeaxBinary")]
    assert len(ours) == 2
    for operator in ours:
        options = options_of(operator)
        assert (options["input_packed"], options["output_packed"]) == (0, 0)
    assert not any(tensor.dtype == "uint8" for tensor in graph.tensors if tensor.data is None)


def test_several_operators_read_the_same_bits(tmp_path):
    given = keras.Input((9, 8, 16))
    keras.utils.set_random_seed(3)
    image = QuantConv2D(16, 3, name="first", **SIGNS)(given)
    image = layers.BatchNormalization(beta_initializer="ones")(image)  # sums are even
    second = QuantConv2D(8, 3, name="second", **SIGNS)(image)
    third = QuantConv2D(8, 3, name="third", padding="same", **SIGNS)(image)
    model, path = keras.Model(given, [second, third]), tmp_path / "m.tflite"
    result = edgeax.export(model, path, images(), measure=False)
    graph = Model.read(path).subgraphs[0]
    ours = {
        op.outputs[0]: options_of(op)
        for op in graph.operators
        if op.name.startswith("EdgeaxBinary")
    }
    assert [o["output_packed"] for o in ours.values()] == [1, 0, 0]
    assert [o["input_packed"] for o in ours.values()] == [0, 1, 1]
    assert result.parity.most_output_difference < 0.25  # half a step, of sums up to 50
    assert np.all([o["input_channels"] == 16 for o in ours.values()])
