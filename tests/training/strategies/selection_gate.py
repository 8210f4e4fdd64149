"""Prints "same" where replicas that decide on their own batches have equal weights."""

import keras
import numpy as np
import tensorflow as tf
from two import strategies

from edgeax.training.selection_gate import SelectionGate
from edgeax.training.skip_aware import SkipAware
from tests.training.selective_models import blocks_of, network

_, strategy = strategies()
x = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)


class Same(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.before, self.skipped, self.kept = self.states(), set(), set()

    def states(self):
        return [[v.numpy() for v in block.block.variables] for block in blocks_of(self.model)]

    def on_train_batch_end(self, batch, logs=None):
        now = self.states()
        for old, new, block in zip(self.before, now, blocks_of(self.model), strict=True):
            same = all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))
            self.skipped.add(same)
            assert same == (float(block.kept.numpy()) == 0.0)
            self.kept.add(float(block.kept.numpy()))
        self.before = now


for gate in (SelectionGate, lambda **_: 0.5):
    with strategy.scope():
        model = network(gate(seed=1))
        optimizer = SkipAware(keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.1))
        model.compile(optimizer, "mse", jit_compile=False)
    same = Same()
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(8)
    model.fit(data, epochs=3, verbose=0, callbacks=[same])
    assert same.skipped == {True, False} and same.kept <= {0.0, 0.5, 1.0}
    for variable in model.trainable_variables:
        one, two = [part.numpy() for part in variable.value.values]
        assert np.array_equal(one, two), variable.path
print("same")
