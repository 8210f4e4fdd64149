"""FractionalBlock: what a sample passes in, what the gate learns from, and what it costs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.cost import step_cost, training_cost
from edgeax.training.fractional_block import FractionalBlock
from edgeax.training.precision_gate import PrecisionGate
from tests.training import replicas
from tests.training.fractional_models import block, blocks_of, network

layers = keras.layers
X = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2]
WIDTHS = (3, 4, 4, 6, 6)


def on_grid(value, bits):
    step = np.abs(value).max() / (2 ** (bits - 1) - 1)
    return np.round(value / step) * step


def compiled(model=None, blocks=2, **kwargs):
    keras.utils.set_random_seed(0)
    model = model or network(PrecisionGate(target=0.02, strength=1e-2), blocks=blocks)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "mse", **kwargs)
    return model


def fit(model, epochs=2, **kwargs):
    return model.fit(X, Y, 16, epochs, shuffle=False, verbose=0, **kwargs).history


def test_fyz20_each_sample_passes_in_its_bits():
    layer = FractionalBlock(block(), PrecisionGate())
    x, choice = X[:5], np.eye(5, dtype=np.float32)
    made = layer([x, choice])
    dense = layer.block.get_layer("dense").layer
    kernel = dense.kernel.numpy()
    steps = np.abs(kernel).max(axis=0) / 7
    kernel = np.round(kernel / steps) * steps
    inputs = np.stack([on_grid(x, bits)[i] for i, bits in enumerate(WIDTHS)])
    inner = inputs @ kernel / np.sqrt(1 + 1e-3)
    np.testing.assert_allclose(made, x + np.maximum(inner, 0), atol=1e-5)


def test_fyz20_errors_come_back_in_the_bits_of_their_sample():
    layer = FractionalBlock(keras.Sequential([keras.Input((4,)), layers.Dense(3)]), PrecisionGate())
    x, upstream = tf.constant(X[:5]), np.random.default_rng(1).normal(size=(5, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer([x, tf.eye(5)], training=True)
    gradient = tape.gradient(y, x, tf.constant(upstream, tf.float32)).numpy()
    kernel = layer.block.layers[-1].layer.kernel.numpy()
    steps = np.abs(kernel).max(axis=0) / 7
    errors = gradient @ np.linalg.pinv((np.round(kernel / steps) * steps).T)
    for row, given, bits in zip(errors, upstream, (6, 6, 8, 8, 12), strict=True):
        codes = row * (2 ** (bits - 1) - 1) / np.abs(upstream).max()
        np.testing.assert_allclose(codes, np.round(codes), atol=5e-3 * 2 ** (bits - 6))
        assert np.abs(row - given).max() <= np.abs(upstream).max() / (2 ** (bits - 1) - 1) * 1.01


def test_fyz20_the_gate_learns_from_the_task_too():
    model = compiled(network(PrecisionGate(strength=0.0), blocks=1))
    gate = next(layer for layer in model.layers if isinstance(layer, PrecisionGate))
    before = gate.linear.kernel.numpy()
    fit(model, 1)
    assert np.abs(gate.linear.kernel.numpy() - before).max() > 0.0


@pytest.mark.parametrize("settings", [{"steps_per_execution": 3}, {"run_eagerly": True}])
def test_the_way_of_execution_changes_nothing(settings):
    one, other = compiled(blocks=1), compiled(blocks=1, **settings)
    for model in (one, other):
        fit(model)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_xla_compiles_the_step():
    model = compiled(jit_compile=True)
    history = fit(model, 6)
    assert history["loss"][-1] < history["loss"][0]
    assert all(block.chosen.numpy().sum() == pytest.approx(1.0) for block in blocks_of(model))


def test_a_training_that_was_broken_off_goes_on_the_same(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)

    whole, resumed = compiled(blocks=1), compiled(blocks=1)
    fit(whole, 4)
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(blocks=1), 4, callbacks=[backup(), Interrupt()])
    fit(resumed, 4, callbacks=[backup()])
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_saved_model_computes_the_same_and_trains_on(tmp_path):
    model = compiled()
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len([layer for layer in loaded.layers if isinstance(layer, PrecisionGate)]) == 1
    for one in (model, loaded):
        fit(one)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_fyz20_what_was_chosen_is_what_it_costs():
    model = compiled()
    callback = edgeax.callbacks.TrainingCost(16)
    notes = []

    class Note(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            notes.append([one.chosen.numpy() for one in blocks_of(model)])

    history = fit(model, 1, callbacks=[callback, Note()])
    means = np.mean(notes, axis=0)
    chosen = {f"block{i}": mean for i, mean in enumerate(means)}
    expected = step_cost(model, 16)(chosen=chosen).total.energy_pj
    assert history["step_energy_pj"] == [pytest.approx(expected)]
    # By hand: 16 samples, 4 x 4 products, each of the three with its widths.
    (layer,) = [
        one for one in training_cost(model, 16, chosen=chosen).layers if one.path == "block1/dense"
    ]
    operations = sum(
        share * 16 * 16 * (4 * a + 4 * g + a * g)
        for share, a, g in zip(means[1], WIDTHS, (6, 6, 8, 8, 12), strict=True)
    )
    found = sum(layer.phases[phase].bit_operations for phase in [*layer.phases][:3])
    assert found == pytest.approx(operations)


def test_outside_training_the_last_batch_says_what_is_chosen():
    model = compiled()
    for one in blocks_of(model):
        one.chosen.assign([0.0, 0.0, 0.0, 1.0, 0.0])
    costs = {layer.path: layer.phases["forward"] for layer in training_cost(model, 16).layers}
    assert costs["block0/dense"].bit_operations == 16 * 16 * 6 * 4


def test_two_replicas_stay_the_same_though_each_chooses_for_its_samples():
    replicas.run("fractional_block")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: FractionalBlock(layers.Dense(4)), "`block` must be a keras.Model"),
        (lambda: FractionalBlock(block(), "gate"), "`gate` must be a PrecisionGate or None"),
        (lambda: FractionalBlock(block()), r"layers with \[\] choices, and None of the gate"),
        (
            lambda: FractionalBlock(
                edgeax.compress(block(), edgeax.Recipe(arithmetic="dfq")),
                PrecisionGate((3, 6), (6, 8)),
            ),
            r"layers with \[5\] choices, and 2 of the gate",
        ),
        (lambda: FractionalBlock(block(), PrecisionGate())(X), "must be called on a keras.Input"),
        (
            lambda: keras.Sequential(
                [keras.Input((4,)), FractionalBlock(block(), PrecisionGate())]
            ),
            "a Sequential model, which would not train the gate",
        ),
    ],
)
def test_what_cannot_be_gated_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_stripped_of_what_is_compressed_around_them_blocks_keep_their_bits():
    model = network(PrecisionGate(), blocks=1)
    (held,) = blocks_of(edgeax.strip(model))
    assert held.choices == 5 and len(held.weights) == len(blocks_of(model)[0].weights)
