"""Optimizers on the device: any Keras optimizer says in TensorFlow's operators what a step does.

The protocol is Keras's own: `build` makes the variables that it keeps of each weight, `variables`
lists them, and `apply` changes them and the weights. Here an optimizer is made ready to be traced.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def device_optimizer(optimizer: Any, weights: Sequence[keras.Variable]) -> Any:
    """Returns a new optimizer like another one for a training step on the device.

    What it holds of a schedule is the learning rate of now, and optimizers around it, which scale
    losses or mind skipped blocks, are taken off.

    Args:
        optimizer: A Keras optimizer. Not changed.
        weights: What it will train.

    Raises:
        ValueError: It is no Keras optimizer, gathers something over several steps, or has no
            learning rate to learn with.
    """
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            "`optimizer` must be a Keras optimizer, such as keras.optimizers.SGD(0.01) or one of "
            f"edgeax.optimizers. Received: {optimizer!r}."
        )
    for name in ("gradient_accumulation_steps", "use_ema"):
        if getattr(optimizer, name, None):
            raise ValueError(
                f"`optimizer` must gather nothing over several steps. Received: {name}="
                f"{getattr(optimizer, name)!r}. Leave it out for training on the device."
            )
    rate = learning_rate_of(optimizer)
    if not 0.0 < rate < math.inf:
        raise ValueError(
            "`optimizer` must have a learning rate that is finite and above 0. Received: "
            f"{type(optimizer).__name__} with {rate}. Make one for the device, such as "
            "keras.optimizers.SGD(0.01)."
        )
    settings = {**optimizer.get_config(), "learning_rate": rate}
    made = type(optimizer).from_config(settings)
    made.build(list(weights))
    return made


def learning_rate_of(optimizer: Any) -> float:
    """Returns the learning rate that an optimizer has now."""
    return float(np.asarray(keras.ops.convert_to_numpy(optimizer.learning_rate)))


def kept_variables(optimizer: Any) -> list[keras.Variable]:
    """Returns the variables that an optimizer keeps, all but its learning rate."""
    return [one for one in optimizer.variables if one is not optimizer.learning_rate]


def described(optimizer: Any) -> dict[str, Any]:
    """Returns the class of an optimizer and its numbers and switches, as JSON values."""
    settings = optimizer.get_config()
    plain = {key: value for key, value in settings.items() if isinstance(value, (int, float))}
    return {"class": type(optimizer).__name__, **plain}
