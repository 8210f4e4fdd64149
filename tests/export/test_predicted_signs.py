"""A file whose layers predict signs: the plugin's operator, and the decisions of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import edgeax
from edgeax.formats.flatbuffer import Model
from edgeax.training.predictive_models import predictive_layers

BATCH = 8
OPERATORS = ("EdgeaxPredictedSigns", "EdgeaxDepthwisePredictedSigns")


def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((10, 10, 1)),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="first"),
            layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
            layers.Conv2D(6, 3, dilation_rate=2, activation="relu", name="second"),
            layers.Reshape((36, 6)),
            layers.Conv1D(5, 1, name="row"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="last"),
        ]
    )
    return edgeax.with_predictive_gradients(model, beta=0.2, predicted_gradient_bits=10)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("signs") / "model.tflite"
    model = network()
    optimizer = edgeax.optimizers.PredictiveSignSGD(0.01)
    train = edgeax.OnDeviceTraining(optimizer=optimizer, batch_size=BATCH)
    receipt = edgeax.export(model, path, None, train=train, measure=False)
    return path, model, receipt


def test_each_layer_of_many_positions_has_one_operator_in_place_of_two_products(exported):
    path, model, _ = exported
    file = Model.read(path)
    for name in ("train", "gradients"):
        (signature,) = [one for one in file.signatures if one.name == name]
        names = [operator.name for operator in file.subgraphs[signature.subgraph].operators]
        assert [names.count(operator) for operator in OPERATORS] == [3, 1]  # not the dense layer
        assert not [name for name in names if name.endswith("BackpropFilter")]


def test_wjc19_the_file_decides_as_keras_does(exported):
    path, model, _ = exported
    source = np.random.default_rng(0)
    gradients = edgeax.Interpreter(path).get_signature_runner("gradients")
    for _ in range(3):
        x = source.normal(size=(BATCH, 10, 10, 1)).astype(np.float32)
        y = source.integers(0, 3, BATCH).astype(np.int32)
        found = gradients(x=x, y=y)
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, outputs))
        kernels = {f"{layer.name}/kernel": layer.kernel for layer in predictive_layers(model)}
        gradient = tape.gradient(loss, {name: kernel.value for name, kernel in kernels.items()})
        for name, wanted in gradient.items():
            assert {*np.unique(found[name])} <= {-1.0, 0.0, 1.0}
            np.testing.assert_array_equal(found[name], wanted, name)


def test_a_step_lowers_the_loss_and_wide_codes_stay_with_both_products(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, name="last")])
    model = edgeax.with_predictive_gradients(model, bits=12)
    path = tmp_path / "model.tflite"
    optimizer = edgeax.optimizers.PredictiveSignSGD(0.01)
    train = edgeax.OnDeviceTraining(optimizer=optimizer, batch_size=BATCH)
    edgeax.export(model, path, None, train=train, measure=False)
    file = Model.read(path)
    assert not [one for graph in file.subgraphs for one in graph.operators if one.name in OPERATORS]
    x = np.random.default_rng(0).normal(size=(BATCH, 6)).astype(np.float32)
    step = edgeax.Interpreter(path).get_signature_runner("train")
    arguments = {
        "x": x,
        "y": np.int32([0, 1, 2, 0, 1, 2, 0, 1]),
        "learning_rate": np.float32([0.01]),
    }
    losses = [step(**arguments)["loss"] for _ in range(20)]
    assert losses[-1] < losses[0]
