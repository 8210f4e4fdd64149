"""What callbacks do to a model right behind the optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.training.after_step import AfterStep
from tests.training import replicas

layers = keras.layers

X = np.float32([[1.0], [2.0], [3.0], [4.0]])


class Halve(AfterStep):
    """Halves the kernel after each step, and notes the learning rates of the steps in a sum."""

    def prepare(self):
        self.rates = tf.Variable(0.0)

    def after_step(self, done):
        kernel = done.model.layers[0].kernel
        kernel.assign(kernel.value / 2.0)
        self.rates.assign_add(done.learning_rate)


def model_of(optimizer=None, **compile):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False)])
    model.layers[0].kernel.assign([[2.0]])

    def slope_of_one(y_true, y_pred):  # its gradient by the kernel is 1 for a batch of x = 1
        return keras.ops.sum(y_pred, axis=-1)

    model.compile(optimizer or keras.optimizers.SGD(0.25), slope_of_one, **compile)
    return model


def trained(model, callbacks, steps=2, **fit):
    x = np.ones((steps, 1), np.float32)
    model.fit(x, x, batch_size=1, callbacks=callbacks, verbose=0, **fit)
    return float(model.layers[0].kernel.numpy()[0, 0])


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
def test_it_comes_after_every_step_and_before_the_next(settings):
    # (2 - 0.25) / 2 = 0.875; (0.875 - 0.25) / 2 = 0.3125
    model = model_of(**settings)
    assert trained(model, [Halve()]) == 0.3125
    assert trained(model, [], steps=1) == 0.0625
    assert not {"train_step", "compute_loss", "make_train_function"} & set(vars(model))


def test_it_begins_with_its_epoch_and_adds_nothing_to_the_loss():
    model, callback = model_of(), Halve(begin_epoch=1)
    x = np.ones((1, 1), np.float32)
    history = model.fit(x, x, epochs=2, verbose=0, callbacks=[callback]).history
    assert history["loss"] == [2.0, 1.75]
    assert float(model.layers[0].kernel.numpy()[0, 0]) == 0.75


def test_the_learning_rate_is_that_of_the_step():
    falling = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [0.5, 0.25, 0.125])
    callback = Halve()
    trained(model_of(keras.optimizers.SGD(falling)), [callback], steps=3)
    assert float(callback.rates) == 0.5 + 0.25 + 0.125


def test_gathered_gradients_are_no_step():
    callback = Halve()
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=2)
    trained(model_of(optimizer), [callback], steps=4)
    assert float(callback.rates) == 2 * 0.5


def test_a_loss_scale_passes_the_learning_rate_on():
    callback = Halve()
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5))
    trained(model_of(optimizer), [callback], steps=2)
    assert float(callback.rates) == 1.0


def test_replicas_of_a_strategy_do_it_once():
    device = tf.config.list_logical_devices("CPU")[0].name
    strategy = tf.distribute.MirroredStrategy([device])
    with strategy.scope():
        model = model_of()
    assert trained(model, [Halve()], steps=1) == 0.875


def test_two_replicas_end_where_one_does():
    replicas.run("after_step")
