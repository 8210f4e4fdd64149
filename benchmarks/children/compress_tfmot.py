"""Child of `benchmarks.deep_compression`: a LeNet through TFMOT's pruning, clustering and int8.

The network is trained, pruned by magnitude, clustered with its zeros preserved, and rounded to int8
after training; each step has its epochs at a rate that falls along a cosine. Prints a line of JSON:
bytes of the file, bytes of it behind gzip, and its error.
"""

from __future__ import annotations

import argparse
import gzip
import json
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.clustering.keras import CentroidInitialization, strip_clustering
from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster
from tensorflow_model_optimization.sparsity import keras as sparsity

from benchmarks.networks import lenet_5, lenet_300_100
from benchmarks.shifts import shifted

BATCH = 128
SAMPLES = 512

NETWORKS = {"LeNet-300-100": lenet_300_100, "LeNet-5": lenet_5}


def learn(model: tf_keras.Model, x: Any, y: Any, epochs: int, rate: float, callbacks: Any) -> None:
    """Trains a model on images that are shifted at random before each epoch."""
    generator = np.random.default_rng(0)
    steps = len(x) // BATCH
    schedule = tf_keras.optimizers.schedules.CosineDecay(rate, epochs * steps, alpha=0.005)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.Adam(schedule), loss)
    for _ in range(epochs):
        order = generator.permutation(len(x))[: steps * BATCH]
        moved = shifted(x[order], generator)
        model.fit(moved, y[order], BATCH, shuffle=False, verbose=0, callbacks=callbacks)


def pruned(model: tf_keras.Model, sparsities: dict[str, float], steps: int) -> tf_keras.Model:
    """Returns a model that is pruned to these sparsities during so many steps."""

    def wrapped(layer: Any) -> Any:
        if layer.name not in sparsities:
            return layer
        ramp = sparsity.PolynomialDecay(0.0, sparsities[layer.name], 0, steps, frequency=50)
        return sparsity.prune_low_magnitude(layer, pruning_schedule=ramp)

    return tf_keras.models.clone_model(model, clone_function=wrapped)


def clustered(model: tf_keras.Model, clusters: int) -> tf_keras.Model:
    """Returns a model that is clustered with its zeros preserved."""
    return cluster.cluster_weights(
        model,
        number_of_clusters=clusters,
        cluster_centroids_init=CentroidInitialization.KMEANS_PLUS_PLUS,
        preserve_sparsity=True,
    )


def int8_file(model: tf_keras.Model, x: np.ndarray) -> bytes:
    """Returns the int8 file of a model."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in x[:SAMPLES])
    return converter.convert()


def error_of(content: bytes, x: np.ndarray, y: np.ndarray) -> float:
    """Returns the error of a file in per cent."""
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    wrong = 0
    for image, label in zip(x, y, strict=True):
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        wrong += int(interpreter.get_tensor(answer["index"]).argmax() != label)
    return 100.0 * wrong / len(x)


def main() -> None:
    """Trains, compresses and measures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=NETWORKS, required=True)
    parser.add_argument("--images", required=True, help="x, y, x_test and y_test, as npz")
    parser.add_argument("--sparsities", type=json.loads, required=True, help="by layer")
    parser.add_argument("--clusters", type=int, required=True)
    parser.add_argument("--epochs", type=json.loads, required=True, help="dense, pruned, clustered")
    arguments = parser.parse_args()
    tf_keras.utils.set_random_seed(1)
    data = np.load(arguments.images)
    x, y = data["x"], data["y"]
    dense, tuned, last = arguments.epochs
    model = NETWORKS[arguments.net](tf_keras)
    learn(model, x, y, dense, 1e-3, [])
    steps = tuned * (len(x) // BATCH)
    model = pruned(model, arguments.sparsities, steps // 3)
    learn(model, x, y, tuned, 2e-3, [sparsity.UpdatePruningStep()])
    model = clustered(sparsity.strip_pruning(model), arguments.clusters)
    learn(model, x, y, last, 1e-3, [])
    content = int8_file(strip_clustering(model), x)
    report = {
        "file_bytes": len(content),
        "gzip_bytes": len(gzip.compress(content)),
        "error_percent": error_of(content, data["x_test"], data["y_test"]),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
