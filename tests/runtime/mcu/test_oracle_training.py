import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu import oracle
from edgeax.runtime.mcu.backward.tape import Rule
from edgeax.runtime.mcu.oracle_training import Oracle
from tests.runtime.mcu import float_gradients, networks, trainable_networks, training_files

ALL = Rule(rate_bits=0, dead_zone=0, least_error=0, seed=1)
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def drawn(data, seed):
    shape = Model.from_bytes(data).subgraphs[0].tensors[0].shape
    return np.random.default_rng(seed).integers(-100, 100, shape).astype(np.int8)


@pytest.mark.parametrize("trainable", ["biases", [2, 5], 1])
def test_outputs_are_those_of_the_interpreter(trainable):
    data = trainable_networks.blocks()
    twin = Oracle(training_files.training(data, ALL, trainable))
    for seed in range(3):
        x = drawn(data, seed)
        (wanted,) = oracle.outputs_of(data, [x], "double")
        np.testing.assert_array_equal(twin.outputs([x], twin.features([x])), wanted[0])


def test_frozen_layers_may_end_in_a_row_of_an_image():
    net = trainable_networks.Net((1, 5, 4, 2))
    data = net.write(net.dense(net.reshape(net.conv(0, 3, 3))))
    twin, x = Oracle(training_files.training(data, ALL, 1)), drawn(data, 0)
    (wanted,) = oracle.outputs_of(data, [x], "double")
    np.testing.assert_array_equal(twin.outputs([x], twin.features([x])), wanted[0])


@pytest.mark.parametrize("network", [trainable_networks.blocks, trainable_networks.pixels])
def test_weights_move_against_the_gradients_of_the_real_model(network):
    data = network()
    graph = Model.from_bytes(data).subgraphs[0]
    places = [at for at, operator in enumerate(graph.operators) if operator.name in WEIGHTED]
    training = training_files.training(data, ALL, places)
    agreeing = large = 0
    for seed in range(4):
        twin, x = Oracle(training), drawn(data, seed)
        before = {number: twin.memory[number].copy() for number in training.learnt}
        twin.train([x], twin.features([x]), seed)
        real = float_gradients.gradients(data, x, seed)
        wanted = [one.reshape(-1) for place in places for one in real[place]]
        for number, gradient in zip(training.learnt, wanted, strict=True):
            moved = np.sign(twin.memory[number].astype(int) - before[number]).reshape(-1)
            counts = np.abs(gradient) >= 0.05 * np.abs(gradient).max()
            counts &= np.abs(before[number].reshape(-1).astype(int)) != 127  # may not move on
            agreeing += np.sum(moved[counts] == -np.sign(gradient[counts]))
            large += counts.sum()
    # Gradients that the rounding of activations turns are small; those of 5 % of the largest count.
    assert large > 1000 and agreeing >= 0.95 * large


def test_every_weight_moves_one_code_against_its_gradient():
    training = training_files.training(training_files.classifier(), ALL)
    twin, x = Oracle(training), training_files.clothes(1)[0][0][None]
    (features,) = twin.features([x])
    weights, bias = (twin.memory[number].astype(int) for number in training.learnt)
    twin.train([x], [features], 4)
    moved, moved_bias = (twin.memory[number].astype(int) for number in training.learnt)
    errors = -(moved_bias - bias) // 100  # an input of 1.0 is a code of 100 above the zero point
    assert errors[4] == -1 and set(errors.tolist()) == {-1, 1}
    wanted = -np.sign(errors[:, None] * (features.astype(int) + 128))
    np.testing.assert_array_equal((moved - weights).reshape(10, 48), wanted)


def test_small_gradients_and_errors_rest():
    rule = Rule(rate_bits=0, dead_zone=128, least_error=1 << 13, seed=1)
    training = training_files.training(training_files.classifier(), rule)
    twin, x = Oracle(training), training_files.clothes(1)[0][0][None]
    (features,) = twin.features([x])
    before = twin.memory[training.learnt[0]].astype(int)
    twin.train([x], [features], 4)
    moved = (twin.memory[training.learnt[0]] != before).reshape(10, 48)
    inputs = features.reshape(-1).astype(int) + 128
    assert moved[4].any() and not moved[4][2 * inputs < inputs.max()].any()
    assert moved.any(1).sum() < 10


def test_real_samples_lower_the_loss_and_more_so_with_more_layers():
    samples, labels = training_files.clothes(50)
    ends = []
    for trainable in (1, 2):
        rule = Rule(rate_bits=3, dead_zone=64, least_error=1 << 12, seed=1)
        training = training_files.training(training_files.classifier(), rule, trainable)
        twin = Oracle(training)
        features = [twin.features([x[None]]) for x in samples]
        losses = [
            [
                twin.train([x[None]], found, int(label))
                for x, found, label in zip(samples, features, labels, strict=True)
            ]
            for _ in range(4)
        ]
        means = np.mean(losses, axis=1) / 2**16
        assert np.all(np.diff(means) < 0)
        ends.append(means[-1])
    assert ends[1] < ends[0] < 2.3


def test_a_mean_square_falls():
    training = training_files.training(networks.dense_chain(), ALL, 2, "mean_square")
    twin, x = Oracle(training), np.arange(12, dtype=np.int8)[None] * 9
    target = np.int8([40, -40, 0, 9])
    losses = [twin.train([x], [], target) for _ in range(30)]
    assert losses[-1] < 0.1 * losses[0]
    real = 0.5 * (twin.outputs([x], []).astype(int) - target)
    assert twin.train([x], [], target) == pytest.approx(np.square(real).mean() * 2**16, rel=1e-6)
