"""Whether a callback may set the learning rate of an optimizer."""

from typing import Any

import keras


def check_settable(model: keras.Model, name: str, given: Any) -> None:
    """Checks that the optimizer of a model has a number for a learning rate.

    Args:
        model: Compiled.
        name: Of the argument that would set it.
        given: The value of that argument.

    Raises:
        ValueError: It has a schedule.
    """
    if not isinstance(model.optimizer.learning_rate, keras.Variable):
        raise ValueError(
            f"`{name}` must be None where the optimizer has a schedule of its own. "
            f"Received: {name}={given}. Let the schedule hold these rates too, or give the "
            "optimizer a number, and use LearningRateScheduler for the others."
        )
