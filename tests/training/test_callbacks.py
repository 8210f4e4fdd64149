"""CompressionLogger: what it writes, where it is seen, and where not."""

import csv
import importlib.util
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow.summary

import edgeax
from edgeax import Prune, Quantize, Recipe, Rule
from edgeax.training.callbacks import CompressionLogger
from tests.model import small_models

layers = keras.layers


def make():
    """Returns a compiled model whose transformed kernels are known, and stay so."""
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="dense")], name="inner")
    model = keras.Model(given, layers.Dense(2, activation="relu", name="head")(inner(given)))
    inner.layers[0].kernel.assign([[7.0, 0.0], [0.4, 0.4], [-7.0, 14.0], [2.0, -4.0]])
    model.get_layer("head").kernel.assign([[3.0, 0.5], [-2.0, 1.0]])
    recipe = Recipe(
        [
            Rule("dense", kernel=Quantize("int4", axis=-1)),
            Rule("head", kernel=Prune(0.25), output=Quantize("int8")),
        ]
    )
    compressed = edgeax.compress(model, recipe)
    compressed.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    return compressed


EXPECTED = {
    # codes [7, 0], [0, 0], [-7, 7], [2, -2] with scales 1 and 2
    "sparsity/inner/dense": 3 / 8,
    "distinct_values/inner/dense": 5,
    "range_low/inner/dense": -7.0,
    "range_high/inner/dense": 14.0,
    "sparsity/head": 1 / 4,
    "distinct_values/head": 4,
    "range_low/head": -2.0,
    "range_high/head": 3.0,
    "sparsity": 4 / 12,
}

GIVEN = np.ones((8, 4), np.float32), np.ones((8, 2), np.float32)


def fit(model, *callbacks, verbose=0, epochs=2, **arguments):
    arguments = {"batch_size": 4, "shuffle": False} | arguments
    return model.fit(
        *GIVEN, callbacks=list(callbacks), verbose=verbose, epochs=epochs, **arguments
    ).history


def test_the_history_holds_the_values_worked_out_by_hand():
    history = fit(make(), CompressionLogger(), validation_data=GIVEN)
    assert set(history) == {"loss", "val_loss", *EXPECTED}
    for name, value in EXPECTED.items():
        assert history[name] == [value, value], name


def bar_of(capsys, *callbacks, **arguments):
    """Returns the lines that `fit` leaves on the screen, without times."""
    fit(make(), *callbacks, verbose=arguments.pop("verbose", 1), **arguments)
    lines = [line.rpartition("\r")[2] for line in capsys.readouterr().out.split("\n")]
    unseen = r"\x1b\[[0-9;]*m|\x08+|\d+(s|ms|us)(/\w+)?"
    return [re.sub(unseen, "", line).rstrip() for line in lines]


@pytest.mark.parametrize("verbose", [1, 2])
def test_the_progress_bar_is_undisturbed(capsys, verbose):
    arguments = {"verbose": verbose, "validation_data": GIVEN}
    plain = bar_of(capsys, **arguments)
    assert plain[2] == "Epoch 2/2" and "val_loss" in plain[3]
    assert bar_of(capsys, CompressionLogger(), **arguments) == plain
    assert bar_of(capsys, CompressionLogger(), CompressionLogger(), **arguments) == plain


def test_csv_has_the_values_in_every_row(tmp_path):
    path = tmp_path / "log.csv"
    fit(make(), CompressionLogger(), keras.callbacks.CSVLogger(path), epochs=3)
    rows = list(csv.DictReader(path.open()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    for row in rows:
        assert {name: float(row[name]) for name in EXPECTED} == EXPECTED


def test_tensorboard_has_the_values_of_every_epoch(tmp_path, monkeypatch):
    if importlib.util.find_spec("tensorboard") is None:
        # Without that package TensorFlow can write a scalar, only not say how to plot it.
        monkeypatch.setattr(tensorflow.summary, "scalar", tensorflow.summary.write)
    fit(make(), CompressionLogger(), keras.callbacks.TensorBoard(tmp_path))
    (path,) = (tmp_path / "train").glob("events.*")
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            found[value.tag, event.step] = value.tensor
    for name, value in EXPECTED.items():
        for epoch in range(2):
            written = tf.make_ndarray(found[f"epoch_{name}", epoch])
            assert float(written) == pytest.approx(value), name


def test_callbacks_behind_it_can_act_on_the_values():
    stop = keras.callbacks.EarlyStopping("sparsity", mode="max", patience=1)
    assert len(fit(make(), CompressionLogger(), stop, epochs=9)["loss"]) == 2


def test_it_serves_several_fits_in_a_row(capsys):
    model, logger = make(), CompressionLogger()
    for _ in range(2):
        assert fit(model, logger)["sparsity"] == [1 / 3, 1 / 3]
    assert set(fit(model)) == {"loss"}
    assert bar_of(capsys, logger) == bar_of(capsys)


class Raise(keras.callbacks.Callback):
    """Ends a training at an epoch, before or after History was called for it."""

    def __init__(self, hook):
        super().__init__()
        self.hook = hook

    def on_epoch_begin(self, epoch, logs=None):
        if self.hook == "begin" and epoch == 1:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if self.hook == "end":
            raise KeyboardInterrupt


@pytest.mark.parametrize("hook", ["begin", "end"])
def test_a_training_that_raises_leaves_nothing_behind(hook):
    model, logger, history = make(), CompressionLogger(), keras.callbacks.History()
    with pytest.raises(KeyboardInterrupt):
        fit(model, logger, Raise(hook), history)
    assert fit(model, logger)["sparsity"] == [1 / 3, 1 / 3]
    model.fit(*GIVEN, callbacks=[history], verbose=0)  # the same History as in the interrupted fit
    assert "on_epoch_end" not in vars(history)
    assert len(history.history["loss"]) == (2 if hook == "begin" else 1)


def test_the_history_object_is_as_it_was_after_training():
    model = make()
    fit(model, CompressionLogger())
    assert "on_epoch_end" not in vars(model.history)


def test_training_without_it_ends_with_the_same_weights():
    def train(*callbacks):
        model = edgeax.compress(small_models.convolutional(), "static_wi4_ai8")
        model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
        model.fit(
            small_models.images(),
            small_models.labels(),
            callbacks=list(callbacks),
            epochs=2,
            shuffle=False,
            verbose=0,
        )
        return model.get_weights()

    assert all(map(np.array_equal, train(CompressionLogger()), train()))


def test_a_layer_with_several_kernels_is_one_entry():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 6, 2)), layers.SeparableConv2D(4, 3, name="conv")])
    compressed = edgeax.compress(model, [Prune(0.5)])
    compressed.compile("sgd", "mse", run_eagerly=True)
    images = small_models.images()
    logs = compressed.fit(
        images, np.zeros((8, 4, 4, 4)), callbacks=[CompressionLogger()], verbose=0
    ).history
    assert logs["sparsity"] == logs["sparsity/conv"] == [(9 + 4) / (18 + 8)]


def test_a_plain_model_has_nothing_to_log():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile("sgd", "mse", run_eagerly=True)
    assert set(fit(model, CompressionLogger())) == {"loss"}


def test_it_is_registered_with_keras():
    config = keras.saving.serialize_keras_object(CompressionLogger())
    assert config["registered_name"] == "edgeax>CompressionLogger"
    assert isinstance(keras.saving.deserialize_keras_object(config), CompressionLogger)
