"""Training steps of `benchmarks.on_device_training`, by the trainer or by TensorFlow.

    python -m benchmarks.children.drift_turns SIDE FILE BATCH STEPS [--peak]

SIDE: "trainer" trains FILE; "tensorflow" the network that it was exported from, on one thread, in
one graph that holds forward, backward and update. Without --peak it takes turns; with it, it makes
STEPS steps and prints the peak of memory of the process in KiB.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from benchmarks.children.run_file import peak_kib
from benchmarks.children.turns import take_turns

WARM_UP_STEPS = 5


def trainer_step(file: str, x: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    """Returns a step of the trainer."""
    from edgeax.runtime import Trainer

    trainer = Trainer(file, num_threads=1)
    return lambda: trainer.train_on_batch(x, y)


def tensorflow_step(x: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    """Returns a step of TensorFlow."""
    import tensorflow as tf

    from benchmarks.on_device_training import network, optimizer

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = network()
    model.compile(optimizer(), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    step = tf.function(model.train_step)
    data = (tf.constant(x), tf.constant(y))
    return lambda: float(step(data)["loss"])


def main(side: str, file: str, batch: str, steps: str, *flags: str) -> None:
    """Runs one side."""
    draw = np.random.default_rng(0)
    x = draw.random((int(batch), 28, 28, 1), np.float32)
    y = draw.integers(0, 10, int(batch)).astype(np.int32)
    step = trainer_step(file, x, y) if side == "trainer" else tensorflow_step(x, y)
    for _ in range(WARM_UP_STEPS):
        step()
    if "--peak" not in flags:
        take_turns(step, int(steps))
        return
    for _ in range(int(steps)):
        step()
    print(peak_kib())


if __name__ == "__main__":
    main(*sys.argv[1:])
