"""Trains a small network under each of some arithmetics on two devices of this machine.

Usage: arithmetic.py NAME... It prints a line for each: how many of its variables differ between the
replicas, and the loss before and after.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

import edgeax


def main(names):
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in names:
        train(name, strategy)


def train(name, strategy):
    keras.utils.set_random_seed(0)
    recipe = edgeax.Recipe(arithmetic=name)
    with strategy.scope():
        model = keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(5, "relu"), keras.layers.Dense(2)]
        )
        model = edgeax.compress(model, recipe)
        optimizer = keras.optimizers.SGD(0.1, 0.9)
        model.compile(edgeax.optimizers.loss_scaled(optimizer, recipe.loss_scale), "mse")
    x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :2])).batch(16)
    losses = model.fit(data, epochs=8, verbose=0).history["loss"]
    differing = 0
    for variable in [*model.weights, *model.optimizer.variables]:
        first, *others = strategy.experimental_local_results(variable.value)
        differing += any(not np.array_equal(first.numpy(), other.numpy()) for other in others)
    print(differing, losses[0], losses[-1])


if __name__ == "__main__":
    main(sys.argv[1:])
