import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import edgeax
from edgeax.export.cut import cut, plain_graph
from edgeax.export.integer_weights import steps_of_kernels
from edgeax.export.training_step import TrainingStep
from edgeax.model.trained_weights import trained_weights
from edgeax.model.update_plan import UpdatePart, UpdatePlan
from tests.export import training_networks as networks

LABELS = np.array([0, 1, 2, 1], np.int32)


def step_of(model, **training):
    training = edgeax.OnDeviceTraining(**{"batch_size": 4, **training})
    graph = plain_graph(model)
    weights = trained_weights(graph, training.trainable, training.batch_norm == "live")
    steps = steps_of_kernels(model, graph) if training.weights == "int8" else None
    return TrainingStep(cut(model, graph, weights).back, weights, training, steps)


def network():
    keras.utils.set_random_seed(0)
    given = keras.Input((8, 8, 6))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(given)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise")(x)
    x = layers.Flatten()(x)
    return keras.Model(given, layers.Dense(3, activation="softmax", name="last")(x))


def inputs():
    return np.random.default_rng(1).normal(size=(4, 8, 8, 6)).astype(np.float32)


def gradients_of(model):
    variables = {v.path: v for v in model.trainable_variables}
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(LABELS, model(inputs()))
        loss = tf.reduce_mean(losses)
    return loss, dict(
        zip(variables, tape.gradient(loss, [v.value for v in variables.values()]), strict=True)
    )


def test_a_part_of_the_channels_has_the_gradient_of_that_part():
    model = network()
    plan = UpdatePlan(
        (
            UpdatePart("conv", channels=2),
            UpdatePart("depthwise", channels=3, bias=False),
            UpdatePart("last", channels=5),
        )
    )
    step = step_of(model, trainable=plan)
    names = ["conv/kernel", "conv/bias", "depthwise/kernel", "last/kernel", "last/bias"]
    assert step.names == names
    shapes = [tuple(step.state[name].shape) for name in names]
    assert shapes == [(3, 3, 2, 4), (4,), (3, 3, 3, 2), (5, 3), (3,)]
    loss, *found = step.gradients(tf.constant(inputs()), tf.constant(LABELS))
    expected, wanted = gradients_of(model)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for name, gradient in zip(names, found, strict=True):
        part = wanted[name].numpy()[tuple(map(slice, gradient.shape))]
        np.testing.assert_allclose(gradient, part, rtol=1e-4, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(step.infer(tf.constant(inputs()))[0], model(inputs()), rtol=1e-5)


def test_only_the_part_of_a_kernel_moves():
    model = network()
    step = step_of(model, trainable=UpdatePlan((UpdatePart("last", channels=5),)))
    features = tf.random.stateless_normal((4, 32), [1, 2])
    before = step.infer(features)[0].numpy()
    step.train(features, tf.constant(LABELS), tf.constant(0.5))
    kernel = np.concatenate([step.state["last/kernel"].numpy(), model.layers[-1].kernel[5:]])
    logits = features @ kernel + step.state["last/bias"].numpy()
    after = step.infer(features)[0]
    np.testing.assert_allclose(after, tf.nn.softmax(logits), rtol=1e-4, atol=1e-6)
    assert np.abs(after - before).max() > 1e-3


def test_constants_are_the_weights_that_no_step_moves():
    model = network()
    step = step_of(model, trainable=UpdatePlan((UpdatePart("last", channels=5),)))
    rest = model.get_layer("last").kernel.numpy()[5:]
    assert step.constants == [rest.tobytes()]
    assert step_of(model).constants == []


def test_a_softmax_of_its_own_layer_is_taken_as_logits_too():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.Softmax()])
    step = step_of(model)
    large = np.array([[1e4, -1e4, 0.0]] * 4, np.float32)  # a logarithm of 0 would be infinite
    loss, outputs = step.train(tf.constant(large), tf.constant(LABELS), tf.constant(0.0))
    assert np.isfinite(loss) and loss > 10.0
    np.testing.assert_allclose(outputs, model(large), rtol=1e-5)


def test_a_constraint_holds_after_each_step():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(3, kernel_constraint="non_neg", name="last")]
    )
    step = step_of(model)
    step.train(tf.ones((4, 3)), tf.constant(LABELS), tf.constant(5.0))
    assert step.state["last/kernel"].numpy().min() == 0.0


def test_dropout_is_off_and_frozen_statistics_stay():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(8, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.9),
            layers.Dense(3, name="last"),
        ]
    )
    step = step_of(model)
    assert [*step.state] == [
        *("first/kernel", "first/bias", "last/kernel", "last/bias", "optimizer/iteration")
    ]
    given = tf.random.stateless_normal((4, 3), [1, 2])
    _, outputs = step.train(given, tf.constant(LABELS), tf.constant(0.1))
    np.testing.assert_allclose(outputs, model(given, training=False), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", ["SignSGD", "Signum", "PredictiveSignSGD"])
def test_int8_kernels_move_by_whole_steps_against_the_gradient(make):
    model = network()
    optimizer = getattr(edgeax.optimizers, make)(1e-6, weight_decay=None)
    step = step_of(model, weights="int8", optimizer=optimizer)
    arguments = tf.constant(inputs()), tf.constant(LABELS)
    before = {name: variable.numpy() for name, variable in step.state.items()}
    assert before["conv/kernel"].dtype == np.int8
    assert np.abs(before["depthwise/kernel"]).max((0, 1)).min() == 127  # of each channel
    np.testing.assert_allclose(step.infer(arguments[0])[0], model(inputs()), atol=0.02)
    _, *gradients = step.gradients(*arguments)
    step.train(*arguments, tf.constant(1e-6))  # far less than a step
    for name, gradient in zip(step.names, gradients, strict=True):
        if name.endswith("kernel"):
            wanted = np.clip(before[name] - np.sign(gradient), -127, 127)
            np.testing.assert_array_equal(step.state[name], wanted, err_msg=name)
    assert step.optimizer.iterations == 1


def dense(**settings):
    return keras.Sequential([keras.Input((3,)), layers.Dense(**settings)])


def two_outputs():
    given = keras.Input((3,))
    return keras.Model(given, [layers.Dense(2)(given), layers.Dense(2)(given)])


def test_blocks_that_a_step_leaves_out_are_their_inputs_and_stay():
    model, images = networks.selective(), networks.batches(1)[0][0]
    step = step_of(model, optimizer=keras.optimizers.SGD(0.1, momentum=0.9), keep=True)
    assert step.blocks == ["selective_0", "selective_1"]
    arguments = tf.constant(images), tf.constant(LABELS)
    whole, *found = step.gradients(*arguments, tf.constant([1.0, 1.0]))
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        logits = model(images)
        loss = tf.reduce_mean(
            keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)
        )
    wanted = tape.gradient(loss, variables)
    np.testing.assert_allclose(whole, loss, rtol=1e-5)
    for name, mine, theirs in zip(step.names, found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6, err_msg=name)
    features = layers.Flatten()(model.get_layer("first").output)
    left_out = keras.Model(model.input, model.get_layer("last")(features))
    none, *_ = step.gradients(*arguments, tf.constant([0.0, 0.0]))
    losses = keras.losses.sparse_categorical_crossentropy(
        LABELS, left_out(images), from_logits=True
    )
    np.testing.assert_allclose(none, tf.reduce_mean(losses), rtol=1e-5)


def test_momentum_does_not_move_a_block_that_was_left_out():
    step = step_of(
        networks.selective(), optimizer=keras.optimizers.SGD(0.1, momentum=0.9), keep=True
    )
    arguments = tf.constant(networks.batches(1)[0][0]), tf.constant(LABELS)
    step.train(*arguments, tf.constant([1.0, 1.0]), tf.constant(0.1))
    before = {name: variable.numpy() for name, variable in step.state.items()}
    step.train(*arguments, tf.constant([0.0, 1.0]), tf.constant(0.1))
    same = {name for name, one in step.state.items() if np.array_equal(one, before[name])}
    assert same == {name for name in before if "selective_0" in name}
    assert len(same) == 4


@pytest.mark.parametrize(
    "make, training, said",
    [
        (two_outputs, {}, "one output.*Received: 2 outputs"),
        (lambda: dense(units=1), {}, r"'cross_entropy' only for.*\(None, 1\).*'mean_square'"),
        (lambda: dense(units=2, dtype="float16"), {}, "compute in float32.*float16 in 'dense"),
        (lambda: dense(units=2), {"keep": True}, "`keep` can be True only where SelectiveBlocks"),
        (lambda: dense(units=2), {"weights": "int8"}, "optimizer that knows its direction.*SGD"),
        (lambda: dense(units=2), {"optimizer": object()}, "`optimizer` must be a Keras optimizer"),
    ],
)
def test_what_cannot_be_trained_is_refused(make, training, said):
    with pytest.raises(ValueError, match=said):
        step_of(make(), **training)


def test_open_sizes_are_refused():
    model = keras.Sequential(
        [keras.Input((None, None, 1)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()]
    )
    with pytest.raises(ValueError, match=r"inputs of known sizes.*\(None, None, None, 1\)"):
        step_of(model).input_specs(4)
