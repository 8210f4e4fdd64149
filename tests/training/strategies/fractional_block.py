"""Prints "same" where replicas that choose for their own samples have equal weights."""

import keras
import numpy as np
import tensorflow as tf
from two import strategies

import edgeax
from edgeax.training.precision_gate import PrecisionGate
from tests.training.fractional_models import blocks_of, network

_, both = strategies()
x = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
with both.scope():
    model = network(PrecisionGate(target=(0.02, 0.03)), blocks=1)
    model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(8)
callback = edgeax.callbacks.ProgressivePrecision(10.0, epochs=2)
history = model.fit(data, epochs=4, verbose=0, callbacks=[callback]).history
assert history["precision_stage"] == [0, 0, 1, 1]
for variable in model.trainable_variables:
    one, two = [part.numpy() for part in variable.value.values]
    assert np.array_equal(one, two), variable.path
(block,) = blocks_of(model)
assert np.isclose(tf.reduce_sum(tf.convert_to_tensor(block.chosen.value)), 1.0)
print("same")
