"""StretchedSchedule: a learning rate by the steps that a training with dropped batches has seen."""

import numbers
from typing import Any

import keras
from keras import ops

from edgeax.transforms.checks import checked_positive


def checked_rate(value: Any) -> float:
    """Returns `value` if that share of batches can be dropped.

    Raises:
        ValueError: It lies outside [0, 1).
    """
    if not isinstance(value, numbers.Real) or not 0.0 <= float(value) < 1.0:
        raise ValueError(f"`rate` must lie in [0, 1): some batches must stay. Received: {value!r}.")
    return float(value)


@keras.saving.register_keras_serializable("edgeax")
class StretchedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Reads a schedule at the step of a training without dropping that has come.

    An optimizer counts the steps that ran. Of `n` of them, `n / (1 - rate)` were seen, and these
    stand for `n / ((1 - rate) * stretch)` steps without dropping.

    Args:
        schedule: A `keras.optimizers.schedules.LearningRateSchedule`.
        rate: Share of steps that are dropped, in [0, 1).
        stretch: How many steps are seen for each of the training without dropping, above 0.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(self, schedule: Any, rate: float = 0.5, stretch: float = 1.0) -> None:
        super().__init__()
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise ValueError(
                "`schedule` must be a keras.optimizers.schedules.LearningRateSchedule. Received: "
                f"{schedule!r}. A function of the epoch goes to `epoch_schedule`."
            )
        self.schedule = schedule
        self.rate = checked_rate(rate)
        self.stretch = checked_positive("stretch", stretch)

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate at a step that runs, counted from 0."""
        per_run = 1.0 / ((1.0 - self.rate) * self.stretch)
        return self.schedule(ops.cast(step, "float32") * per_run)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "rate": self.rate, "stretch": self.stretch}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "StretchedSchedule":
        """Returns the schedule that `get_config` described."""
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["rate"], config["stretch"])
