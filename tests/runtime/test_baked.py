import json

import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.baked import _absorb
from tests.export import training_networks as networks
from tests.formats import small_models


def network():
    model = networks.branching()
    norm = model.get_layer("norm")
    norm.set_weights(
        [
            np.float32([1, 2, 3, 4]),
            *(np.float32([0.1, -0.2, 0.3, 0.5]),) * 2,
            np.float32([1, 4, 2, 3]),
        ]
    )
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A file of which all is trained, and its variables after some steps."""
    path = tmp_path_factory.mktemp("trained") / "model.tflite"
    training = edgeax.OnDeviceTraining(keras.optimizers.SGD(0.05), batch_size=networks.BATCH)
    edgeax.export(network(), path, train=training, measure=False)
    interpreter = networks.interpreter(path)
    train = interpreter.get_signature_runner("train")
    for x, y in zip(*networks.batches(3), strict=True):
        train(image=x, y=y, learning_rate=np.float32([0.05]))
    state = interpreter.get_signature_runner("save")()
    return path, interpreter, {name: np.copy(value) for name, value in state.items()}


def test_a_baked_file_computes_what_the_trained_one_does(trained):
    path, interpreter, values = trained
    baked = edgeax.runtime.bake(path, values)
    images = networks.batches(2)[0].reshape(-1, 10, 10, 1)
    infer = interpreter.get_signature_runner("infer")
    expected = np.concatenate([infer(image=image[None])["output_0"] for image in images])
    untrained = network()(images)
    assert np.abs(expected - untrained).max() > 1e-2
    found = edgeax.Interpreter(model_content=baked).run(images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_it_has_the_operators_of_a_plain_file(trained):
    path, _, values = trained
    baked = Model.from_bytes(edgeax.runtime.bake(path.read_bytes(), values))
    (graph,) = baked.subgraphs
    assert [operator.name for operator in graph.operators] == [
        *("CONV_2D", "MAX_POOL_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD", "CONCATENATION"),
        *("AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"),
    ]
    depthwise = graph.operators[2]
    assert depthwise.options["fused_activation_function"] == "RELU6"
    assert all(graph.tensors[index].is_constant for index in depthwise.inputs[1:])
    assert [signature.name for signature in baked.signatures] == ["infer"]
    assert json.loads(baked.metadata["edgeax"]) == {"version": edgeax.__version__}
    assert "edgeax.training" not in baked.metadata
    assert len(baked.to_bytes()) < path.stat().st_size / 4


def test_int8_codes_become_the_values_that_they_stand_for(tmp_path):
    path, optimizer = tmp_path / "model.tflite", edgeax.optimizers.SignSGD(0.001)
    training = edgeax.OnDeviceTraining(optimizer, 1, batch_size=networks.BATCH, weights="int8")
    receipt = edgeax.export(networks.convolutional(), path, train=training, measure=False)
    assert receipt.training.integer == ("last/kernel",)
    interpreter = edgeax.Interpreter(path)
    images, labels = networks.batches(1)
    step = {"x": images[0], "y": labels[0], "learning_rate": np.float32([0.001])}
    train, save = map(interpreter.get_signature_runner, ("train", "save"))
    losses = [train(**step)["loss"] for _ in range(8)]
    assert losses[-1] < losses[0]
    values = {name: np.copy(value) for name, value in save().items()}
    assert values["last/kernel"].dtype == np.int8
    baked = edgeax.runtime.bake(path, values)
    (graph,) = Model.from_bytes(baked).subgraphs
    names = [operator.name for operator in graph.operators]
    assert names == ["CONV_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    infer = interpreter.get_signature_runner("infer")
    expected = infer(x=images[0][:1])["output_0"]
    found = edgeax.Interpreter(model_content=baked).run(images[0][:1])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda values: values.pop("last/bias"), "must hold the variable 'last/bias'. Received"),
        (
            lambda values: values.update({"last/bias": np.zeros(2, np.float32)}),
            r"float32 of shape \(3,\) for 'last/bias'. Received: float32 of shape \(2,\)",
        ),
        (
            lambda values: values.update({"last/bias": np.zeros(3)}),
            "float32 of shape .* Received: float64",
        ),
    ],
)
def test_values_that_are_not_those_of_the_file_are_refused(trained, change, said):
    path, _, values = trained
    values = dict(values)
    change(values)
    with pytest.raises(ValueError, match=said):
        edgeax.runtime.bake(path, values)


def test_a_plain_file_cannot_be_baked(trained):
    path, _, values = trained
    baked = edgeax.runtime.bake(path, values)
    with pytest.raises(ValueError, match="exported for training"):
        edgeax.runtime.bake(baked, values)


@pytest.mark.parametrize("rank, operators", [(2, 1), (3, 3)])
def test_an_addition_is_absorbed_where_the_layer_has_a_result_of_its_rank(rank, operators):
    raw = small_models.two_layers()
    (graph,) = raw.subgraphs
    graph.operators[0].builtinOptions.fusedActivationFunction = 0
    for tensor in graph.tensors[3:5] + graph.tensors[6:]:  # what is added, and the sums
        tensor.shape = np.int32([1] * (rank - 1) + [3])
    (graph,) = Model.from_bytes(small_models.write(raw)).subgraphs
    _absorb(graph)
    assert len(graph.operators) == operators
