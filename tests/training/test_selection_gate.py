"""SelectionGate: how many blocks run, what the gate costs, and what its decisions depend on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.selection_gate import SelectionGate
from edgeax.training.selective_block import SelectiveBlock
from edgeax.training.skip_aware import SkipAware
from tests.training import replicas
from tests.training.selective_models import blocks_of, network

layers = keras.layers
X = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2]


@pytest.mark.parametrize(
    "target",  # 20, 40 and 60 % skipped
    [pytest.param(0.8, marks=pytest.mark.soak), 0.6, pytest.param(0.4, marks=pytest.mark.soak)],
)
def test_wjc19_the_share_that_runs_comes_to_the_target(target):
    gate = SelectionGate(target=target, strength=5e-2, seed=1)
    model = network(gate, blocks=4)
    model.compile(SkipAware(keras.optimizers.SGD(0.05)), "mse")
    kept = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: kept.append(
            np.mean([block.kept.numpy() for block in blocks_of(model)])
        )
    )
    model.fit(X, Y, batch_size=8, epochs=10, verbose=0, callbacks=[count])
    assert np.mean(kept[-200:]) == pytest.approx(target, abs=0.05)
    assert float(gate.share.numpy()) == pytest.approx(target, abs=0.15)


def residual(shape):
    given = keras.Input(shape)
    x = layers.Conv2D(shape[-1], 3, padding="same", use_bias=False)(given)
    x = layers.Conv2D(shape[-1], 3, padding="same", use_bias=False)(x)
    return keras.Model(given, layers.Add()([given, x]))


def test_wjc19_the_gate_of_a_resnet_74_costs_below_four_hundredths_of_a_percent():
    """Blocks of three stages of 12; the first of each stage changes the shape and has no gate."""
    gate, of_gate, of_blocks = SelectionGate(), 0, 0
    for channels, size in ((16, 32), (32, 16), (64, 8)):
        given = keras.Input((size, size, channels))
        model = keras.Model(given, SelectiveBlock(residual((size, size, channels)), gate)(given))
        counts = edgeax.macs(model)
        (block,) = [
            n
            for path, n in counts.items()
            if path.startswith("selective_block") and not path.endswith("_features")
        ]
        (features,) = [n for path, n in counts.items() if path.endswith("_features")]
        assert block == 2 * size * size * 9 * channels * channels
        assert features == channels * 10
        decision = sum(
            int(np.prod(w.shape)) for w in gate.trainable_weights if "bias" not in w.name
        )
        assert decision == 4 * 10 * (10 + 10) + 10
        of_gate += 11 * (features + decision)
        of_blocks += 12 * block
    assert of_gate / of_blocks < 0.0004


def test_the_regularizer_is_that_of_the_paper():
    gate = SelectionGate(target=0.5, strength=0.25, seed=1)
    features = np.ones((8, 3), np.float32)
    for share, sign in ((0.51, 1.0), (0.5, -1.0), (0.4, -1.0)):
        gate(features)
        gate.share.assign(share)
        with tf.GradientTape() as tape:
            decision, *_ = gate(features, training=True)
            (loss,) = gate.losses
        ran = float(decision[0, 0])
        assert float(loss) == pytest.approx(sign * 0.25 * 8 * ran)
        gradient = tape.gradient(loss, gate.linear.bias)
        p = float(gate(features)[0][0, 0])
        assert gradient.numpy() == pytest.approx(sign * 0.25 * 8 * p * (1 - p), rel=1e-4)


def test_decisions_are_drawn_with_the_probability_of_the_batch():
    gate = SelectionGate(seed=1)
    features = np.linspace(-1, 1, 24).reshape(8, 3).astype(np.float32)
    gate(features)
    gate.linear.bias.assign([1.0])
    p = gate(features)[0].numpy()
    drawn = np.array([gate(features, training=True)[0].numpy() for _ in range(600)])
    assert (drawn == drawn[:, :1]).all() and set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn.mean() == pytest.approx(p.mean(), abs=0.06)


def test_one_lstm_reads_the_blocks_one_after_the_other():
    gate = SelectionGate()
    model = network(gate, blocks=3)
    calls = [node for node in gate._inbound_nodes]
    assert [len(node.input_tensors) for node in calls] == [1, 3, 3]
    produced = {id(tensor) for node in calls[:1] for tensor in node.output_tensors}
    assert {id(tensor) for tensor in calls[1].input_tensors[1:]} <= produced
    other = network(gate, blocks=2)  # another model begins anew
    assert [len(node.input_tensors) for node in gate._inbound_nodes[3:]] == [1, 3]
    assert len(model.trainable_variables) - len(other.trainable_variables) == 6


@pytest.mark.parametrize("inference", ["expected", "threshold"])
def test_inference_is_the_same_for_a_sample_in_any_batch(inference):
    model = network(SelectionGate(inference=inference, seed=1))
    model.compile(SkipAware(keras.optimizers.SGD(0.01)), "mse")
    model.fit(X[:64], Y[:64], batch_size=8, verbose=0)
    whole = model.predict(X, verbose=0)
    assert np.array_equal(whole, model.predict(X, verbose=0))
    assert model.predict(X[5:9], verbose=0) == pytest.approx(whole[5:9], abs=1e-5)


def test_threshold_takes_the_block_or_its_input():
    gate = SelectionGate(inference="threshold")
    features = np.ones((2, 3), np.float32)
    gate(features)
    for bias, expected in ((5.0, 1.0), (-5.0, 0.0)):
        gate.linear.bias.assign([bias])
        assert gate(features)[0].numpy().ravel().tolist() == [expected] * 2


def test_two_replicas_stay_the_same_though_each_decides_for_its_batch():
    replicas.run("selection_gate")


def test_the_settings_go_round():
    item = SelectionGate(8, 0.4, 1e-3, "threshold", seed=5, name="gate")
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SelectionGate(0), "`hidden` must be"),
        (lambda: SelectionGate(target=0.0), "`target` must be above 0"),
        (lambda: SelectionGate(target=1.5), "`target` must be above 0 and at most 1"),
        (lambda: SelectionGate(strength=-1.0), "`strength`"),
        (lambda: SelectionGate(inference="random"), "`inference` must be one of"),
        (lambda: SelectionGate(seed=-1), "`seed`"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
