"""Trains a compressed model on one device, on two replicas, or as one of two workers.

Usage: program.py mirrored FILE none FILE, or program.py workers FILE. It writes the weights and the
losses of a run for each kind of ranges to an .npz file, with the kind and the weight's path as
names.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

import edgeax

layers = keras.layers

BATCH = 8
STEPS = 6
EPOCHS = 2


def make(ranges):
    """Returns a compiled model with transforms of every kind, some with a schedule.

    Args:
        ranges: Of activations: "fixed", or followed as a "moving_average".
    """
    activations = edgeax.Quantize("int8", range=(-8.0, 8.0) if ranges == "fixed" else ranges)
    keras.utils.set_random_seed(0)
    given = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(given)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(8, activation="tanh", name="hidden")(x)
    model = keras.Model(given, layers.Dense(3, name="head")(x))

    def rule(layer, prune):
        codes = [edgeax.Cluster(8, begin_step=2), edgeax.Quantize("int8", axis=-1)]
        return edgeax.Rule(layer, kernel=[prune, *codes], input=activations, output=activations)

    surgery = edgeax.DynamicSurgery(0.5, stop_step=20)
    recipe = edgeax.Recipe(
        [
            rule("conv", edgeax.Prune(edgeax.PolynomialDecay(0.0, 0.5, 0, 4, 1, 1))),
            rule("hidden", edgeax.GradualThreshold(0, 2, 6, percentile=60.0, frequency=1)),
            edgeax.Rule("head", kernel=[surgery, edgeax.Quantize("int4", axis=-1)]),
        ]
    )
    copy = edgeax.compress(model, recipe)
    copy.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", jit_compile=False)
    return copy


def data():
    """Returns batches of images and targets."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(BATCH * STEPS, 6, 6, 2)).astype(np.float32)
    targets = generator.normal(size=(BATCH * STEPS, 3)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((images, targets)).batch(BATCH)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


def strategy_of(name):
    """Returns a strategy, made before anything runs."""
    if name == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    if name == "workers":
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def step_by_step(strategy, model):
    """Trains by the model's own steps: Keras 3 cannot `fit` on several workers (issue 20585)."""
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)
    run = tf.function(lambda batch: strategy.run(model.train_step, args=(batch,)))
    losses = []
    for _ in range(EPOCHS):
        model.reset_metrics()
        for batch in strategy.experimental_distribute_dataset(data()):
            run(batch)
        losses.append(float(model.get_metrics_result()["loss"]))
    return losses


def main(name, file):
    """Trains once for each kind of ranges and writes what came out."""
    strategy = strategy_of(name)
    values = {"replicas": strategy.num_replicas_in_sync}
    for ranges in ("fixed", "moving_average"):
        with strategy.scope():
            model = make(ranges)
        if name == "workers":
            losses = step_by_step(strategy, model)
        else:
            losses = model.fit(data(), verbose=0, epochs=EPOCHS).history["loss"]
        values[f"{ranges}/losses"] = losses
        for variable in model.weights:
            value = tf.convert_to_tensor(variable.value).numpy()
            values[f"{ranges}/{variable.path}"] = value
    np.savez(file, **values)


if __name__ == "__main__":
    for place in range(1, len(sys.argv), 2):
        main(*sys.argv[place : place + 2])
        keras.utils.clear_session()  # names begin anew
