"""Channels spread apart: the same function, harder to round. It undoes what equalization does."""

import math
from typing import Any

import keras
import numpy as np

from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.graph import trace
from edgeax.post_training.pairs import Pair, find_pairs, write


def spread_channels(model: keras.Model, factor: float = 100.0, seed: int = 0) -> keras.Model:
    """Returns a copy of `model` that computes the same with channels of ranges far apart.

    Between two layers each channel is multiplied by a number of its own, log-uniform between
    1 / sqrt(factor) and sqrt(factor), and the next layer's kernel divided by it. Where a batch
    normalization follows the first layer, its gamma and beta are multiplied, so that its statistics
    stay true; the kernel is wide once it is folded. Pairs are those of `edgeax.equalize`.

    Args:
        model: Sequential or functional, not compressed.
        factor: Ratio of the largest to the smallest number, at least 1.
        seed: Of the numbers.
    """
    copies: dict[int, Any] = {}
    copy = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    pairs, _ = find_pairs(trace(copy))
    generator = np.random.default_rng(seed)
    reach = math.log(factor) / 2.0
    for pair in pairs:
        numbers = np.exp(generator.uniform(-reach, reach, pair.moved.size))
        if not pair.normalizations:
            pair.move(1.0 / numbers)
        elif _multiply_normalization(pair, numbers):
            pair.second.multiply_read(pair.repeated(1.0 / numbers))
    write(pairs)
    return copy


def _multiply_normalization(pair: Pair, numbers: np.ndarray) -> bool:
    """Multiplies what the last batch normalization between gives; returns whether it can."""
    normalization = pair.normalizations[-1]
    if not normalization.scale:
        return False
    repeats = normalization.gamma.shape[0] // numbers.size
    for variable in (normalization.gamma, normalization.beta):
        if variable is not None:
            variable.assign(np.asarray(variable) * np.tile(numbers, repeats))
    return True
