"""MinibatchDropping: which steps run, what the others leave alone, and what the logs say."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.training.minibatch_dropping import MinibatchDropping
from edgeax.training.slimming import SlimmingL1
from tests.training import replicas
from tests.training.small_models import Counting

layers = keras.layers


def model_of(**compile):
    """A model whose only weight falls by 0.1 times the mean of the batch's x in each step."""
    model = keras.Sequential(
        [keras.Input((1,)), Counting(), layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    compile = {"optimizer": keras.optimizers.SGD(0.1), **compile}
    model.compile(loss=lambda y_true, y_pred: keras.ops.sum(y_pred, axis=-1), **compile)
    return model


def numbered(steps=40):
    """Batches of one sample: the x of batch i is 2**-i, so that a sum tells which were used."""
    return np.float32(2.0) ** -np.arange(steps, dtype=np.float32).reshape(steps, 1)


class Recorder(keras.callbacks.Callback):
    """Notes the logs of each batch."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(dict(logs))


def fit(model, callback, x=None, y=None, **settings):
    x = numbered() if x is None else x
    y = np.zeros_like(x) if y is None and isinstance(x, np.ndarray) else y
    settings = {"batch_size": 1, **settings} if isinstance(x, np.ndarray) else settings
    record = Recorder()
    callbacks = [callback, record, *settings.pop("callbacks", [])]
    history = model.fit(x, y, shuffle=False, verbose=0, callbacks=callbacks, **settings)
    return history.history, record.logs


def kernel(model):
    return float(model.layers[-1].kernel.numpy().ravel()[0])


def which_ran(logs):
    ran = np.diff([0, *(entry["steps_run"] for entry in logs)])
    return [bool(step) for step in ran]


SETTINGS = [{}, {"jit_compile": True}, {"run_eagerly": True}]


@pytest.mark.parametrize("settings", SETTINGS)
def test_wjc19_a_half_of_the_steps_compute_nothing(settings):
    model = model_of(**settings)
    history, logs = fit(model, MinibatchDropping(0.5, seed=3))
    ran = which_ran(logs)
    assert 10 < sum(ran) < 30
    assert history["steps_seen"] == [40.0] and history["steps_run"] == [float(sum(ran))]
    assert int(model.layers[0].count.numpy()) == sum(ran)  # the forward pass
    assert int(model.optimizer.iterations.numpy()) == sum(ran)  # the update
    used = numbered().ravel()[ran]
    assert kernel(model) == pytest.approx(1.0 - 0.1 * used.sum(), abs=1e-6)  # exactly those batches


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("steps", [3, 16, 64])
def test_each_step_of_an_execution_is_dropped_on_its_own(settings, steps):
    alone, together = model_of(**settings), model_of(steps_per_execution=steps, **settings)
    history, _ = fit(alone, MinibatchDropping(0.5, seed=3))
    expected = kernel(alone)
    other, _ = fit(together, MinibatchDropping(0.5, seed=3))
    assert kernel(together) == expected
    assert other["steps_run"] == history["steps_run"] and other["steps_seen"] == [40.0]
    assert int(together.layers[0].count.numpy()) == history["steps_run"][0]
    assert other["loss"] == pytest.approx(history["loss"])


def test_momentum_does_not_move_in_a_dropped_step():
    model = model_of(optimizer=keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01))
    callback = MinibatchDropping(0.5, seed=3)
    _, logs = fit(model, callback)
    weight, momentum = 1.0, 0.0
    for x in numbered().ravel()[which_ran(logs)]:
        weight -= weight * 0.01 * 0.1
        momentum = 0.9 * momentum - 0.1 * x
        weight += momentum
    assert kernel(model) == pytest.approx(weight, abs=1e-5)


def test_metrics_count_the_batches_that_ran_alone():
    model = model_of(optimizer=keras.optimizers.SGD(0.0))
    history, logs = fit(model, MinibatchDropping(0.5, seed=3))
    ran = which_ran(logs)
    assert history["loss"] == pytest.approx([numbered().ravel()[ran].mean()], rel=1e-5)
    first = ran.index(True)
    assert first and all("loss" not in entry for entry in logs[:first])  # nothing to tell yet
    assert all("loss" in entry for entry in logs[first:])


def test_an_epoch_without_a_step_has_no_metrics_of_training():
    x = numbered(2)
    history, _ = fit(model_of(), MinibatchDropping(0.999), x, validation_data=(x, x))
    assert "loss" not in history and history["val_loss"] == pytest.approx([0.75])
    assert history["steps_run"] == [0.0]


class _Batches(keras.utils.PyDataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        x = numbered()[index : index + 1]
        return x, np.zeros_like(x)


def _generator():
    for x in numbered():
        yield x.reshape(1, 1), np.zeros((1, 1), np.float32)


DATA = {
    "PyDataset": _Batches,
    "generator": _generator,
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices((numbered(), numbered())).batch(1),
    "unknown": lambda: (
        tf.data.Dataset.from_tensor_slices((numbered(), numbered()))
        .filter(lambda x, y: True)
        .batch(1)
    ),
}


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("kind", DATA)
def test_every_kind_of_data_drops_the_same_batches(kind, steps):
    expected = model_of()
    fit(expected, MinibatchDropping(0.5, seed=3))
    model = model_of(steps_per_execution=steps)
    history, _ = fit(model, MinibatchDropping(0.5, seed=3), DATA[kind]())
    assert kernel(model) == pytest.approx(kernel(expected), abs=1e-7)
    assert history["steps_seen"] == [40.0]


def test_a_last_batch_of_another_size_is_a_step_as_others():
    model = model_of(steps_per_execution=4)
    history, _ = fit(
        model, MinibatchDropping(0.2, seed=1), np.ones((10, 1), "float32"), batch_size=4
    )
    assert history["steps_seen"] == [3.0]
    assert int(model.optimizer.iterations.numpy()) == history["steps_run"][0]


def test_epochs_seeds_and_later_trainings_drop_other_batches():
    model, patterns = model_of(), []
    callback = MinibatchDropping(0.5, seed=3)
    for _ in range(2):  # a second `fit` begins at epoch 0 again
        _, logs = fit(model, callback, epochs=2)
        first = [entry for entry in logs[:40]]
        patterns += [which_ran(first), which_ran(logs[40:])]
    _, logs = fit(model_of(), MinibatchDropping(0.5, seed=4))
    patterns.append(which_ran(logs))
    assert len({tuple(pattern) for pattern in patterns}) == 5


def test_rate_is_the_share_that_is_dropped():
    history, _ = fit(
        model_of(steps_per_execution=500), MinibatchDropping(0.25), np.ones((2000, 1), "float32")
    )
    assert history["steps_run"][0] / 2000 == pytest.approx(0.75, abs=0.03)


def test_rate_zero_is_the_training_without_it():
    model, plain = model_of(), model_of()
    fit(model, MinibatchDropping(0.0))
    plain.fit(numbered(), numbered(), batch_size=1, shuffle=False, verbose=0)
    assert kernel(model) == kernel(plain)


@pytest.mark.parametrize("steps", [1, 8])
def test_a_broken_off_training_goes_on_as_if_it_had_not_been(tmp_path, steps):
    whole = model_of(optimizer=keras.optimizers.Adam(0.1), steps_per_execution=steps)
    fit(whole, MinibatchDropping(0.5, seed=3), epochs=4)

    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    backup = lambda: keras.callbacks.BackupAndRestore(tmp_path / "backup")  # noqa: E731
    first = model_of(optimizer=keras.optimizers.Adam(0.1), steps_per_execution=steps)
    with pytest.raises(KeyboardInterrupt):
        fit(first, MinibatchDropping(0.5, seed=3), epochs=4, callbacks=[backup(), Break()])
    second = model_of(optimizer=keras.optimizers.Adam(0.1), steps_per_execution=steps)
    history, _ = fit(second, MinibatchDropping(0.5, seed=3), epochs=4, callbacks=[backup()])
    assert len(history["steps_run"]) == 2
    assert kernel(second) == kernel(whole)


class _Raise(keras.callbacks.Callback):
    def __init__(self, when):
        super().__init__()
        setattr(self, when, self._raise)

    def _raise(self, batch, logs=None):
        if batch == 3:
            raise RuntimeError("of another callback")


@pytest.mark.parametrize("when", ["on_train_batch_begin", "on_train_batch_end"])
def test_it_is_gone_after_another_callback_raised(when):
    model = model_of()
    with pytest.raises(RuntimeError, match="of another callback"):
        fit(model, MinibatchDropping(0.9, seed=3), callbacks=[_Raise(when)])
    before = int(model.optimizer.iterations.numpy())
    model.fit(numbered(), numbered(), batch_size=1, verbose=0)
    assert int(model.optimizer.iterations.numpy()) - before == 40
    assert not callable(vars(model).get("make_train_function"))


def test_it_is_gone_after_fit():
    model = model_of()
    fit(model, MinibatchDropping(0.9))
    assert "make_train_function" not in vars(model)
    model.train_on_batch(numbered(1), numbered(1))
    before = int(model.optimizer.iterations.numpy())
    model.fit(numbered(), numbered(), batch_size=1, verbose=0)
    assert int(model.optimizer.iterations.numpy()) - before == 40


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("steps", [1, 4])
def test_it_runs_beside_a_callback_that_changes_the_step(first, steps):
    model = keras.Sequential(
        [keras.Input((1,)), layers.BatchNormalization(), layers.Dense(1, use_bias=False)]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", steps_per_execution=steps)
    pair = [MinibatchDropping(0.5, seed=3), SlimmingL1(0.5)]
    pair = pair if first else pair[::-1]
    for _ in range(2):
        history = model.fit(numbered(), numbered(), batch_size=1, verbose=0, callbacks=pair).history
        assert 10 < history["steps_run"][0] < 30
    assert not {"train_step", "make_train_function"} & set(vars(model))


def test_two_replicas_drop_together():
    replicas.run("minibatch_dropping")


def test_epochs_and_epoch_schedules_are_stretched():
    smd = MinibatchDropping(0.5, stretch=4 / 3)
    assert smd.compute_ratio == pytest.approx(2 / 3)
    assert smd.epochs(60) == 80
    rate = smd.epoch_schedule(lambda epoch, rate: (epoch, rate))
    assert [rate(epoch, 0.1) for epoch in (0, 1, 2, 3, 4)] == [
        *((0, 0.1), (0, 0.1), (1, 0.1), (2, 0.1), (3, 0.1))
    ]
    decay = keras.optimizers.schedules.PiecewiseConstantDecay([4], [1.0, 0.5])
    assert float(smd.schedule(decay)(2)) == 1.0 and float(smd.schedule(decay)(3)) == 0.5


def test_the_settings_go_round():
    item = MinibatchDropping(0.25, 7, 2.0)
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()


def test_a_rate_of_numpy_is_one():
    assert MinibatchDropping(np.float32(0.5)).rate == 0.5


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), "half", None])
def test_a_rate_outside_of_its_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"`rate` must lie in \[0, 1\)"):
        MinibatchDropping(rate)
