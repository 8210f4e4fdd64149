"""Prints "same" where two replicas do what follows a step as one does."""

import keras
import numpy as np
import tensorflow as tf
from two import strategies

from edgeax.training.incremental_regularization import IncrementalRegularization
from edgeax.training.proximal import ProximalGroupLasso

one, both = strategies()


def trained(strategy):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(8, name="hidden"), keras.layers.Dense(1)]
        )
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    callbacks = [ProximalGroupLasso(0.5, "shape"), IncrementalRegularization(0.25, increment=0.02)]
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(16)
    model.fit(data, epochs=2, verbose=0, callbacks=callbacks)
    kernel = model.get_layer("hidden").kernel.value
    return [copy.numpy() for copy in strategy.experimental_local_results(kernel)]


(plain,) = trained(one)
first, second = trained(both)
assert np.array_equal(first, second) and np.allclose(first, plain, atol=1e-6), (plain, first)
assert (~plain.any(axis=0)).sum() == 2, plain
print("same")
