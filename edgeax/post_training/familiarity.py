"""Whether samples look like what a model was trained with."""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.batch_norm import inputs_of_plain_layer, normalizations_of

_FAR = 10.0  # standard deviations


def warn_of_unfamiliar_samples(model: keras.Model, batch: Any) -> None:
    """Warns where the first batch normalization gets values far from those of training, as it does
    when samples are in 0 to 255 and the training was in 0 to 1.

    Args:
        model: Plain; one without batch normalization tells nothing.
        batch: Samples as the model takes them.
    """
    found = normalizations_of(model)
    inputs = inputs_of_plain_layer(model, found[0], batch) if found else []
    if not inputs:
        return
    layer = found[0]
    values = np.moveaxis(np.asarray(tf.cast(inputs[0], tf.float32), np.float64), layer.axis, -1)
    mean = values.reshape(-1, values.shape[-1]).mean(0)
    deviation = np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    distance = float(np.median(np.abs(mean - np.asarray(layer.moving_mean)) / deviation))
    if distance > _FAR:
        warnings.warn(
            "`samples` should be inputs like those of the training. Received: some for which the "
            f"mean at {layer.name!r} is {distance:.0f} standard deviations from what it was then. "
            "Scale them as they were scaled.",
            stacklevel=3,
        )
