"""AutoPruner: gates of channels, what they come to and what they let pass."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.auto_pruner import AutoPruner

layers = keras.layers


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.float64(x)))


def built(layer, shape):
    layer.build(shape)
    return layer


def test_lw20_gates_are_those_worked_out_by_hand():
    pruner = built(AutoPruner(steps=10, first_alpha=1.0, last_alpha=2.0), (None, 4))
    pruner.selector.assign(np.diag([1.0, 2.0, -1.0, 0.0]))
    x = np.float32([[1.0, 0.0, 3.0, 5.0], [3.0, 1.0, 1.0, 5.0]])  # means 2, 0.5, 2, 5
    expected = x * sigmoid([2.0, 1.0, -2.0, 0.0])
    assert pruner(x, training=True).numpy() == pytest.approx(expected, rel=1e-5)
    assert pruner.gates.numpy() == pytest.approx(sigmoid([2.0, 1.0, -2.0, 0.0]))
    expected = x * sigmoid(1.1 * np.array([2.0, 1.0, -2.0, 0.0]))  # a tenth of the way
    assert pruner(x, training=True).numpy() == pytest.approx(expected, rel=1e-5)


def test_lw20_the_batch_is_averaged_before_the_largest_of_a_window_is_taken():
    pruner = built(AutoPruner(first_alpha=1.0), (None, 2, 3, 1))  # one window: a column is left out
    assert pruner.selector.shape == (1, 1)
    pruner.selector.assign([[0.5]])
    first = [[4.0, 0.0, 9.0], [0.0, 1.0, 9.0]]
    second = [[0.0, 2.0, 9.0], [0.0, 5.0, 9.0]]
    x = np.float32([first, second])[..., None]
    pruner(x, training=True)
    assert pruner.gates.numpy() == pytest.approx(sigmoid([0.5 * 3.0]))  # mean of 1 and 5


@pytest.mark.parametrize(
    "shape, size",
    [((None, 5), 5), ((None, 7, 5), 15), ((None, 4, 1, 5), 10), ((None, 4, 4, 4, 2), 16)],
)
def test_a_weight_is_there_for_each_window_and_channel(shape, size):
    pruner = built(AutoPruner(seed=0), shape)
    assert pruner.selector.shape == (size, shape[-1])
    assert np.std(pruner.selector.numpy()) == pytest.approx(10 * np.sqrt(2 / size), rel=0.5)


def test_lw20_alpha_rises_linearly_from_a_tenth_to_a_hundred():
    pruner = AutoPruner(steps=1000)
    values = [float(pruner.alpha(step)) for step in (0, 500, 1000, 5000)]
    assert values == pytest.approx([0.1, 50.05, 100.0, 100.0])


def test_lw20_the_term_is_ten_times_the_squared_distance_or_adaptive():
    x = np.float32([[1.0, 1.0]])
    for strength, factor in ((10.0, 10.0), (3.0, 3.0), (None, 100 * abs(0.5 - 0.7))):
        pruner = built(AutoPruner(0.7, strength=strength, first_alpha=1.0), (None, 2))
        pruner.selector.assign([[2.0, 0.0], [0.0, -1.0]])
        pruner(x, training=True)
        mean = np.mean(sigmoid([2.0, -1.0]))
        (loss,) = pruner.losses
        assert float(loss) == pytest.approx(factor * (mean - 0.7) ** 2, rel=1e-5)
    pruner(x)
    assert pruner.losses == []


def test_outside_training_a_channel_passes_or_not_whatever_the_batch():
    pruner = built(AutoPruner(steps=1, last_alpha=1.0), (None, 3))
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    assert pruner(x).numpy().tolist() == x.tolist()  # untrained: all
    pruner.gates.assign([0.9, 0.5, 0.1])
    assert pruner(x).numpy().tolist() == (x * [1.0, 0.0, 0.0]).tolist()
    assert pruner.kept.tolist() == [0] and pruner.removed.tolist() == [1, 2]
    pruner.trainable = False
    assert pruner(x, training=True).numpy().tolist() == (x * [1.0, 0.0, 0.0]).tolist()
    assert pruner.losses == [] and pruner.gates.numpy()[1] == 0.5
    with np.errstate(all="raise"):  # what is not finite does not pass either
        assert pruner(np.float32([[1.0, np.inf, np.nan]])).numpy().tolist() == [[1.0, 0.0, 0.0]]


def test_the_state_is_a_running_mean_of_gates():
    pruner = built(AutoPruner(momentum=0.75, first_alpha=1.0, steps=10**6), (None, 1))
    pruner.selector.assign([[1.0]])
    for value in (2.0, -2.0):
        pruner(np.float32([[value]]), training=True)
    expected = 0.75 * sigmoid(2.0) + 0.25 * sigmoid(-2.0)
    assert pruner.gates.numpy() == pytest.approx([expected], rel=1e-4)


def task():
    """Images, and the means of the first of their three channels."""
    x = np.random.default_rng(0).normal(size=(128, 6, 6, 3)).astype(np.float32)
    return x, np.maximum(x[..., :1], 0).mean((1, 2))


def network(keep=0.25, nested=False, **pruner):
    keras.utils.set_random_seed(1)
    given = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(given)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.ReLU(name="relu")(x)
    x = AutoPruner(keep, name="pruner", **pruner)(x)
    x = layers.MaxPooling2D(name="pool")(x)
    model = keras.Model(given, layers.Conv2D(4, 3, activation="relu", name="reader")(x))
    if nested:
        outer = keras.Input((6, 6, 3))
        model = keras.Model(outer, model(outer))
    flat = layers.Flatten(name="flatten")(model.output)
    return keras.Model(model.input, layers.Dense(1, name="head")(flat))


@pytest.mark.parametrize("keep", [0.5, 0.75])
def test_lw20_the_mask_becomes_binary_and_its_mean_r(keep):
    x, y = task()
    model = network(keep, steps=80, seed=0)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.fit(x, y, batch_size=64, epochs=60, verbose=0)
    pruner = model.get_layer("pruner")
    gates = pruner.gates.numpy()
    assert np.minimum(gates, 1.0 - gates).max() < 0.01
    assert gates.mean() == pytest.approx(keep, abs=0.01)
    assert len(pruner.kept) == 8 * keep


@pytest.mark.parametrize("settings", [{"jit_compile": True}, {"steps_per_execution": 4}])
def test_every_step_counts(settings):
    x, y = task()
    model = network(steps=10)
    model.compile("sgd", "mse", **settings)
    model.fit(x, y, batch_size=32, verbose=0)
    assert int(model.get_layer("pruner").step.numpy()) == 4
    model.evaluate(x, y, verbose=0)
    assert int(model.get_layer("pruner").step.numpy()) == 4


def test_it_stays_in_a_compressed_model_with_prune_and_in_a_file(tmp_path):
    x, y = task()
    model = edgeax.compress(network(steps=4), [edgeax.Prune(0.5), "int8"])
    model.compile("adam", "mse")
    model.fit(x, y, batch_size=32, verbose=0)
    pruner = model.get_layer("pruner")
    pruner.gates.assign([0.9, 0.1] * 4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("pruner")) is AutoPruner
    assert loaded.get_layer("pruner").kept.tolist() == [0, 2, 4, 6]
    assert loaded.predict(x, verbose=0) == pytest.approx(model.predict(x, verbose=0), abs=1e-6)


def test_it_trains_in_half_precision():
    pruner = AutoPruner(dtype="mixed_float16")
    x = tf.ones((2, 4, 4, 3), tf.float16)
    assert pruner(x, training=True).dtype == "float16" and pruner(x).dtype == "float16"
    assert pruner.gates.dtype == "float32" and pruner.selector.dtype == "float32"


def test_the_settings_go_round():
    item = AutoPruner(0.25, 10, None, 0.2, 50.0, 3, 0.8, 7, name="a")
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is AutoPruner and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: AutoPruner(keep=1.0), "`keep` must be above 0 and below 1"),
        (lambda: AutoPruner(steps=0), "`steps` of AutoPruner must be an integer"),
        (lambda: AutoPruner(strength=-1.0), "`strength` must be at least 0"),
        (lambda: AutoPruner(first_alpha=0.0), "`first_alpha` must be above 0"),
        (lambda: AutoPruner(last_alpha=0.05), "`last_alpha` must be above `first_alpha`"),
        (lambda: AutoPruner(pool=0), "`pool` of AutoPruner must be an integer"),
        (lambda: AutoPruner(momentum=1.0), r"`momentum` must lie in \[0, 1\)"),
        (lambda: built(AutoPruner(), (None, None, 3)), r"known sizes.*\(None, None, 3\)"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
