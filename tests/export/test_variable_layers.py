import keras
import numpy as np
import pytest
from keras import layers

import edgeax
from edgeax.export.variable_layers import name_variable_layers
from edgeax.formats.flatbuffer import Model
from tests.export import training_networks as networks


def every_kind():
    """Layers of each kind, with and without bias, activation, normalization, groups and steps."""
    keras.utils.set_random_seed(0)
    image = keras.Input((10, 10, 1), name="image")
    x = layers.Conv2D(6, 3, padding="same", activation="relu6")(image)
    x = layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, use_bias=False)(x)
    x = layers.BatchNormalization(trainable=False)(x)
    x = layers.Conv2D(8, (1, 2), groups=2, dilation_rate=2, padding="same", activation="tanh")(x)
    x = layers.Dense(5)(x)
    x = layers.Conv2D(1, 1, activation="relu")(x)
    return keras.Model(image, layers.Dense(3, name="last")(layers.Flatten()(x)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "model.tflite"
    model = every_kind()
    train = edgeax.OnDeviceTraining(keras.optimizers.SGD(0.05), batch_size=networks.BATCH)
    receipt = edgeax.export(model, path, train=train, measure=False)
    return model, path, receipt


def operators_of(path, name):
    file = Model.read(path)
    numbers = [one.subgraph for one in file.signatures if one.name == name]
    return [one.name for one in file.subgraphs[numbers[0]].operators]


@pytest.mark.parametrize("signature", ["infer", "train", "gradients"])
def test_layers_by_variables_are_the_plugin_s(signature, trained):
    found = operators_of(trained[1], signature)
    counts = {name: found.count(name) for name in found if name.startswith("EdgeaxVariable")}
    assert counts == {
        "EdgeaxVariableConv2D": 3,
        "EdgeaxVariableDepthwiseConv2D": 1,
        "EdgeaxVariableFullyConnected": 2,
    }
    assert not {"CONV_2D", "DEPTHWISE_CONV_2D"} & {*found}


def test_biases_and_activations_are_theirs(trained):
    found = operators_of(trained[1], "infer")
    assert not {"RELU", "RELU6", "TRANSPOSE"} & {*found}
    assert found.count("ADD") == 1  # of the normalization


def test_the_receipt_counts_gradients_alone(trained):
    assert not [name for name in trained[2].training.gradient_operators if "Variable" in name]


def test_losses_are_those_of_keras(trained):
    model, path, _ = trained
    images, labels = networks.batches(6)
    losses = networks.keras_losses(model, keras.optimizers.SGD(0.05), images, labels)
    found = networks.file_losses(path, images, labels, 0.05)
    np.testing.assert_allclose(found, losses, rtol=1e-5)


def test_a_baked_file_has_built_in_layers_that_give_the_same(trained, tmp_path):
    path = trained[1]
    interpreter = networks.interpreter(path)
    values = interpreter.get_signature_runner("save")()
    baked = tmp_path / "baked.tflite"
    baked.write_bytes(edgeax.runtime.bake(path, values))
    found = operators_of(baked, "infer")
    assert {name for name in found if name.startswith("Edgeax")} == set()
    assert (found.count("CONV_2D"), found.count("DEPTHWISE_CONV_2D")) == (3, 1)
    assert not {"ADD", "MUL", "TRANSPOSE"} & {*found}  # normalization and biases are weights
    image = networks.batches(1)[0][0][:1]
    expected = np.asarray(every_kind()(image))
    np.testing.assert_allclose(edgeax.Interpreter(baked).run(image), expected, atol=1e-5)


def product(kind="variable", **options):
    """A file of one product of matrices."""
    file = Model.empty()
    (graph,) = file.subgraphs
    x = graph.add_state("x", "float32", (4, 4), is_variable=False)
    y = graph.add_state("y", "float32", (4, 4), is_variable=False)
    matrix = graph.add_state("matrix", "float32", (4, 4), is_variable=False)
    handle = graph.add_state("handle", "float32", (), is_variable=False)
    graph.inputs = [x, matrix] if kind == "input" else [x]
    if kind == "constant":
        matrix = graph.add_tensor("constant", np.zeros((4, 4), np.float32))
    if kind == "variable":
        graph.insert(0, "READ_VARIABLE", [handle], [matrix])
    if kind == "activation":
        graph.insert(0, "TANH", [x], [matrix])
    place = len(graph.operators)
    graph.insert(place, "BATCH_MATMUL", [x, matrix], [y])
    file.replace_with_builtin(
        graph, place, "BATCH_MATMUL", (x, matrix), "BatchMatMulOptions", options
    )
    graph.outputs = [y]
    return file, graph


def test_a_product_by_a_variable_becomes_a_dense_layer():
    file, graph = product()
    name_variable_layers(file)
    assert graph.operators[-1].name == "EdgeaxVariableFullyConnected"


@pytest.mark.parametrize(
    "others", [{"kind": "constant"}, {"kind": "activation"}, {"adjX": True}, {"adjY": True}]
)
def test_other_products_stay(others):
    file, graph = product(**others)
    name_variable_layers(file)
    assert graph.operators[-1].name == "BATCH_MATMUL"
