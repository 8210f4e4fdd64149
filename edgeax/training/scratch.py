"""From scratch: is a pruned network worth more than its shape? Train the shape anew and see."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model.copying import clone, fresh_copy
from edgeax.model.graph import is_nested
from edgeax.model.macs import macs
from edgeax.model.rewrite import check_model, compile_like
from edgeax.model.wrapper import Compressed

_MOST_TIMES = 2.0

PROTOCOLS = ("scratch-E", "scratch-B")


def reinitialized(model: keras.Model) -> keras.Model:
    """Returns a copy of a model with new first weights; a compressed one keeps its masks.

    The copy is compiled as the model is. Set a seed by `keras.utils.set_random_seed`.

    Args:
        model: Sequential or functional, compressed or plain.

    Raises:
        ValueError: The model has no graph.
    """
    check_model(model)
    made: dict[int, Any] = {}
    copy = clone(model, fresh_copy, made)
    for layer in _layers(model):
        if isinstance(layer, Compressed):
            for old, new in zip(layer.chains, made[id(layer)].chains, strict=True):
                new.set_weights(old.get_weights())
    compile_like(copy, model)
    return copy


@implements(
    "LSZ19", test="tests/training/test_scratch.py::test_lsz19_budgets_are_those_worked_out_by_hand"
)
def scratch_epochs(
    epochs: int, model: keras.Model, pruned: keras.Model, protocol: str = "scratch-B"
) -> int:
    """Returns for how many epochs a pruned network is trained from scratch, for a fair comparison.

    `"scratch-E"` gives it the epochs of the large one. `"scratch-B"` gives it the multiply-
    accumulates: more epochs in the ratio of the two, at most twice as many. Compare the accuracy
    with that of the pruned and fine-tuned network.

    Source: [LSZ19].

    Args:
        epochs: That the large network was trained for, at least 1.
        model: The large network.
        pruned: The small one, from `edgeax.remove_channels`; with masks alone it computes as much.
        protocol: `"scratch-E"` or `"scratch-B"`.

    Raises:
        ValueError: An argument is out of its range.

    Example: `reinitialized(small).fit(x, y, epochs=scratch_epochs(40, large, small))`
    """
    if epochs < 1:
        raise ValueError(f"`epochs` must be at least 1. Received: epochs={epochs}.")
    if protocol not in PROTOCOLS:
        raise ValueError(f"`protocol` must be one of {PROTOCOLS}. Received: protocol={protocol!r}.")
    if protocol == "scratch-E":
        return int(epochs)
    ratio = sum(macs(model).values()) / sum(macs(pruned).values())
    return math.floor(epochs * min(max(ratio, 1.0), _MOST_TIMES) + 1e-9)


@implements("SH16", test="tests/training/test_scratch.py::test_sh16_dropout_shrinks_with_the_root")
def retraining_dropout(rate: float, left: float) -> float:
    """Returns the rate of dropout for a pruned layer, `rate * sqrt(left)`.

    A pruned layer has less to drop: retrained at the old rate it would learn too little.

    Source: [SH16].

    Args:
        rate: At which the dense network was trained, in [0, 1).
        left: Share of the layer's weights that pruning left, in (0, 1].

    Raises:
        ValueError: An argument is out of its range.
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"`rate` must lie in [0, 1). Received: rate={rate}.")
    if not 0.0 < left <= 1.0:
        raise ValueError(
            f"`left` must lie in (0, 1]: the share of weights that is left. Received: left={left}."
        )
    return float(rate * np.sqrt(left))


def _layers(model: keras.Model) -> Iterator[Any]:
    for layer in model._flatten_layers(include_self=False):
        if not is_nested(layer):
            yield layer
