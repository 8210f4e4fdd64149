"""A look at kernels before training: a format that rounds them to zero or lets no gradient through
makes a network that computes, trains, and learns nothing.
"""

import contextlib
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.wrapper import Compressed, slot_of
from edgeax.transforms.base import now
from edgeax.transforms.mask import Mask
from edgeax.transforms.quantize import Quantizer

MOST = 0.5
"""Fraction of a kernel above which it is said to be dead."""

MOST_OF_TERNARY = 0.75
"""The same for zeros of a format of three values, where about half of them are meant."""


def warn_of_dead_kernels(layer: Compressed) -> bool:
    """Warns of each kernel of a built layer that is rounded mostly to zero, or that hardly any
    gradient reaches.

    Weights that are zero themselves do not count, nor kernels that are pruned.

    Returns:
        Whether weights had values to look at. They have none while Keras works out shapes, nor in
        the graph that is the first to use them.
    """
    variables = [weight.variable for weight in layer.weight_chains]
    if any(getattr(variable, "_value", None) is None for variable in variables):
        return False
    is_traced = not tf.executing_eagerly()
    with tf.init_scope() if is_traced else contextlib.nullcontext():
        if not tf.executing_eagerly():
            return False
        if any(np.shape(now(variable)) != variable.shape for variable in variables):
            return False
        _look_at(layer, is_traced)
    return True


def _look_at(layer: Compressed, is_traced: bool) -> None:
    """Warns of the kernels of a layer whose weights have values."""
    for weight in layer.weight_chains:
        members = weight.chain.transforms
        quantizer = next((m for m in reversed(members) if isinstance(m, Quantizer)), None)
        if quantizer is None or slot_of(weight.variable.name) == "bias":
            continue
        if any(isinstance(member, Mask) for member in members):
            continue
        zeros, dead = _lost(weight.chain, weight.value(), is_traced)
        where = f"{weight.variable.name!r} of layer {layer.name!r}"
        if zeros > (MOST if _bits(quantizer) > 2 else MOST_OF_TERNARY):
            warnings.warn(
                f"{_name(quantizer)} rounds {zeros:.0%} of {where} to zero, where training can "
                "hardly begin. Give it more bits, one scale per output channel (axis=-1), or "
                "'ternary', whose threshold follows the mean of the weights.",
                stacklevel=3,
            )
        if dead > MOST and quantizer.moves_weights:
            warnings.warn(
                f"{_name(quantizer)} lets no gradient through to {dead:.0%} of {where}: these "
                "weights lie outside the range in which it has one, and will never change. "
                "Initialize or clip them (edgeax.constraints.WeightClip) within that range, or "
                "choose another estimator, as by Quantize(..., gradient='straight_through').",
                stacklevel=3,
            )


def _lost(chain: Any, value: np.ndarray, is_traced: bool) -> tuple[float, float]:
    """Returns which fractions of a weight, its zeros left out, become zero and get no gradient."""
    counted = value != 0.0
    if not counted.any():
        return 0.0, 0.0
    # Within `init_scope` no tape records; a function of its own has gradients without one.
    find = tf.function(_by_graph) if is_traced else _by_tape
    made, gradient = find(chain, tf.constant(value))
    zeros = keras.ops.convert_to_numpy(made)[counted] == 0.0
    return float(np.mean(zeros)), float(np.mean(gradient.numpy()[counted] == 0.0))


def _by_tape(chain: Any, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what a chain makes of a weight, and a gradient of that."""
    with tf.GradientTape() as tape:
        tape.watch(raw)
        made = chain.call(raw, training=False)
    gradient = tape.gradient(made, raw)
    return made, tf.zeros_like(raw) if gradient is None else gradient


def _by_graph(chain: Any, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the same in the function that is being traced."""
    made = chain.call(raw, training=False)
    (gradient,) = tf.gradients(made, raw)
    return made, tf.zeros_like(raw) if gradient is None else gradient


def _bits(quantizer: Quantizer) -> int:
    return int(getattr(getattr(quantizer, "number_format", None), "bits", 32))


def _name(quantizer: Quantizer) -> str:
    format = getattr(quantizer, "format", None)
    return repr(format) if isinstance(format, str) else type(quantizer).__name__
