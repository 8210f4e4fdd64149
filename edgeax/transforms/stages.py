"""Stages of a training: what holds in each of them, such as the width of integer codes."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.transforms.base import Stateful, now
from edgeax.transforms.checks import checked_bits, checked_count

MOST_BITS = 16


@keras.saving.register_keras_serializable("edgeax")
class Stages(Stateful):
    """Knows in which stage a training is. `edgeax.callbacks.ProgressivePrecision` moves it on.

    Before that callback has begun, and without it, the last stage holds.

    Args:
        count: How many stages there are, at least 1.

    Attributes:
        stage: int32 variable, from 0 on.
        progress: float32 `(20,)` variable, what the callback must know to go on after a restart; 0
            before it has begun.

    Raises:
        ValueError: `count` is below 1.
    """

    def __init__(self, count: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count_of_stages = checked_count("count", count)

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates the variables; see `Stateful.bind`."""
        del shape
        last = keras.initializers.Constant(self.count_of_stages - 1)
        self.stage = self.state("stage", dtype="int32", initializer=last)
        self.progress = self.state("progress", [20])

    def enter(self, stage: int, progress: np.ndarray) -> None:
        """Goes to a stage, or to the last one where there are fewer.

        Args:
            stage: From 0 on.
            progress: Float32 `(20,)`, for the variable of that name.
        """
        self.stage.assign(min(int(stage), self.count_of_stages - 1))
        self.progress.assign(np.asarray(progress, np.float32))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"count": self.count_of_stages}


@keras.saving.register_keras_serializable("edgeax")
class BitStages(Stages):
    """Widths of integer codes, one for each stage of a training.

    Args:
        bits: The widths in order, each 2 to 16.

    Raises:
        ValueError: A width is out of its range, or there is none.

    Example: `Quantize("int8", bits=BitStages([3, 4, 6, 8]))`
    """

    def __init__(self, bits: Sequence[int], **kwargs: Any) -> None:
        if not isinstance(bits, (list, tuple)) or not bits:
            raise ValueError(
                f"`bits` must be a list of widths, such as [3, 4, 6, 8]. Received: bits={bits!r}."
            )
        super().__init__(len(bits), **kwargs)
        self.bits = [checked_bits(width, 2, MOST_BITS, "BitStages") for width in bits]

    @property
    def last_bits(self) -> int:
        """The width that it comes to."""
        return self.bits[-1]

    @property
    def settled_step(self) -> int:
        """Returns 0: no number of steps says when the last stage comes."""
        return 0

    def current_bits(self, step: int) -> int:
        """Returns the width that holds now, whatever the step."""
        del step
        return self.bits[int(now(self.stage))]

    def count(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the number of codes now, 2 to the power of the width, float32 scalar."""
        del step
        return tf.gather([2.0**width for width in self.bits], self.stage.value)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": list(self.bits)}
