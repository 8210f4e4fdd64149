"""GradientL1: the penalty, its own gradient, and what it is for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.gradient_l1 import GradientL1, watched_layers

layers = keras.layers

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(6, 3)).astype(np.float32)
Y = GENERATOR.integers(0, 2, 6)


def loss(y, logits):
    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def network(activation="tanh"):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, activation=activation), layers.Dense(2)]
    )


def compiled(model, rate=1.0, **settings):
    model.compile(keras.optimizers.SGD(rate), loss, **settings)
    return model


def by_numpy(weights, factor_weights, factor_activations):
    """Loss plus penalty in float64, its gradients worked out by hand."""
    first, shift, second, bias = weights
    hidden = np.tanh(X @ first + shift)
    logits = hidden @ second + bias
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    value = -np.log(shares[np.arange(6), Y]).mean()
    to_logits = (shares - np.eye(2)[Y]) / 6
    to_hidden = to_logits @ second.T
    to_second, to_first = hidden.T @ to_logits, X.T @ (to_hidden * (1 - hidden**2))
    size = lambda *gradients: sum(np.abs(gradient).sum() for gradient in gradients)  # noqa: E731
    penalty = factor_weights * size(to_first, to_second)
    return value + penalty + factor_activations * size(to_logits, to_hidden)


@pytest.mark.parametrize("factors", [(0.3, 0.0), (0.0, 0.2), (0.3, 0.2)])
@pytest.mark.parametrize("settings", [{}, {"run_eagerly": True}, {"jit_compile": True}])
def test_abvb20_gradient_equals_finite_differences(factors, settings):
    model = compiled(network(), **settings)
    before = [weight.astype(np.float64) for weight in model.get_weights()]
    callback = GradientL1(*factors)
    history = model.fit(X, Y, batch_size=6, verbose=0, callbacks=[callback]).history
    assert history["loss"][0] == pytest.approx(by_numpy(before, *factors), rel=1e-5)
    for place, after in enumerate(model.get_weights()):
        for index in np.ndindex(after.shape):
            ends = []
            for side in (1e-5, -1e-5):
                moved = [weight.copy() for weight in before]
                moved[place][index] += side
                ends.append(by_numpy(moved, *factors))
            slope = (ends[0] - ends[1]) / 2e-5
            assert before[place][index] - after[index] == pytest.approx(slope, abs=2e-5)


def test_abvb20_first_order_bound_is_reached_by_the_worst_rounding():
    model = network()
    kernels = [layer.kernel for layer in model.layers]
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(loss(Y, model(X)))
    gradients = tape.gradient(value, [kernel.value for kernel in kernels])
    bound = 0.5 * 1e-3 * sum(float(tf.reduce_sum(tf.abs(gradient))) for gradient in gradients)
    for kernel, gradient in zip(kernels, gradients, strict=True):
        kernel.assign_add(0.5 * 1e-3 * tf.sign(gradient))
    worst = float(tf.reduce_mean(loss(Y, model(X))) - value)
    assert worst == pytest.approx(bound, rel=0.01)


def penalty_of(model, x, y, factor=1.0):
    """The penalty on kernels as `fit` shows it, with nothing moved."""
    compiled(model, 0.0)
    plain = model.fit(x, y, batch_size=len(x), verbose=0).history["loss"][0]
    added = model.fit(x, y, batch_size=len(x), verbose=0, callbacks=[GradientL1(factor)])
    return (added.history["loss"][0] - plain) / factor


def test_training_lowers_the_penalty():
    ends = {}
    for name, callbacks in (("plain", []), ("with", [GradientL1(0.3)])):
        model = compiled(network(), 0.1)
        steps = np.tile(X, (60, 1)), np.tile(Y, 60)  # sixty batches, all the same
        model.fit(*steps, batch_size=6, shuffle=False, verbose=0, callbacks=callbacks)
        ends[name] = penalty_of(model, X, Y)
    assert ends["with"] < 0.7 * ends["plain"]


def test_it_is_on_for_the_last_epochs_only():
    model = compiled(network(), 0.0)
    fit = {"epochs": 3, "batch_size": 6, "verbose": 0}
    losses = model.fit(X, Y, callbacks=[GradientL1(begin_epoch=2)], **fit).history["loss"]
    assert losses[0] == losses[1] < losses[2]
    assert model.jit_compile in (True, False) and "train_step" not in vars(model)


def test_a_compressed_model_has_the_gradient_of_its_estimator():
    """Q rounds weights; by straight-through the penalty's gradient is that at Q(w)."""
    plain = network()
    compressed = compiled(edgeax.compress(plain, ["int4"]))
    rounded = compiled(edgeax.strip(compressed))
    changes = []
    for model in (compressed, rounded):
        before = model.get_weights()
        model.fit(X, Y, batch_size=6, verbose=0, callbacks=[GradientL1(0.3)])
        kernels = [v.numpy() for v in model.trainable_variables]
        start = [w for w in before if w.shape in ((3, 4), (4,), (4, 2), (2,))]
        changes.append([after - first for after, first in zip(kernels, start, strict=True)])
    for one, other in zip(*changes, strict=True):
        assert np.allclose(one, other, atol=1e-6) and np.any(one)


def test_rounded_outputs_are_the_activations_of_a_compressed_model():
    model = edgeax.compress(network("relu"), "static_wi8_ai8")
    watched = [*watched_layers(model)]
    assert watched and all(layer.quantizer("output") is not None for layer in watched)
    compiled(model, 0.1)
    before = [layer.call for layer in watched]
    history = model.fit(X, Y, epochs=30, batch_size=6, verbose=0, callbacks=[GradientL1(0.0, 0.1)])
    assert [layer.call for layer in watched] == before
    assert np.all(np.isfinite(history.history["loss"]))
    assert history.history["loss"][-1] < history.history["loss"][0]


def convolutional():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


def recurrent():
    return keras.Sequential([keras.Input((5, 3)), layers.LSTM(4), layers.Dense(2)])


def embedded():
    return keras.Sequential(
        [keras.Input((5,)), layers.Embedding(7, 4), layers.Flatten(), layers.Dense(2)]
    )


@pytest.mark.parametrize("make, count", [(convolutional, 3), (recurrent, 2), (embedded, 2)])
def test_layers_of_all_kinds_can_be_differentiated_twice(make, count):
    model = make()
    assert len([*watched_layers(model)]) == count
    x = np.ones((4, *model.input_shape[1:]), np.float32)
    x += 0.1 * np.arange(4).reshape(-1, *[1] * (x.ndim - 1))
    y = np.arange(4) % 2
    compiled(model, 0.01)
    callbacks = [GradientL1(0.01, 0.01)]
    losses = model.fit(x, y, epochs=3, verbose=0, callbacks=callbacks).history["loss"]
    assert np.all(np.isfinite(losses)) and losses[-1] < losses[0]


def test_the_settings_go_round():
    item = GradientL1(0.02, 0.01, 7)
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is GradientL1 and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"weights": -1.0}, "`weights` must be at least 0"),
        ({"activations": float("nan")}, "`activations` must be at least 0"),
        ({"weights": 0.0}, "`weights` or `activations` must be above 0"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientL1(**arguments)
