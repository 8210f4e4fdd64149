"""What a forward pass or a training step of a whole model tells the wrappers inside it.

A model that is called layer by layer has no graph to count calls in. So its training step says that
it is one, and its forward pass says which weights are transformed already.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any


class _Now(threading.local):
    """What holds in this thread: each replica of a strategy runs in one of its own."""

    taken: dict[int, int] | None = None
    training: bool | None = None
    given: frozenset[int] = frozenset()


_now = _Now()


@contextlib.contextmanager
def training_step() -> Iterator[None]:
    """Calls in here that do not say whether they are training are, and belong to one step."""
    before, _now.taken = _now.taken, {}
    try:
        yield
    finally:
        _now.taken = before


@contextlib.contextmanager
def called_with(training: bool | None) -> Iterator[None]:
    """Remembers what a model was called with that has no argument `training`."""
    before, _now.training = _now.training, training
    try:
        yield
    finally:
        _now.training = before


@contextlib.contextmanager
def weights_given(variables: Iterable[Any]) -> Iterator[None]:
    """In here these variables read as their transformed values already."""
    before, _now.given = _now.given, _now.given | {id(variable) for variable in variables}
    try:
        yield
    finally:
        _now.given = before


def is_given(variable: Any) -> bool:
    """Returns whether a variable reads as its transformed value already."""
    return id(variable) in _now.given


def is_training(training: bool | None) -> bool:
    """Returns whether transforms are trained by a call with this argument `training`."""
    if training is None:
        training = _now.training
    return _now.taken is not None if training is None else bool(training)


def advances(chain: Any, calls: int) -> bool:
    """Returns whether `calls` more calls of a chain belong to the step it has yet to do.

    A training step may run a model several times, for two images of a pair or for a generator and
    its critic. For the schedule of a weight it is one step all the same.
    """
    if _now.taken is None:
        return True
    taken = _now.taken.get(id(chain), 0)
    _now.taken[id(chain)] = taken + calls
    return taken < chain.uses
