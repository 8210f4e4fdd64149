"""Prints "same" where two replicas drop the batches that one drops."""

import keras
import numpy as np
import tensorflow as tf
from two import strategies

from edgeax.training.minibatch_dropping import MinibatchDropping

one, both = strategies()


def trained(strategy, steps):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
        model.compile(optimizer, "mse", jit_compile=False, steps_per_execution=steps)
    x = np.random.default_rng(0).normal(size=(160, 4)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :2])).batch(8)
    callbacks = [MinibatchDropping(0.5, seed=3)]
    counts = model.fit(data, epochs=2, verbose=0, callbacks=callbacks).history["steps_run"]
    return counts, model.layers[0].kernel.numpy()


plain = trained(one, 1)
for steps in (1, 8):
    counts, kernel = trained(both, steps)
    assert counts == plain[0] and np.allclose(kernel, plain[1], atol=1e-6), (plain, counts, kernel)
print("same")
