"""ProgressivePrecision: when a stage ends, what holds in it, and that a restart changes nothing."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.callbacks import ProgressivePrecision
from edgeax.training.progressive_precision import Progress, staged
from tests.training import small_models

X, Y = small_models.points(64)

# Sum of the first 8 losses 8.503, of the first 10 exactly 10.
LOSSES = [2.0, 1.5, 1.2, 0.803, 0.75, 0.75, 0.75, 0.75, 0.8, 0.697, 0.7, 0.71, 0.715, 0.7115]
LOSSES += [0.712, 0.708, 0.7075, 0.707, 0.71, 0.71, 0.71, 0.71, 0.71, 0.71, 0.71]
# After epoch 8: 0.053 from the latest, and 0.05 * 8.503 / 8 = 0.0531. After epoch 14: 0.0145, and
# 0.3 * 0.05 = 0.015, though the highest and the lowest are 0.018 apart. After epoch 19: 0.003, and
# 0.3**2 * 0.05 = 0.0045.
STAGES = [0] * 8 + [1] * 6 + [2] * 5 + [3] * 6


def small(**kwargs):
    model = edgeax.compress(small_models.mlp(), edgeax.Recipe(arithmetic="pfq"))
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", **kwargs)
    return model


def fitted(model, epochs=8, callbacks=(), **kwargs):
    callbacks = [ProgressivePrecision(threshold=10.0, epochs=2), *callbacks]
    settings = {"batch_size": 16, "shuffle": False, "verbose": 0, **kwargs}
    return model.fit(X, Y, epochs=epochs, callbacks=callbacks, **settings).history


def test_fyz20_a_trace_worked_out_by_hand():
    progress, found = Progress(), []
    for loss in LOSSES:
        found.append(progress.stage)
        progress = progress.after(loss, 0.05, 0.3, 5, 4)
        again = Progress.from_numbers(progress.as_numbers())
        assert again.losses == pytest.approx(progress.losses)
        assert again.first_losses == pytest.approx(progress.first_losses)
        progress = again
    assert found == STAGES


def test_fyz20_the_callback_follows_the_trace_and_moves_all_layers():
    model, callback = small(), ProgressivePrecision()
    callback.set_model(model)
    assert {int(one.stage.numpy()) for one in staged(model)} == {3} and len(staged(model)) == 6
    callback.on_train_begin()
    found = []
    for epoch, loss in enumerate(LOSSES):
        (stage,) = {int(one.stage.numpy()) for one in staged(model)}
        logs = {"loss": loss}
        callback.on_epoch_end(epoch, logs)
        assert logs["precision_stage"] == stage
        found.append(stage)
    assert found == STAGES


def test_a_loss_that_is_not_finite_is_passed_over():
    model, callback = small(), ProgressivePrecision()
    callback.set_model(model)
    callback.on_train_begin()
    found = []
    for epoch, loss in enumerate(LOSSES):
        found.append(int(staged(model)[0].stage.numpy()))
        for one in (loss, float("nan"), float("inf")):
            callback.on_epoch_end(epoch, {"loss": one})
    assert found == STAGES


def bits_now(model):
    return [one.current_bits(0) for one in staged(model)[:3]]


def test_a_stage_lasts_until_the_loss_rests():
    model = small()
    history = fitted(model)
    assert history["precision_stage"] == [0, 0, 1, 1, 2, 2, 3, 3]
    model = small()
    fitted(model, 2)
    assert sorted(bits_now(model)) == [4, 4, 6]
    fitted(model, 2)  # goes on
    assert sorted(bits_now(model)) == [6, 6, 8]


def test_several_steps_in_one_execution_change_nothing():
    plain, other = small(), small(steps_per_execution=3)
    stages = [fitted(model)["precision_stage"] for model in (plain, other)]
    assert stages[0] == stages[1]
    for one, same in zip(plain.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_step_that_xla_compiles_has_the_widths_of_its_stage():
    model = small(jit_compile=True)
    assert fitted(model, 3)["precision_stage"] == [0, 0, 1]
    compiled = model.predict(X, verbose=0)
    model.compile(jit_compile=False)
    np.testing.assert_allclose(model.predict(X, verbose=0), compiled, atol=1e-5)


@pytest.mark.parametrize("last", [2, 4])  # in the middle of a stage, and between two
def test_a_training_that_was_broken_off_goes_on_the_same(tmp_path, last):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == last + 1:
                raise KeyboardInterrupt

    whole = small()
    fitted(whole)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)

    with pytest.raises(KeyboardInterrupt):
        fitted(small(), callbacks=[backup(), Interrupt()])
    resumed = small()
    assert fitted(resumed, callbacks=[backup()])["precision_stage"] == [
        *[0, 0, 1, 1, 2, 2, 3, 3][last + 1 :]
    ]
    for one, same in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_back_up_that_was_written_before_it_saw_the_loss_is_told(tmp_path, epochs):
    def trained(last):
        backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        pair = [backup, ProgressivePrecision(threshold=10.0, epochs=2)]
        small().fit(X, Y, 16, last, verbose=0, callbacks=pair)

    trained(epochs)
    with pytest.warns(UserWarning, match=f"behind Prog.*without the loss of epoch {epochs - 1}"):
        trained(epochs + 1)


def test_a_saved_model_is_in_the_stage_that_it_was_in(tmp_path):
    model = small()
    fitted(model, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert bits_now(loaded) == bits_now(model)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_it_serializes():
    data = keras.saving.serialize_keras_object(ProgressivePrecision(0.15, 0.4, 6))
    again = keras.saving.deserialize_keras_object(data)
    assert again.get_config() == {"threshold": 0.15, "decay": 0.4, "epochs": 6}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"threshold": 0.0}, "`threshold`"),
        ({"decay": 1.5}, "`decay` must be at most 1"),
        ({"epochs": 1}, "`epochs` must be an integer, at least 2"),
        ({"epochs": 16}, "`epochs` at most 15"),
    ],
)
def test_bad_arguments_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        ProgressivePrecision(**arguments)


def test_a_model_without_stages_is_refused():
    model = small_models.mlp()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="must have something with stages in it"):
        model.fit(X, Y, verbose=0, callbacks=[ProgressivePrecision()])
