import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import edgeax
from edgeax.export.cut import plain_graph
from edgeax.model.update_plan import UpdatePart
from edgeax.search.plan_update import _Choice, _Search, _worth, plan_update

TRAINING = edgeax.OnDeviceTraining(keras.optimizers.SGD(0.01, momentum=0.9), batch_size=2)


def network():
    keras.utils.set_random_seed(0)
    given = keras.Input((12, 12, 4))
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="first")(given)
    x = layers.Conv2D(8, 3, activation="relu", name="second")(x)
    x = layers.Flatten()(x)
    return keras.Model(given, layers.Dense(3, activation="softmax", name="last")(x))


def data(count=8):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(count, 12, 12, 4)).astype(np.float32)
    return images, generator.integers(0, 3, count)


def test_the_memory_that_a_plan_promises_is_that_of_the_file(tmp_path):
    model, (images, labels) = network(), data()
    ram_bytes = 20_000
    plan = plan_update(model, ram_bytes, images, labels, TRAINING)
    assert sum(plan.memory_bytes.values()) <= ram_bytes
    assert 0.0 < plan.gain < 1.0
    training = edgeax.OnDeviceTraining(TRAINING.optimizer, trainable=plan, batch_size=2)
    path = tmp_path / "model.tflite"
    receipt = edgeax.export(model, path, images, train=training, measure=False)
    assert plan.memory_bytes == {
        "activation_bytes": receipt.training.activation_bytes,
        "state_bytes": receipt.training.state_bytes,
    }
    assert receipt.training.planned_bytes == sum(plan.memory_bytes.values())
    assert receipt.training.layers == tuple(part.path for part in plan.parts)


def test_enough_memory_trains_everything():
    images, labels = data()
    plan = plan_update(network(), np.int64(10**9), images, labels, TRAINING, activations="float32")
    assert plan.parts == tuple(map(UpdatePart, ("first", "second", "last")))
    assert plan.gain == pytest.approx(1.0)


def test_too_little_memory_is_refused_with_the_least_that_suffices():
    model, (images, labels) = network(), data()
    with pytest.raises(
        ValueError, match="`ram_bytes` must be at least .*Received: ram_bytes=100."
    ) as told:
        plan_update(model, 100, images, labels, TRAINING, "float32")
    least = int(re.search(r"at least (\d+)", str(told.value))[1])
    plan = plan_update(model, least, images, labels, TRAINING, "float32")
    assert sum(plan.memory_bytes.values()) == least


def test_a_weight_is_worth_the_square_of_its_gradient():
    model, (images, labels) = network(), data()
    found = _worth(model, plain_graph(model), [images], labels, TRAINING, seed=0)
    wanted = dict.fromkeys((variable.path for variable in model.trainable_variables), 0.0)
    for at in range(0, 8, 2):
        with tf.GradientTape() as tape:
            outputs = model(images[at : at + 2])
            losses = keras.losses.sparse_categorical_crossentropy(labels[at : at + 2], outputs)
            loss = tf.reduce_mean(losses)
        variables = model.trainable_variables
        for variable, gradient in zip(
            variables, tape.gradient(loss, [v.value for v in variables]), strict=True
        ):
            wanted[variable.path] = wanted[variable.path] + np.square(gradient)
    by_channel = wanted["second/kernel"].sum((0, 1, 3))
    np.testing.assert_allclose(found["second"]["kernel"], by_channel, rtol=1e-4)
    np.testing.assert_allclose(found["first"]["bias"], wanted["first/bias"].sum(), rtol=1e-4)


def test_classes_that_nobody_tells_are_drawn_as_the_model_predicts_them_by_a_seed():
    model, (images, _) = network(), data()
    draw = lambda seed: _worth(  # noqa: E731
        model, plain_graph(model), [images], None, TRAINING, seed
    )
    first, same, other = draw(0), draw(0), draw(1)
    np.testing.assert_array_equal(first["last"]["kernel"], same["last"]["kernel"])
    assert np.any(first["last"]["kernel"] != other["last"]["kernel"])


def test_a_channel_is_taken_for_what_it_is_worth_per_byte():
    """A rich layer in front costs the activations of all that is behind it."""
    graph = plain_graph(network())
    worth = {path: {"bias": np.ones(1)} for path in ("first", "second", "last")}
    worth["first"]["bias"] = np.full(1, 1e6)
    search = _Search(graph, worth, TRAINING, integer=True)
    costs = {path: search.estimate({path: _Choice(bias=True)}) for path in worth}
    assert costs["first"] > costs["second"] > costs["last"]
    assert [*search.choose(costs["second"])] != [*search.choose(costs["first"])]
    assert "first" in search.choose(costs["first"])
    assert search.choose(costs["last"] - 1.0) == {}
    assert search.least() == {"last": _Choice(bias=True)}


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"ram_bytes": 0}, "`ram_bytes` must be an integer, at least 1. Received.*=0"),
        ({"ram_bytes": 1e6}, "`ram_bytes` must be an integer.*1000000.0"),
        ({"activations": "int16"}, "`activations` must be 'int8' or 'float32'.*'int16'"),
        ({"labels": [0]}, "`labels` must be as many as the samples, 8. Received: 1"),
        ({"labels": 0}, "`labels` must be as many as the samples, 8. Received: 0"),
        ({"labels": [99] * 8}, r"`labels` must hold integers in \[0, \d\).*int64, \[99\]"),
        ({"labels": np.eye(8)}, r"`labels` must have shape \(8,\), one class for each"),
        ({"seed": -1}, "`seed` must be an integer, at least 0"),
        ({"training": "sgd"}, "`training` must be an edgeax.OnDeviceTraining.*'sgd'"),
    ],
)
def test_an_argument_out_of_its_range_is_refused(arguments, said):
    images, labels = data()
    given = {"ram_bytes": 10**6, "samples": images, "labels": labels, **arguments}
    with pytest.raises(ValueError, match=said):
        plan_update(network(), **given)
