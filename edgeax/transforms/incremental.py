"""Incremental: weights are rounded for good in a few rounds, the largest first."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Float32, NumberFormat, arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.methods import implements
from edgeax.formats.names import deserialized, format_of, serialized
from edgeax.transforms.base import now
from edgeax.transforms.checks import checked_steps
from edgeax.transforms.prune import magnitude_mask
from edgeax.transforms.quantize import Quantizer


@implements(
    "ZYG17",
    test="tests/transforms/test_incremental.py::test_zyg17_the_largest_go_first_and_to_powers_of_two",
)
@keras.saving.register_keras_serializable("edgeax")
class Incremental(Quantizer):
    """Rounds a growing fraction of the weights for good and trains the rest to make up for it.

    At `steps[i]` the largest magnitudes among the weights still free are rounded until a fraction
    `fractions[i]` of all is. What they were rounded to is kept: whatever momentum or weight decay
    make of their variable, they never change again, and get no gradient. Params of the format are
    found in the weights of the first of these steps.

    Source: [ZYG17].

    Args:
        steps: Training steps of the rounds, growing.
        fractions: Of weights rounded after each round, growing, in (0, 1], the last one 1.
        format: Name of a number format, or one of `edgeax.formats` with one scale per tensor; the
            paper has powers of two in 5 bits.

    Raises:
        ValueError: An argument is out of its range, or the format needs more than one scale or
            moves its own values.
    """

    weights_only = True
    keeps_zero = False
    moves_weights = False  # what is rounded already

    def __init__(
        self,
        steps: Sequence[int],
        fractions: Sequence[float] = (0.5, 0.75, 0.875, 1.0),
        format: str | NumberFormat = "pow2_5",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.steps = checked_steps("steps", steps)
        self.fractions = [float(fraction) for fraction in fractions]
        if not _grows(self.steps) or not self.steps or self.steps[0] < 0:
            raise ValueError(f"`steps` must grow from 0 or more. Received: steps={self.steps}.")
        if len(self.steps) != len(self.fractions):
            raise ValueError(
                "`fractions` must be as many as `steps`. Received: "
                f"fractions={self.fractions} for steps={self.steps}."
            )
        if not _grows(self.fractions) or self.fractions[0] <= 0 or self.fractions[-1] != 1.0:
            raise ValueError(
                "`fractions` must grow within (0, 1] and end with 1, so that training ends with "
                f"all weights in the format. Received: fractions={self.fractions}."
            )
        self.format = format
        found = format_of(format) if isinstance(format, str) else format
        if not isinstance(found, ArrayFormat) or getattr(found, "axis", None) is not None:
            raise ValueError(
                "`format` must be a number format that rounds by itself with one scale per tensor, "
                f"such as 'pow2_5'. Received: format={format!r}."
            )
        if not _rounds_own_values(found):
            raise ValueError(
                "`format` must leave its own values where they are, for frozen weights to stay. "
                f"Received: format={format!r}, which does not. Use 'pow2_5', 'ternary' or 'log4'."
            )
        self.number_format: ArrayFormat = found

    def build(self, shape: Sequence[int]) -> None:
        """Creates what is frozen, its values, and the params found in the first round."""
        self.frozen = self.state("frozen", shape, dtype="bool")
        self.values = self.state("values", shape)
        example = self.number_format.found(np.zeros(shape, np.float32), arrays)
        self.params = {
            name: self.state(name, np.shape(value), dtype=np.asarray(value).dtype.name)
            for name, value in example.items()
        }

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` with the rounded weights at their values; see `Transform.call`."""
        if renew is not None:
            due = tf.logical_and(renew, tf.reduce_any(tf.equal(step, self.steps)))
            self._round(tf.stop_gradient(tensor), step, due)
        return tf.where(self.frozen.value, tf.stop_gradient(self.values.value), tensor)

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Does the first round if it is due at step 0."""
        self._round(tensor, tf.constant(0), tf.constant(self.steps[0] == 0))
        return super().initialize(tensor)

    def _round(self, tensor: tf.Tensor, step: tf.Tensor, due: tf.Tensor) -> None:
        """Freezes more weights if that is due."""
        frozen, values = self.frozen.value, self.values.value
        known = {name: variable.value for name, variable in self.params.items()}

        def more() -> list[tf.Tensor]:
            found = self.number_format.found(tensor, keras.ops)
            is_first = tf.logical_not(tf.reduce_any(frozen))
            params = {name: tf.where(is_first, found[name], known[name]) for name in known}
            rounded = self.number_format.rounded(tensor, params, keras.ops)
            # What is frozen counts as largest, so that it stays so.
            free = tf.reduce_sum(tf.where(tf.equal(step, self.steps), self.fractions, 0.0))
            ranked = tf.where(frozen, np.float32(np.inf), tensor)
            now_frozen = magnitude_mask(ranked, 1.0 - free)
            return [now_frozen, tf.where(frozen, values, rounded), *params.values()]

        def same() -> list[tf.Tensor]:
            return [tf.identity(value) for value in (frozen, values, *known.values())]

        variables = (self.frozen, self.values, *self.params.values())
        for variable, value in zip(variables, tf.cond(due, more, same), strict=True):
            variable.assign(tf.ensure_shape(value, variable.shape))

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes, or in floats while some weights are not yet rounded."""
        value = np.where(now(self.frozen), now(self.values), tensor.decode())
        if not now(self.frozen).all():
            return EncodedTensor(value, Float32(), {}, tensor.mask)
        params = {name: now(variable) for name, variable in self.params.items()}
        codes = self.number_format.encode(value, params)
        return EncodedTensor(codes, self.number_format, params, tensor.mask)

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`: the last round must be done."""
        return self.steps[-1] + 1

    def at_once(self) -> "Incremental":
        """Returns it with all weights rounded at step 0."""
        return type(self)([0], [1.0], self.format)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        format = self.format
        return {
            "steps": self.steps,
            "fractions": self.fractions,
            "format": format if isinstance(format, str) else serialized(format),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Incremental":
        """Returns what `get_config` described."""
        format = config["format"]
        if isinstance(format, dict):
            format = deserialized(format)
        return cls(**{**config, "format": format})


def _rounds_own_values(format: ArrayFormat) -> bool:
    """Returns whether a format rounds its own values to themselves."""
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    params = format.fit(x)
    values = format.rounded(x, params, arrays)
    return bool(np.array_equal(values, format.rounded(values, params, arrays)))


def _grows(values: Sequence[float]) -> bool:
    return all(before < after for before, after in zip(values, values[1:], strict=False))
