"""Samples, and what training on them must give: the vectors of a training program's test."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from edgeax.runtime.mcu.oracle_training import Oracle
from edgeax.runtime.mcu.training_program import Training


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingVectors:
    """What the test of a training program compares with.

    Attributes:
        samples: What the inputs hold, one list per sample.
        wanted: int32, `(samples,)`: their classes; or int8, `(samples, outputs)`: their targets.
        losses: int32, `(steps,)`: the loss before every step, samples taking turns.
        saved: uint8: what `save` gives after the last step.
        outputs: int8, `(samples, outputs)`: the outputs after the last step.
    """

    samples: Sequence[Sequence[np.ndarray]]
    wanted: np.ndarray
    losses: np.ndarray
    saved: np.ndarray
    outputs: np.ndarray


def training_vectors(
    training: Training,
    samples: Sequence[Sequence[np.ndarray]],
    wanted: np.ndarray,
    steps: int,
) -> TrainingVectors:
    """Trains the oracle of a model.

    Args:
        training: The step of training.
        samples: What the inputs hold, one list per sample.
        wanted: Their classes, or their targets.
        steps: How many steps to take, samples taking turns.
    """
    oracle = Oracle(training)
    needed = samples[: max(steps, 1)]
    features = [oracle.features(sample) for sample in needed]
    order = [step % len(samples) for step in range(steps)]
    losses = [oracle.train(samples[at], features[at], wanted[at]) for at in order]
    return TrainingVectors(
        samples=needed,
        wanted=wanted[: len(needed)],
        losses=np.array(losses, np.int32),
        saved=np.frombuffer(oracle.saved(), np.uint8),
        outputs=np.stack([oracle.outputs(*pair) for pair in zip(needed, features, strict=True)]),
    )
