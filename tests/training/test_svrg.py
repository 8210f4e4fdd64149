"""SVRG: the corrected gradient, what it leaves alone, and that a broken off training goes on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.callbacks import SVRG
from edgeax.model.copying import compressed_layers
from edgeax.optimizers import HALP
from tests.model import small_models as normalized
from tests.training import least_squares, replicas
from tests.training.small_models import mlp, points

SGD = keras.optimizers.SGD


def by_numpy(data, rate, epochs, refresh, begin=0):
    """Returns the weights that the paper's formula comes to."""
    x, y = np.float64(data[0]), np.float64(data[1])
    w = np.zeros((x.shape[1], 1))
    for epoch in range(epochs):
        if epoch >= begin and (epoch - begin) % refresh == 0:
            anchor, full = w, least_squares.gradient(x, y, w)
        for start in range(0, len(x), least_squares.BATCH):
            batch = [a[start : start + least_squares.BATCH] for a in (x, y)]
            step = least_squares.gradient(*batch, w)
            if epoch >= begin:
                step = step - least_squares.gradient(*batch, anchor) + full
            w = w - rate * step
    return w


@pytest.mark.parametrize(
    "settings", [{}, {"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 3}]
)
def test_jz13_a_step_is_corrected_by_the_gradients_at_the_anchor(settings):
    data = least_squares.problem()
    model = least_squares.model(SGD(0.05), **settings)
    # Batches for the whole gradient are none of those of `fit`, and the last one is smaller.
    svrg = SVRG(data, refresh_epochs=2, batch_size=24)
    found = least_squares.fit(model, data, svrg, epochs=3)
    np.testing.assert_allclose(found, by_numpy(data, 0.05, 3, 2), atol=1e-5)
    assert not np.allclose(found, by_numpy(data, 0.05, 3, 1), atol=1e-3)


def test_jz13_there_is_no_variance_at_the_optimum():
    data = least_squares.problem()
    best = least_squares.optimum(*data)

    def moved(*callbacks):
        model = least_squares.model(SGD(0.05), best)
        return np.abs(least_squares.fit(model, data, *callbacks, epochs=3) - best).max()

    assert moved() > 0.02 and moved(SVRG(data)) < 1e-6


def test_correction_begins_at_its_epoch():
    data = least_squares.problem()
    found = least_squares.fit(
        least_squares.model(SGD(0.05)), data, SVRG(data, begin_epoch=1), epochs=3
    )
    np.testing.assert_allclose(found, by_numpy(data, 0.05, 3, 1, begin=1), atol=1e-5)


def test_the_loss_that_is_shown_is_that_of_the_batches():
    data = least_squares.problem()

    def losses(*callbacks):
        model = least_squares.model(SGD(0.0), np.ones((4, 1)))
        return model.fit(*data, verbose=0, callbacks=[*callbacks]).history["loss"]

    assert losses(SVRG(data)) == losses()


class _Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, place):
        x, y = least_squares.problem()
        return x[32 * place : 32 * (place + 1)], y[32 * place : 32 * (place + 1)]


class Subclassed(keras.Model):
    """Its call knows no training mode."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")

    def call(self, x):
        return self.dense(x)


def test_a_subclassed_model_trains_too():
    x, y = least_squares.problem()
    model = Subclassed()
    model.compile(SGD(0.05), "mse")
    with pytest.raises(ValueError, match="`model` must be built before `fit` with SVRG"):
        model.fit(x, y, verbose=0, callbacks=[SVRG((x, y))])
    model(x[:1])
    losses = model.fit(x, y, 8, 3, verbose=0, callbacks=[SVRG((x, y))]).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_every_kind_of_data_gives_the_same_gradient():
    x, y = least_squares.problem()
    kinds = [
        (x, y),
        (x, y, np.ones(len(x), np.float32)),
        _Batches(),
        tf.data.Dataset.from_tensor_slices((x, y)).batch(20),
        [(x[:5], y[:5]), (x[5:], y[5:])],
    ]
    for data in kinds:
        svrg = SVRG(data)
        weights = data[2] if isinstance(data, tuple) and len(data) == 3 else None
        model = least_squares.model(SGD(0.0), np.ones((4, 1)))
        least_squares.fit(model, (x, y), svrg, sample_weight=weights)
        expected = least_squares.gradient(x, y, np.ones((4, 1)))
        np.testing.assert_allclose(svrg._gradients[0].numpy(), expected, rtol=1e-4)
    weights = np.float32(np.arange(len(x)))
    svrg = SVRG((x, y, weights))
    model = least_squares.model(SGD(0.0), np.ones((4, 1)))
    least_squares.fit(model, (x, y), svrg, sample_weight=weights)
    rows = 2 * weights[:, None] * (x @ np.ones((4, 1)) - y)
    expected = x.T @ rows / len(x) + 2 * least_squares.L2
    np.testing.assert_allclose(svrg._gradients[0].numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight", None])
def test_a_loss_that_is_no_mean_over_samples_is_refused(reduction):
    x, y = least_squares.problem()
    model = least_squares.model(SGD(0.05))
    model.compile(SGD(0.05), keras.losses.MeanSquaredError(reduction=reduction))
    with pytest.raises(ValueError, match=f"`loss` must be a mean.*reduction={reduction!r}"):
        model.fit(x, y, verbose=0, callbacks=[SVRG((x, y))])
    assert not model.get_weights()[0].any()


def test_weights_of_samples_must_be_those_of_the_data():
    x, y = points(32)
    weights = np.where(y == 1, 2.0, 1.0).astype(np.float32)
    model = mlp()
    model.compile(SGD(0.05), "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="`fit` with weights, `data` without"):
        model.fit(x, y, class_weight={0: 1.0, 1: 2.0}, verbose=0, callbacks=[SVRG((x, y))])
    with pytest.raises(ValueError, match="`fit` without weights, `data` with"):
        model.fit(x, y, verbose=0, callbacks=[SVRG((x, y, weights))])
    svrg = SVRG((x, y, weights))
    model.fit(x, y, 32, class_weight={0: 1.0, 1: 2.0}, verbose=0, callbacks=[svrg])
    assert int(model.optimizer.iterations) == 1


def test_batch_normalizations_do_not_learn_from_the_anchor():
    images = normalized.images(32)

    def statistics(*callbacks):
        model = normalized.two_normalizations()
        model.compile(SGD(0.0), "mse")
        targets = np.zeros((32, *model.output_shape[1:]), np.float32)
        callbacks = [make((images, targets)) for make in callbacks]
        model.fit(images, targets, 8, shuffle=False, verbose=0, callbacks=callbacks)
        return [v.numpy() for v in model.non_trainable_weights]

    for one, same in zip(statistics(SVRG), statistics(), strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-6)


def test_a_compressed_model_counts_its_own_steps_alone():
    x, y = points(64)
    model = edgeax.compress(mlp(), edgeax.Recipe(arithmetic="swalp"))
    model.compile(SGD(0.05), "sparse_categorical_crossentropy")
    losses = model.fit(x, y, 16, 4, verbose=0, callbacks=[SVRG((x, y))]).history["loss"]
    assert losses[-1] < losses[0]
    chains = [chain for layer in compressed_layers(model) for chain in layer.chains]
    assert {chain.step for chain in chains} == {16}


def test_exponents_follow_the_gradients_of_the_step_alone():
    x, y = points(32)

    def seen(*callbacks):
        model = edgeax.compress(mlp(), edgeax.Recipe(arithmetic="flexpoint"))
        model.compile(SGD(0.05), "sparse_categorical_crossentropy")
        model.fit(x, y, 16, 2, verbose=0, callbacks=[*callbacks])
        return [int(v.numpy()) for v in model.weights if v.name == "seen"]

    found = seen(SVRG((x, y)))
    assert found == seen() and min(found) == 4


@pytest.mark.parametrize("make, steps", [(lambda: SGD(0.05, 0.9), 4), (lambda: HALP(0.05), 1)])
def test_a_broken_off_training_goes_on_as_if_it_had_not_been(tmp_path, make, steps):
    data = least_squares.problem()

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:  # its anchor holds for another epoch
                raise KeyboardInterrupt

    def train(*callbacks):
        model = least_squares.model(make(), steps_per_execution=steps)
        try:
            least_squares.fit(model, data, SVRG(data, refresh_epochs=2), *callbacks, epochs=5)
        except KeyboardInterrupt:
            pass
        return model.get_weights()[0]

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    whole = train()
    train(backup(), Break())
    np.testing.assert_array_equal(train(backup()), whole)


def test_two_replicas_train_as_one():
    replicas.run("svrg")


def test_it_serializes_without_data():
    made = SVRG(([1.0], [1.0]), 3, 7, 1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert again.get_config() == made.get_config() and again.data is None


def test_bad_data_are_told():
    x, y = least_squares.problem()
    fit, model = least_squares.fit, lambda: least_squares.model(SGD(0.1))
    with pytest.raises(ValueError, match="`data` must be what `fit` trains on"):
        fit(model(), (x, y), SVRG())
    endless = tf.data.Dataset.from_tensors((x, y)).repeat()
    with pytest.raises(ValueError, match="`data` must end.*before `repeat`"):
        fit(model(), (x, y), SVRG(endless))
    with pytest.raises(ValueError, match="`data` must hold samples.*no sample"):
        fit(model(), (x, y), SVRG([]))
    with pytest.raises(ValueError, match="`data` must hold samples.*not finite"):
        fit(model(), (x, y), SVRG((x, y * np.nan)))
    with pytest.raises(ValueError, match="refresh_epochs=0"):
        SVRG((x, y), refresh_epochs=0)
