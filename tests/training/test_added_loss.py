"""Terms that callbacks add to the loss of a model in plain `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.added_loss import AddedLoss, kernels_of

layers = keras.layers

X = np.float32([[1.0], [2.0], [3.0], [4.0]])
Y = np.zeros((4, 1), np.float32)


class SumOfKernels(AddedLoss):
    """Adds the sum of all weights of all kernels: its gradient is 1."""

    def term(self, step):
        return tf.add_n([tf.reduce_sum(kernel.value) for kernel in kernels_of(step.model)])


def zero_loss(y_true, y_pred):
    return 0.0 * keras.ops.sum(y_pred, axis=-1)


def model_of(**compile):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False)])
    model.layers[0].kernel.assign([[2.0]])
    model.compile(keras.optimizers.SGD(0.25), zero_loss, **compile)
    return model


def kernel(model):
    return float(kernels_of(model)[0].numpy().ravel()[0])


def trained(model, callbacks, **fit):
    fit = {"epochs": 1, "batch_size": 4, "verbose": 0, **fit}
    return model.fit(X, Y, callbacks=callbacks, **fit).history


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"jit_compile": True},
        {"run_eagerly": True},
        {"steps_per_execution": 2},
        {"steps_per_execution": 2, "run_eagerly": True},
    ],
)
def test_each_step_moves_a_weight_by_the_gradient_of_the_term(settings):
    model = model_of(**settings)
    trained(model, [])  # traced without it
    assert kernel(model) == 2.0
    history = trained(model, [SumOfKernels()], batch_size=2, validation_data=(X, Y))
    assert kernel(model) == 1.5  # two steps of 0.25
    assert history["loss"] == [1.875] and history["val_loss"] == [0.0]
    trained(model, [])
    assert kernel(model) == 1.5


def test_sample_weights_do_not_scale_it_and_several_add_up():
    model = model_of()
    trained(model, [SumOfKernels(), SumOfKernels()], sample_weight=np.full(4, 7.0))
    assert kernel(model) == 1.5


def test_the_models_own_losses_stay():
    model = model_of()
    model.layers[0].kernel.regularizer = keras.regularizers.L2(0.5)  # gradient w
    history = trained(model, [SumOfKernels()])
    assert kernel(model) == 2.0 - 0.25 * (2.0 + 1.0)
    assert history["loss"] == [0.5 * 4.0 + 2.0]


def test_it_begins_with_its_epoch():
    model = model_of()
    history = trained(model, [SumOfKernels(begin_epoch=2)], epochs=4)
    assert kernel(model) == 1.5
    assert history["loss"] == [0.0, 0.0, 2.0, 1.75]
    trained(model, [SumOfKernels(begin_epoch=5)], initial_epoch=5, epochs=6)
    assert kernel(model) == 1.25


class OwnLoss(keras.Model):
    """A model with a loss of its own that takes no `training`."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return 2.0 * keras.ops.sum(self.trainable_variables[0])


def test_a_loss_of_the_users_own_is_kept():
    given = keras.Input((1,))
    model = OwnLoss(given, layers.Dense(1, use_bias=False)(given))
    model.compile(keras.optimizers.SGD(0.25))
    model.trainable_variables[0].assign([[2.0]])
    history = trained(model, [SumOfKernels()], validation_data=(X, Y))
    assert kernel(model) == 2.0 - 0.25 * 3.0
    assert history["loss"] == [6.0] and history["val_loss"] == [2.5]
    assert "compute_loss" not in vars(model)


def test_a_loss_that_the_user_gave_one_model_is_kept():
    model = model_of()

    def mine(x, y, y_pred, sample_weight, training):
        return keras.ops.sum(model.trainable_variables[0])

    model.compute_loss = mine
    model.make_train_function(force=True)
    trained(model, [SumOfKernels()])
    assert kernel(model) == 1.5
    assert model.compute_loss is mine


class NoLoss(keras.Model):
    def train_step(self, data):
        return {"loss": keras.ops.zeros(())}


def test_a_train_step_without_compute_loss_is_refused():
    given = keras.Input((1,))
    model = NoLoss(given, layers.Dense(1)(given))
    model.compile("sgd", zero_loss)
    with pytest.raises(ValueError, match=r"compute_loss.*NoLoss"):
        trained(model, [SumOfKernels()])


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def test_an_interrupted_fit_leaves_nothing_behind_for_the_next():
    model, term = model_of(), SumOfKernels()
    with pytest.raises(KeyboardInterrupt):
        trained(model, [term, Stop()])
    assert kernel(model) == 1.75
    trained(model, [])
    assert kernel(model) == 1.75
    with pytest.raises(KeyboardInterrupt):
        trained(model, [term, Stop()])
    model.train_on_batch(X, Y)
    assert kernel(model) == 1.5
    with pytest.raises(KeyboardInterrupt):
        trained(model, [term, Stop()])
    trained(model, [term])
    assert kernel(model) == 1.0
    assert not {"train_step", "compute_loss", "make_train_function"} & set(vars(model))


class WithTape(SumOfKernels):
    wants_tape = True


def test_what_is_compiled_anew_after_an_interruption_stays():
    for settings, expected in (({}, True), ({"jit_compile": False}, False)):
        model = model_of(jit_compile=True)
        with pytest.raises(KeyboardInterrupt):
            trained(model, [WithTape(), Stop()])
        assert model.jit_compile is False
        if settings:
            model.compile(keras.optimizers.SGD(0.25), zero_loss, **settings)
        trained(model, [])
        assert model.jit_compile is expected and kernel(model) == 1.75


class Unfreeze(keras.callbacks.Callback):
    """What users do between epochs: change what is trained and have the step made anew."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.make_train_function(force=True)


def test_a_step_made_anew_in_between_keeps_it():
    model = model_of()
    trained(model, [SumOfKernels(), Unfreeze()], epochs=2)
    assert kernel(model) == 1.5


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(1, use_bias=False)

    def call(self, x):
        return self.dense(x)


def subclassed():
    model = Subclassed()
    model(X)
    return model


def nested():
    inner = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False)])
    given = keras.Input((1,))
    return keras.Model(given, inner(given))


def compressed():
    return edgeax.compress(nested(), ["int8"])


@pytest.mark.parametrize("make", [subclassed, nested, compressed])
def test_kernels_are_found_in_models_of_every_kind(make):
    model = make()
    model.compile(keras.optimizers.SGD(0.25), zero_loss)
    (found,) = kernels_of(model)
    found.assign([[2.0]])
    trained(model, [SumOfKernels()])
    assert kernel(model) == 1.75


@keras.saving.register_keras_serializable("test_added_loss")
class SavedSubclass(Subclassed):
    pass


def test_kernels_are_found_in_a_compressed_subclassed_model():
    plain = SavedSubclass()
    plain(X)
    model = edgeax.compress(plain, ["int8"])
    model.compile(keras.optimizers.SGD(0.25), zero_loss)
    kernels_of(model)[0].assign([[2.0]])
    trained(model, [SumOfKernels()])
    assert kernel(model) == 1.75


def test_replicas_of_a_strategy_count_it_once():
    script_devices = tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in script_devices[:1]])
    with strategy.scope():
        model = model_of()
    trained(model, [SumOfKernels()])
    assert kernel(model) == 1.75


def test_a_model_without_a_trained_kernel_is_refused():
    model = model_of()
    model.trainable = False
    with pytest.raises(ValueError, match="no trainable"):
        kernels_of(model)


@pytest.mark.parametrize("epoch", [-1, 0.5])
def test_a_bad_epoch_is_refused(epoch):
    with pytest.raises(ValueError, match="`begin_epoch` must be an integer"):
        SumOfKernels(epoch)
