"""What a forward pass or a training step of a whole model tells the wrappers inside it.

A model that is called layer by layer has no graph to count calls in. So its training step says that
it is one, and its forward pass says which weights are transformed already.
"""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

# Gets a wrapper or a chain, and the tensor that comes to it.
Watcher = Callable[[Any, Any], None]


class _Now(threading.local):
    """What holds in this thread: each replica of a strategy runs in one of its own."""

    taken: dict[int, int] | None = None
    training: bool | None = None
    given: frozenset[int] = frozenset()
    calls: int = 0
    watcher: Watcher | None = None
    unrounded: bool = False
    still_rounded: Any = None


_now = _Now()

# What was made in a forward pass: by the pass, then the id of its maker, the graph and the result.
_made: weakref.WeakKeyDictionary[Any, dict[int, tuple[Any, Any]]] = weakref.WeakKeyDictionary()


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


@contextlib.contextmanager
def inside_a_call() -> Iterator[None]:
    """In here Keras itself sees to the forward pass."""
    _now.calls += 1
    try:
        yield
    finally:
        _now.calls -= 1


@contextlib.contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """In here `watcher` sees what comes to each wrapped layer, its inputs as they are transformed,
    and to each chain of an activation.
    """
    before, _now.watcher = _now.watcher, watcher
    try:
        yield
    finally:
        _now.watcher = before


def show(owner: Any, tensor: Any) -> None:
    """Shows a tensor that comes to `owner` to whoever watches."""
    if _now.watcher is not None:
        _now.watcher(owner, tensor)


@contextlib.contextmanager
def unrounded(but: Any = None) -> Iterator[None]:
    """In here wrapped layers compute as they would without any transform, all or all but one."""
    before = _now.unrounded, _now.still_rounded
    _now.unrounded, _now.still_rounded = True, but
    try:
        yield
    finally:
        _now.unrounded, _now.still_rounded = before


def is_unrounded(layer: Any) -> bool:
    """Returns whether a wrapped layer computes without transforms."""
    return _now.unrounded and _now.still_rounded is not layer


def once(layer: keras.layers.Layer, maker: Any, make: Callable[[bool], Any]) -> Any:
    """Returns what was made in this forward pass already, or makes it.

    A pass is the call of the outermost layer or model of Keras. It may leave a graph for another,
    such as that of a loop, in which the results of the first are out of reach.

    Args:
        layer: The layer that is being called.
        maker: For whom it is made.
        make: Makes it; is told whether that is for the first time in this pass.
    """
    this_pass = layer._get_call_context()
    if this_pass.entry_layer is layer:
        if not _now.calls:  # Somebody calls `call`: nobody else would end what was begun here.
            layer._maybe_reset_call_context()
        return make(True)
    made = _made.setdefault(this_pass, {})
    graph = tf.compat.v1.get_default_graph()
    found = made.get(id(maker))
    if found is not None and found[0] is graph:
        return found[1]
    result = make(found is None)
    made[id(maker)] = graph, result
    return result


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
