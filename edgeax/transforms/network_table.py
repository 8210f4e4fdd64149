"""One table over all layers of a network: how it is found, and how its copies stay one.

Each layer keeps a copy of the table, so that it can be saved, copied and frozen alone. In training
every copy gets the sum of the gradients of all: what begins equal and is moved alike stays equal.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

_Waiting = list[tuple["Sharer", np.ndarray]]

_waiting: contextvars.ContextVar[_Waiting | None] = contextvars.ContextVar("waiting", default=None)


class Sharer(Protocol):
    """What has a copy of the table, a Keras layer.

    Attributes:
        centroids: The copy.
        network: What copies of one table have in common; None for what shares no table.
    """

    centroids: keras.Variable

    @property
    def network(self) -> tuple[Any, ...] | None:
        """See the class."""

    def check_values(self, rows: np.ndarray) -> None:
        """Raises ValueError if there can be no table for values `(1, n)`."""

    def found_in(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the tables of values `(groups, n)`."""

    def place(self, centroids: Any) -> None:
        """Sets the table."""


@contextlib.contextmanager
def one_network() -> Iterator[None]:
    """In here layers that share a table wait for it, and get it at the end, found over all of them.

    Raises:
        ValueError: There can be no table for their weights.
    """
    waiting: _Waiting = []
    token = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(token)
    networks: dict[Any, _Waiting] = {}
    for sharer, values in waiting:
        networks.setdefault(sharer.network, []).append((sharer, values))
    tables = []
    for members in networks.values():
        values = np.concatenate([values.ravel() for _, values in members])[np.newaxis]
        first, _ = members[0]
        first.check_values(values)
        tables.append(np.asarray(first.found_in(tf.constant(values))))
    for members, table in zip(networks.values(), tables, strict=True):
        for sharer, _ in members:
            sharer.place(table)


def wait_for_table(sharer: Sharer, values: np.ndarray) -> None:
    """Notes that a table over a network has to stand for `values` too.

    Raises:
        ValueError: Nobody looks at a whole network.
    """
    waiting = _waiting.get()
    if waiting is None:
        raise ValueError(
            "`scope` must not be 'network' for a weight alone: its table is found over all layers "
            "of a model. Received: one weight. Initialize the layers together within "
            "one_network(), or set the table by place()."
        )
    waiting.append((sharer, values))


def copies_of(sharer: Any) -> list[Sharer]:
    """Returns who has a copy of the table of `sharer` in the model that is being called, itself
    among them, in an order that is the same for all.

    A copy that is not trained is nobody else's.
    """
    context = sharer._get_call_context()
    if context.entry_layer is sharer:  # Nobody else would end what was begun here.
        sharer._maybe_reset_call_context()
        return [sharer]
    found = [
        layer
        for layer in context.entry_layer._flatten_layers()
        if isinstance(layer, type(sharer))
        and layer.network == sharer.network
        and layer.built
        and layer.centroids.trainable
    ]
    return found if any(layer is sharer for layer in found) else [sharer]


@tf.custom_gradient
def as_one(own: tf.Tensor, *copies: tf.Tensor) -> tf.Tensor:
    """Returns `own`; each of the copies gets the whole gradient, `own` itself none."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        return (None, *[upstream] * len(copies))

    return tf.identity(own), gradient


def first_of(copies: list[Sharer]) -> tf.Tensor:
    """Returns the table that the others are set to: they cannot drift apart by rounding."""
    return tf.identity(copies[0].centroids.value)
