"""PrecisionGate: what choices cost, how they come to the target, and what they depend on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.precision_gate import PrecisionGate
from tests.training.fractional_models import blocks_of, network

X = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2]


def share_of(model):
    """Returns the mean bit operations of the blocks' choices, in shares of 32 bits."""
    gate = next(layer for layer in model.layers if isinstance(layer, PrecisionGate))
    return np.mean([np.dot(block.chosen.numpy(), gate.costs) for block in blocks_of(model)])


def test_fyz20_the_five_choices_cost_what_the_paper_says():
    shares = [round(100 * cost, 3) for cost in PrecisionGate().costs]
    assert shares == [1.758, 2.083, 2.604, 3.385, 4.688]


@pytest.mark.parametrize("target", [0.02, pytest.param(0.04, marks=pytest.mark.soak)])
def test_fyz20_the_bit_operations_come_to_the_target(target):
    keras.utils.set_random_seed(0)
    gate = PrecisionGate(target=target, strength=2.0)
    model = network(gate)
    model.compile(keras.optimizers.SGD(0.05, clipnorm=1.0), "mse")
    found = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: found.append(share_of(model))
    )
    model.fit(X, Y, batch_size=32, epochs=40, verbose=0, callbacks=[note])
    assert np.mean(found[-160:]) == pytest.approx(target, abs=0.003)
    assert float(gate.cost.numpy()) == pytest.approx(target, abs=0.006)


def test_the_regularizer_is_that_of_the_paper():
    gate = PrecisionGate(target=0.03, strength=0.25)
    features = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    gate(features)
    for cost, sign in ((0.031, 1.0), (0.029, -1.0)):
        gate.cost.assign(cost)
        with tf.GradientTape() as tape:
            choice, *_ = gate(features, training=True)
            (loss,) = gate.losses
        assert np.isin(choice, (0.0, 1.0)).all() and np.sum(choice, axis=1).tolist() == [1.0] * 8
        chosen = np.array(gate.costs)[np.argmax(choice, axis=1)]
        assert float(loss) == pytest.approx(sign * 0.25 * 3 * chosen.sum(), rel=1e-5)
        assert float(gate.cost.numpy()) == pytest.approx(0.99 * cost + 0.01 * chosen.mean())
        # Through the softmax: p_k * (cost_k - mean of p).
        gradient = tape.gradient(loss, gate.linear.bias)
        p = probabilities(gate, features)
        costs = np.array(gate.costs)
        expected = (p * (costs - (p @ costs)[:, None])).sum(axis=0)
        assert gradient.numpy() == pytest.approx(sign * 0.25 * 3 * expected, rel=1e-3, abs=1e-7)


def probabilities(gate, features):
    output, _ = gate.cell(features, [np.zeros((len(features), gate.hidden), np.float32)] * 2)
    return tf.nn.softmax(gate.linear(output)).numpy()


def test_nothing_is_random_and_no_sample_sees_the_others():
    model = network(PrecisionGate())
    gate = next(layer for layer in model.layers if isinstance(layer, PrecisionGate))
    features = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    whole = gate(features)[0].numpy()
    assert np.array_equal(whole[3:5], gate(features[3:5])[0].numpy())
    assert np.array_equal(whole, gate(features, training=True)[0].numpy())
    assert len(gate._inbound_nodes) == 3  # one for all blocks


def test_fyz20_stages_raise_the_target():
    gate = PrecisionGate(target=(0.02, 0.04))
    model = network(gate, blocks=1)
    assert gate.stages.stage.numpy() == 1
    model.compile("sgd", "mse")
    progress = edgeax.callbacks.ProgressivePrecision(threshold=10.0, epochs=2)
    signs = []

    class Sign(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            gate.cost.assign(0.03)
            gate(np.ones((2, 16), np.float32), training=True)
            signs.append(np.sign(gate.losses[0].numpy()))

    callbacks = [progress, Sign()]
    history = model.fit(X, Y, batch_size=64, epochs=4, verbose=0, callbacks=callbacks).history
    assert history["precision_stage"] == [0, 0, 1, 1] and signs == [1.0, 1.0, -1.0, -1.0]


def test_the_settings_go_round():
    item = PrecisionGate((3, 6), (6, 8), 5, (0.01, 0.02), 1e-2, hidden=8, name="gate")
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: PrecisionGate((3,), (6,)), "must have as many widths each, at least 2"),
        (lambda: PrecisionGate((3, 4), (6, 6, 8)), "must have as many widths each"),
        (lambda: PrecisionGate(target=0.0), "`target` must be above 0 and at most 1"),
        (lambda: PrecisionGate(target=[]), "`target` must be above 0"),
        (lambda: PrecisionGate(target=(0.1, 2.0)), "`target` must be above 0"),
        (lambda: PrecisionGate(strength=-1.0), "`strength`"),
        (lambda: PrecisionGate(hidden=0), "`hidden`"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
