"""A small task, models that learn it, and one that knows it: what the tests of teaching share."""

import keras
import numpy as np

layers = keras.layers


def softmax(logits):
    powers = np.exp(np.float64(logits))
    return powers / powers.sum(axis=-1, keepdims=True)


def points(count=64, seed=0):
    """Returns float32 points `(count, 4)` and the largest of their first three coordinates."""
    x = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return x, x[:, :3].argmax(axis=1).astype(np.int32)


def mlp(units=8, activation="softmax", classes=3, seed=0, **kwargs):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(units, activation="relu", name="hidden", **kwargs),
            layers.Dense(classes, activation=activation, name="head"),
        ]
    )


@keras.saving.register_keras_serializable("tests")
class Counting(layers.Layer):
    """Counts the batches that pass, and which of them in training mode."""

    def build(self, input_shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.trained = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        self.count.assign_add(1.0)
        self.trained.assign_add(float(bool(training)))
        return x
