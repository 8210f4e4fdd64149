"""BlockGate: what comes to a decision, and where a block with a gate can be called."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from edgeax.training.block_gate import BlockGate, with_decision

layers = keras.layers


class Sum(BlockGate):
    """Decides by the sum of two numbers."""

    def decision(self, numbers, training):
        return ops.sum(numbers, axis=-1, keepdims=True)


def test_a_decision_reads_the_means_of_all_blocks_so_far():
    gate, given = Sum(3, 2, 0.0), keras.Input((4, 4, 5))
    model = keras.Model(given, [gate.decide(given, "a"), gate.decide(given, "b")])
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 5)).astype(np.float32)
    means, state, expected = images.mean(axis=(1, 2)), [np.zeros((2, 3), np.float32)] * 2, []
    for name in ("a", "b"):
        dense = model.get_layer(f"{name}_features")
        output, state = gate.cell(means @ dense.kernel.numpy() + dense.bias.numpy(), state)
        expected.append(gate.linear(output).numpy().sum(axis=1, keepdims=True))
    for found, wanted in zip(model.predict(images, verbose=0), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(5,), (6, 5), (4, 4, 5), (2, 3, 2, 5)])
def test_a_gate_learns_and_what_it_reads_does_not(shape):
    gate, given = Sum(3, 2, 0.0), keras.Input(shape)
    before = layers.Dense(5, use_bias=False)
    model = keras.Model(given, gate.decide(before(given), "block"))
    values = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = ops.sum(model(values) ** 2)
    weights = model.trainable_variables
    first, features, *others = tape.gradient(loss, [variable.value for variable in weights])
    assert weights[0] is before.kernel and first is None
    assert np.any(features) and all(gradient is not None for gradient in others)


def test_the_loss_pulls_to_the_target_and_the_mean_follows():
    gate = Sum(3, 2, strength=0.5)
    mean = keras.Variable(0.3)
    for target, sign in ((0.2, 1.0), (0.4, -1.0)):
        gate.pull(mean, target, tf.constant(4.0))
        assert float(gate.losses[-1]) == sign * 0.5 * 4.0
    gate.follow(mean, 1.0)
    assert float(mean.numpy()) == pytest.approx(0.99 * 0.3 + 0.01)


def test_a_block_with_a_gate_is_called_on_symbols():
    block, gate = layers.Dense(2, name="inner"), Sum(3, 2, 0.0)
    with pytest.raises(
        ValueError, match="Dense 'inner' with a Sum must be called on a keras.Input"
    ):
        with_decision(block, gate, np.ones((2, 4)))
    inputs, decision = with_decision(block, gate, keras.Input((4,)))
    assert inputs.shape == (None, 4) and decision.shape == (None, 1)


def test_a_gate_without_features_is_refused():
    with pytest.raises(ValueError, match="`hidden`"):
        Sum(0, 2, 0.0)
