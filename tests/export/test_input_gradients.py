import keras
import numpy as np
import pytest
from keras import layers

import edgeax
from edgeax.export.input_gradients import name_input_gradients
from edgeax.formats.flatbuffer import Model
from tests.export import training_networks as networks


def two_convolutions(**second):
    keras.utils.set_random_seed(0)
    image = keras.Input((10, 10, 1), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="first")(image)
    x = layers.Conv2D(6, **{"kernel_size": 3, **second}, name="second")(x)
    return keras.Model(image, layers.Dense(3, name="last")(layers.Flatten()(x)))


CASES = {
    "valid": {},
    "same, by steps of 2": {"padding": "same", "strides": 2},
    "valid, an even kernel by steps of 3 and 2": {"kernel_size": (2, 4), "strides": (3, 2)},
    "one tap": {"kernel_size": 1},
    "groups": {"groups": 2, "padding": "same"},
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_by_the_input_of_a_convolution_are_those_of_keras(case, tmp_path):
    path, optimizer = tmp_path / "model.tflite", keras.optimizers.SGD(0.05)
    model = two_convolutions(**CASES[case])
    train = edgeax.OnDeviceTraining(optimizer, batch_size=networks.BATCH)
    receipt = edgeax.export(model, path, train=train, measure=False)
    assert receipt.training.gradient_operators["Conv2DBackpropInput"] == 1
    names = {one.name for graph in Model.read(path).subgraphs for one in graph.operators}
    assert "TRANSPOSE_CONV" not in names
    images, labels = networks.batches(8)
    losses = networks.keras_losses(model, keras.optimizers.SGD(0.05), images, labels)
    found = networks.file_losses(path, images, labels, 0.05)
    np.testing.assert_allclose(found, losses, rtol=1e-5)


def transposed_convolution(order=(2, 0, 1, 3), is_constant=False):
    """A file of one transposed convolution whose filter is turned in front of it."""
    file = Model.empty()
    (graph,) = file.subgraphs
    shape = graph.add_tensor("shape", np.int32([1, 4, 4, 2]))
    order = graph.add_tensor("order", np.int32(order))
    weights = graph.add_state("weights", "float32", (3, 3, 2, 5), is_variable=False)
    turned = graph.add_state("turned", "float32", (2, 3, 3, 5), is_variable=False)
    x = graph.add_state("x", "float32", (1, 4, 4, 5), is_variable=False)
    y = graph.add_state("y", "float32", (1, 4, 4, 2), is_variable=False)
    if is_constant:
        turned = graph.add_tensor("constant", np.zeros((2, 3, 3, 5), np.float32))
    else:
        graph.insert(0, "TRANSPOSE", [weights, order], [turned])
    place = len(graph.operators)
    graph.insert(place, "TRANSPOSE_CONV", [shape, turned, x], [y])
    options = {"padding": 0, "strideH": 1, "strideW": 1}
    inputs = (shape, turned, x)
    file.replace_with_builtin(
        graph, place, "TRANSPOSE_CONV", inputs, "TransposeConvOptions", options
    )
    graph.inputs, graph.outputs = [x, weights], [y]
    return file, graph


def test_one_by_a_variable_is_renamed_and_its_turned_filter_goes():
    file, graph = transposed_convolution()
    weights, x = graph.inputs[1], graph.inputs[0]
    name_input_gradients(file)
    assert [one.name for one in graph.operators] == ["Conv2DBackpropInput"]
    assert graph.operators[0].inputs[1:] == (weights, x)


@pytest.mark.parametrize("others", [{"order": (3, 0, 1, 2)}, {"is_constant": True}])
def test_others_stay(others):
    file, graph = transposed_convolution(**others)
    name_input_gradients(file)
    assert graph.operators[-1].name == "TRANSPOSE_CONV"
