"""Layers that remember: what a file can keep between runs, and how Keras is compared with it."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

from edgeax.export.recurrent import is_fused

_layers = keras.layers


def stateful_layers(model: keras.Model) -> list[keras.layers.RNN]:
    """Returns the recurrent layers of a model that keep their state between calls."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, _layers.RNN) and layer.stateful
    ]


def check_stateful(model: keras.Model) -> None:
    """Checks that a file can keep what a model keeps.

    Raises:
        ValueError: The model's batch is not the file's, or a layer other than LSTM keeps a state.
    """
    for layer in stateful_layers(model):
        batch = layer.states[0].shape[0] if layer.states else None
        if batch != 1:
            raise ValueError(
                "`model` must have batch 1 where it is stateful: the file's batch is 1. Received: "
                f"batch {batch} at {layer.name!r}. Build it with keras.Input(batch_shape=(1, ...)) "
                "and take the weights over by set_weights."
            )
        if not is_fused(layer):
            raise ValueError(
                "`model` must be stateful in LSTM layers of Keras's default activations only: no "
                f"other operator keeps a state. Received: {type(layer).__name__} {layer.name!r}. "
                "Use an LSTM, or pass the state as an input and an output."
            )


def predict_rows(model: keras.Model, rows: list[object], count: int) -> list[np.ndarray]:
    """Returns the outputs of a stateful model for each row from a cleared state.

    Args:
        model: Stateful, batch 1; its state is the same afterwards.
        rows: What the model is called with, one for each row.
        count: Number of outputs.
    """
    with _kept_state(model):
        outputs = []
        for row in rows:
            for layer in stateful_layers(model):
                layer.reset_state()
            outputs.append(keras.tree.flatten(model.predict_on_batch(row)))
    return [np.concatenate([output[index] for output in outputs]) for index in range(count)]


@contextlib.contextmanager
def _kept_state(model: keras.Model) -> Iterator[None]:
    """Puts back what the layers remember, whatever happens meanwhile."""
    states = [state for layer in stateful_layers(model) for state in layer.states]
    values = [keras.ops.convert_to_numpy(state) for state in states]
    try:
        yield
    finally:
        for state, value in zip(states, values, strict=True):
            state.assign(value)
