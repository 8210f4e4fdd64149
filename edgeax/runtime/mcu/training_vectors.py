"""Samples, and what training on them must give: the vectors of a training program's test."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from edgeax.runtime.mcu.dense_training import DenseTraining
from edgeax.runtime.mcu.oracle_training import DenseOracle


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingVectors:
    """What the test of a training program compares with.

    Attributes:
        samples: What the inputs hold, one list per sample.
        labels: int32, `(samples,)`: their classes.
        losses: int32, `(steps,)`: the loss before every step, samples taking turns.
        saved: uint8: what `save` gives after the last step.
        scores: int8, `(samples, classes)`: the scores after the last step.
    """

    samples: Sequence[Sequence[np.ndarray]]
    labels: np.ndarray
    losses: np.ndarray
    saved: np.ndarray
    scores: np.ndarray


def training_vectors(
    layer: DenseTraining,
    samples: Sequence[Sequence[np.ndarray]],
    features: Sequence[np.ndarray],
    labels: np.ndarray,
    steps: int,
) -> TrainingVectors:
    """Trains the oracle of a layer.

    Args:
        layer: The layer.
        samples: What the inputs hold, one list per sample.
        features: What the layer reads then, int8 `(depth,)` each.
        labels: Their classes.
        steps: How many steps to take, samples taking turns.
    """
    oracle = DenseOracle(layer)
    order = [step % len(samples) for step in range(steps)]
    losses = [oracle.train(features[sample], int(labels[sample])) for sample in order]
    return TrainingVectors(
        samples=samples,
        labels=np.asarray(labels, np.int32),
        losses=np.array(losses, np.int32),
        saved=np.frombuffer(oracle.saved(), np.uint8),
        scores=np.stack([oracle.scores(codes) for codes in features]),
    )
