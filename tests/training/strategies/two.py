"""Two logical devices, and a small network trained on one or on both."""

import functools

import keras
import numpy as np
import tensorflow as tf


@functools.cache
def strategies():
    """Returns the plain strategy and one with two replicas."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def trained(strategy, optimizer, callbacks, change=lambda model: model, **settings):
    """Returns the weights after three epochs.

    Args:
        strategy: Under which the model is made.
        optimizer: Makes the optimizer.
        callbacks: Makes the callbacks, from x and y.
        change: What becomes of the model before it is compiled.
    """
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(6, "tanh"), keras.layers.Dense(2)]
        )
        model = change(model)
        model.compile(optimizer(), "mse", jit_compile=False, **settings)
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :2])).batch(8)
    model.fit(data, epochs=3, verbose=0, callbacks=callbacks(x, x[:, :2]))
    return [tf.convert_to_tensor(v.value).numpy() for v in model.weights]


def check_same(ours, theirs):
    """Asserts equal weights, but for what sums in another order make of floats."""
    for one, other in zip(ours, theirs, strict=True):
        assert np.allclose(one, other, atol=1e-5), (one, other)
