"""Train steps of `benchmarks.networks.fashion_cnn` as `fit` runs them, for paired timing.

Shared by the children of `benchmarks.fit_overhead`; only numpy and tensorflow are imported, the
Keras generation comes from the caller.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.children.turns import take_turns

DATA = Path(__file__).resolve().parents[2] / "demos" / "data" / "fashion_mnist_subset.npz"
WARM_UP_STEPS = 5


def take_training_turns(keras: ModuleType, model: Any) -> None:
    """Compiles the model as a user would and hands its train step to `take_turns`.

    Args:
        keras: The Keras generation that built `model`: `keras` or `tf_keras`.
        model: Uncompiled classifier of `(batch, 28, 28, 1)` images into 10 logits.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, required=True, help="timed steps per turn")
    parser.add_argument("--batch-size", type=int, required=True)
    arguments = parser.parse_args()
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    step = _train_step(model, arguments.batch_size)
    for _ in range(WARM_UP_STEPS):  # the first call traces
        step()
    take_turns(step, arguments.steps)


def _train_step(model: Any, batch_size: int) -> Callable[[], float]:
    """One step of the function that `fit` calls, on endless real data; returns the loss."""
    model.make_train_function()
    batches = iter(_dataset(batch_size))

    def step() -> float:
        return float(model.train_function(batches)["loss"])  # reading the loss waits for the step

    return step


def _dataset(batch_size: int) -> tf.data.Dataset:
    with np.load(DATA) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"]
    images = (images / 255.0).astype(np.float32)[..., np.newaxis]
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.shuffle(len(images), seed=0).repeat()
    return dataset.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
