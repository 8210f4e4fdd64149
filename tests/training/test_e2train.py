"""E2Train: the three savings together in `fit`, each alone, and what a training leaves."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.cost import training_cost
from edgeax.training.e2train import E2Train
from edgeax.training.predictive_models import predictive_layers
from edgeax.training.selection_gate import SelectionGate
from edgeax.training.skip_aware import SkipAware
from edgeax.training.stretched import StretchedSchedule
from tests.training.selective_models import blocks_of, dense_block

layers = keras.layers
X = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
Y = (X[:, 0] > X[:, 1]).astype(np.int32)
LOSS = "sparse_categorical_crossentropy"


def plain_network():
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    x = layers.Dense(64, name="first")(given)
    for i in range(3):
        x = dense_block(64, name=f"b{i}")(x)
    return keras.Model(given, layers.Dense(2, "softmax", name="head")(x))


def train(e2, epochs, rate=0.003):
    model = e2.prepare(plain_network())
    e2.compile(model, rate, LOSS, metrics=["accuracy"], jit_compile=False)
    callbacks = e2.callbacks(batch_size=16)
    history = model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks)
    return model, history.history


def test_wjc19_the_three_savings_multiply():
    """The energy in the logs is that of the cost model at what the logs say was left out."""
    model, history = train(E2Train(seed=3), epochs=4)
    assert sum(history["steps_seen"]) == 64 and 20 < sum(history["steps_run"]) < 44
    ran = history["steps_run"][-1] / history["steps_seen"][-1]
    decided = history["predicted_fraction"][-1]
    assert 0.2 < decided <= 1.0
    free = training_cost(model, 16, run_fraction=ran, kept=0.0, predicted_fraction=1.0).total
    paid = training_cost(model, 16, run_fraction=ran, kept=1.0, predicted_fraction=0.0).total
    assert free.energy_pj < history["step_energy_pj"][-1] < paid.energy_pj
    plain = training_cost(plain_network(), 16).total
    assert history["step_energy_pj"][-1] < 0.5 * plain.energy_pj


def test_each_part_can_be_left_out():
    def parts(**settings):
        e2 = E2Train(**{"drop": 0.0, "keep": 1.0, "predict": False, **settings})
        model = e2.prepare(plain_network()) if e2.keep < 1.0 or e2.predict else plain_network()
        kinds = {type(one).__name__ for one in e2.callbacks(16)} - {"TrainingCost"}
        skips = isinstance(e2.optimizer(0.1), SkipAware)
        return len(blocks_of(model)), len(predictive_layers(model)), skips, kinds

    assert parts() == (0, 0, False, set())
    assert parts(drop=0.5) == (0, 0, False, {"MinibatchDropping"})
    assert parts(keep=0.4) == (2, 0, True, set())
    assert parts(predict={"beta": 0.2}) == (0, 5, False, {"PredictedSigns"})
    plain = plain_network()
    assert E2Train(drop=0.5, keep=1.0, predict=False).prepare(plain) is plain
    predicting = E2Train(keep=1.0, predict={"beta": 0.2}).prepare(plain)
    assert {layer.beta for layer in predictive_layers(predicting)} == {0.2}


def images_network():
    keras.utils.set_random_seed(0)
    given = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(given)
    for place in range(2):
        inner = layers.Conv2D(4, 3, padding="same", name=f"inner{place}")(x)
        x = layers.ReLU()(layers.Add(name=f"add{place}")([x, layers.ReLU()(inner)]))
    head = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(given, head)


IMAGES = np.random.default_rng(0).random((10, 6, 6, 1)).astype(np.float32)


def test_images_are_learned_in_batches_of_any_size():
    e2 = E2Train(drop=0.0, keep=0.5)
    model = e2.prepare(images_network())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    e2.compile(model, 0.01, loss, jit_compile=False)
    before = model.get_weights()
    losses = model.fit(IMAGES, Y[:10], batch_size=4, epochs=2, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses))
    after = model.get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_blocks_and_the_gate_are_those_asked_for():
    e2 = E2Train(keep=0.7, predict=False, gate={"strength": 0.01, "inference": "threshold"}, seed=4)
    model = e2.prepare(plain_network(), blocks=["b0"])
    (gate,) = [layer for layer in model.layers if isinstance(layer, SelectionGate)]
    config = gate.get_config()
    assert (config["target"], config["strength"], config["seed"]) == (0.7, 0.01, 4)
    assert config["inference"] == "threshold"
    assert [block.name.split("_")[0] for block in blocks_of(model)] == ["b0"]


def test_the_optimizer_is_made_of_a_rate_or_taken_as_it_is():
    assert isinstance(E2Train(keep=1.0).optimizer(0.1), edgeax.optimizers.PredictiveSignSGD)
    plain = E2Train(keep=1.0, predict=False).optimizer(0.1)
    assert type(plain) is keras.optimizers.SGD and plain.momentum == 0.9
    adam = keras.optimizers.Adam()
    assert E2Train(keep=0.5).optimizer(adam).inner_optimizer is adam
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([100], [0.1, 0.01])
    rate = E2Train(drop=0.5, keep=1.0, stretch=2.0).optimizer(schedule)._learning_rate
    assert isinstance(rate, StretchedSchedule)
    assert float(rate(100)) == pytest.approx(0.1) and float(rate(101)) == pytest.approx(0.01)


def test_wjc19_epochs_are_stretched():
    """Two thirds of the compute: half of the steps of 4/3 of the epochs."""
    e2 = E2Train(drop=0.5, stretch=4 / 3)
    assert e2.epochs(60) == 80 and e2.compute_ratio == pytest.approx(2 / 3)


def test_what_it_learned_is_kept_in_a_plain_network():
    e2 = E2Train(drop=0.25)
    model, history = train(e2, epochs=12)
    assert history["accuracy"][-1] > 0.8
    plain = e2.finished(model, X)
    assert [type(one) for one in predictive_layers(plain) + blocks_of(plain)] == []
    assert len(plain.weights) == len(plain_network().weights)
    difference = plain.predict(X, verbose=0) - model.predict(X, verbose=0)
    assert np.abs(difference).mean() < 0.05  # codes of 8 bits, and the gate's mean


def test_the_settings_can_be_saved():
    e2 = E2Train(0.25, 0.7, {"beta": 0.1}, 1.5, {"strength": 0.1}, 9)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(e2))
    assert isinstance(copy, E2Train) and copy.get_config() == e2.get_config()


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"drop": 1.0}, r"`rate` must lie in \[0, 1\)"),
        ({"keep": 0.0}, "`target` must be above 0 and at most 1"),
        ({"stretch": 0.0}, "`stretch` must be above 0"),
        ({"seed": -1}, "`seed` must be an integer"),
        ({"gate": {"strength": -1.0}}, "`strength` must be at least 0"),
        ({"gate": {"target": 0.3}}, "`gate` must leave the target to `keep`.*Pass keep=0.3"),
        ({"predict": {"beta": -1}}, r"`beta` must lie in \[0, 1\]. Received: beta=-1"),
        ({"predict": {"betta": 0.1}}, r"among \['beta', .*Received: predict=\{'betta': 0.1\}"),
        ({"predict": "yes"}, "`predict` must be True, False, or settings.*Received: predict='yes'"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        E2Train(**settings)


@pytest.mark.parametrize("given", ["adam", keras.optimizers.Adam, None, True, 0.0, float("nan")])
def test_what_is_no_rate_and_no_optimizer_is_refused(given):
    with pytest.raises(ValueError, match="`optimizer` must be a learning rate above 0.*Received"):
        E2Train().optimizer(given)


def dense_network():
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(8)(given)))
    for place in range(2):
        inner = layers.BatchNormalization()(layers.Dense(8, name=f"inner{place}")(x))
        x = layers.ReLU()(layers.Add(name=f"add{place}")([x, inner]))
    return keras.Model(given, layers.Dense(2)(x))


def test_a_prepared_network_is_compressed_finished_and_exported(tmp_path):
    e2 = E2Train(drop=0.0)
    model = edgeax.compress(e2.prepare(dense_network()), "static_wi8_ai8")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    e2.compile(model, 0.001, loss, run_eagerly=True)
    model.fit(X[:32], Y[:32], batch_size=16, epochs=2, verbose=0)
    plain = e2.finished(model, X)
    assert not predictive_layers(plain) and not blocks_of(plain)
    result = edgeax.export(plain, tmp_path / "model.tflite", X, measure=False)
    paths = [kernel.path for kernel in result.kernels]
    assert result.stays_float == () and {"inner0", "add1_block/inner1"} <= {*paths}
    outputs = edgeax.Interpreter(tmp_path / "model.tflite").run(X)
    expected = plain.predict(X, verbose=0)
    assert np.abs(outputs - expected).max() < 0.05 * np.ptp(expected)


def test_a_compressed_network_is_prepared_finished_and_exported(tmp_path):
    e2 = E2Train(drop=0.0)
    model = e2.prepare(edgeax.compress(images_network(), "static_wi8_ai8"))
    assert [block.name for block in blocks_of(model)] == ["add1"]
    assert len(predictive_layers(model)) == 4
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    e2.compile(model, 0.001, loss, run_eagerly=True)
    before = model.get_weights()
    model.fit(IMAGES, Y[:10], batch_size=5, epochs=2, verbose=0)
    assert not all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    plain = e2.finished(model, IMAGES)
    assert not predictive_layers(plain) and not blocks_of(plain)
    edgeax.export(plain, tmp_path / "model.tflite", IMAGES, measure=False)
    outputs = edgeax.Interpreter(tmp_path / "model.tflite").run(IMAGES)
    expected = plain.predict(IMAGES, verbose=0)
    assert np.abs(outputs - expected).max() < 0.05 * np.abs(expected).max()
