"""Schedules: pure functions of the training step, computed in the graph.

Names and arguments are those of TensorFlow Model Optimization's pruning schedules.
"""

import abc
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_bits, checked_steps

_TEST = "tests/transforms/test_schedules.py::"


class Schedule(abc.ABC):
    """A value for every training step, and the steps at which it takes effect.

    Args:
        begin_step: First step at which the schedule acts, at least 0.
        end_step: Last step at which it acts; -1 means it never ends.
        frequency: It acts every `frequency` steps from `begin_step` on, at least 1.

    Raises:
        ValueError: A step is out of order or a count is below its minimum.
    """

    def __init__(self, begin_step: int, end_step: int, frequency: int) -> None:
        if begin_step < 0:
            raise ValueError(f"`begin_step` must be at least 0. Received: begin_step={begin_step}.")
        if end_step != -1 and end_step < begin_step:
            raise ValueError(
                "`end_step` must not lie before `begin_step` (-1 means it never ends). "
                f"Received: begin_step={begin_step}, end_step={end_step}."
            )
        if frequency < 1:
            raise ValueError(f"`frequency` must be at least 1. Received: frequency={frequency}.")
        self.begin_step = int(begin_step)
        self.end_step = int(end_step)
        self.frequency = int(frequency)

    @property
    @abc.abstractmethod
    def last_sparsity(self) -> float:
        """The sparsity that it comes to."""

    @property
    @abc.abstractmethod
    def settled_step(self) -> int:
        """How many training steps it takes to come to it."""

    @abc.abstractmethod
    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the value at `step` (int32 scalar) as a float32 scalar."""

    def acts(self, step: tf.Tensor) -> tf.Tensor:
        """Returns whether the schedule acts at `step`, a bool scalar."""
        turn = tf.equal((step - self.begin_step) % self.frequency, 0)
        due = tf.logical_and(step >= self.begin_step, turn)
        return due if self.end_step == -1 else tf.logical_and(due, step <= self.end_step)

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        """Returns the schedule that `get_config` described."""
        return cls(**config)


def check_sparsity(name: str, value: Any) -> float:
    """Returns `value` if it is a sparsity.

    Raises:
        ValueError: `value` does not lie in [0, 1).
    """
    if not isinstance(value, numbers.Real) or not 0.0 <= float(value) < 1.0:
        raise ValueError(
            f"`{name}` must lie in [0, 1): the fraction of weights that become zero. "
            f"Received: {name}={value!r}."
        )
    return float(value)


def check_sparsities(name: str, values: Any) -> list[float]:
    """Returns the sparsities of several rounds as a list; one alone is a list of one.

    Raises:
        ValueError: One is no sparsity, or they fall.
    """
    several = isinstance(values, Iterable) and not isinstance(values, str)
    given = list(values) if several else [values]
    shares = [check_sparsity(name, value) for value in given]
    if not shares or shares != sorted(shares):
        raise ValueError(
            f"`{name}` must hold at least one sparsity and must not fall. Received: {values!r}."
        )
    return shares


@keras.saving.register_keras_serializable("edgeax")
class ConstantSparsity(Schedule):
    """The same sparsity from `begin_step` on.

    Args:
        target_sparsity: Fraction of zeros, in [0, 1).
        begin_step: First step at which weights are pruned.
        end_step: Last step at which the choice is renewed; -1 for ever.
        frequency: Steps between two choices.
    """

    def __init__(
        self, target_sparsity: float, begin_step: int, end_step: int = -1, frequency: int = 100
    ) -> None:
        super().__init__(begin_step, end_step, frequency)
        self.target_sparsity = check_sparsity("target_sparsity", target_sparsity)

    @property
    def last_sparsity(self) -> float:
        """The sparsity that it comes to."""
        return self.target_sparsity

    @property
    def settled_step(self) -> int:
        """How many training steps it takes to come to it."""
        return self.begin_step + 1 if self.begin_step else 0

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the sparsity at `step`, float32 scalar."""
        del step
        return tf.constant(self.target_sparsity, tf.float32)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "target_sparsity": self.target_sparsity,
            "begin_step": self.begin_step,
            "end_step": self.end_step,
            "frequency": self.frequency,
        }


@keras.saving.register_keras_serializable("edgeax")
class PolynomialDecay(Schedule):
    """Sparsity that rises fast at first and slowly at the end.

    `final + (initial - final) * (1 - (step - begin) / (end - begin)) ** power`

    Args:
        initial_sparsity: Sparsity at `begin_step`, in [0, 1).
        final_sparsity: Sparsity from `end_step` on, in [0, 1).
        begin_step: Step at which pruning begins.
        end_step: Step at which the final sparsity is reached, after `begin_step`.
        power: Exponent of the polynomial, above 0.
        frequency: Steps between two choices. The last one always falls on `end_step`.
    """

    def __init__(
        self,
        initial_sparsity: float,
        final_sparsity: float,
        begin_step: int,
        end_step: int,
        power: float = 3,
        frequency: int = 100,
    ) -> None:
        if end_step <= begin_step:
            raise ValueError(
                "`end_step` must lie after `begin_step`: a decay needs an end. "
                f"Received: begin_step={begin_step}, end_step={end_step}. "
                "Use ConstantSparsity for a fixed sparsity."
            )
        super().__init__(begin_step, end_step, frequency)
        if power <= 0:
            raise ValueError(f"`power` must be above 0. Received: power={power}.")
        self.initial_sparsity = check_sparsity("initial_sparsity", initial_sparsity)
        self.final_sparsity = check_sparsity("final_sparsity", final_sparsity)
        self.power = float(power)

    @property
    def last_sparsity(self) -> float:
        """The sparsity that it comes to."""
        return self.final_sparsity

    @property
    def settled_step(self) -> int:
        """How many training steps it takes to come to it."""
        return self.end_step + 1

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the sparsity at `step`, float32 scalar."""
        span = float(self.end_step - self.begin_step)
        # What is left of the decay rather than what is done: it is exactly 0 at the end.
        left = tf.clip_by_value(tf.cast(self.end_step - step, tf.float32) / span, 0.0, 1.0)
        fall = self.initial_sparsity - self.final_sparsity
        return self.final_sparsity + fall * tf.pow(left, self.power)

    def acts(self, step: tf.Tensor) -> tf.Tensor:
        """Returns whether the schedule acts at `step`; it always does at `end_step`."""
        return tf.logical_or(super().acts(step), tf.equal(step, self.end_step))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "initial_sparsity": self.initial_sparsity,
            "final_sparsity": self.final_sparsity,
            "begin_step": self.begin_step,
            "end_step": self.end_step,
            "power": self.power,
            "frequency": self.frequency,
        }


@keras.saving.register_keras_serializable("edgeax")
class BitSchedule:
    """Widths of integer codes that change at given training steps.

    Args:
        bits: The widths in order, each 2 to 8.
        steps: The steps from which the second, third, ... width holds, growing from 0 or more.

    Raises:
        ValueError: A width or a step is out of its range, or their numbers do not fit.
    Example: `BitSchedule([8, 6, 4], [1000, 2000])`
    """

    def __init__(self, bits: Sequence[int], steps: Sequence[int]) -> None:
        if not isinstance(bits, (list, tuple)):
            raise ValueError(
                f"`bits` must be a list of widths, such as [8, 4]. Received: {bits!r}."
            )
        self.bits = [checked_bits(width, 2, 8, "BitSchedule") for width in bits]
        self.steps = checked_steps("steps", steps)
        if not self.bits or len(self.steps) != len(self.bits) - 1:
            raise ValueError(
                "`steps` must be one fewer than `bits`: the first width holds from step 0 on. "
                f"Received: bits={self.bits}, steps={self.steps}."
            )
        edges = [-1, *self.steps]
        if any(after <= before for before, after in zip(edges, edges[1:], strict=False)):
            raise ValueError(f"`steps` must grow from 0 or more. Received: steps={self.steps}.")

    @classmethod
    def linear(cls, start: int, end: int, begin_step: int, end_step: int) -> "BitSchedule":
        """Returns a schedule that changes the width by one at a time, evenly, after `begin_step`;
        `end` holds from `end_step` on.

        Raises:
            ValueError: The steps do not suffice, or a width is out of its range.
        """
        way = -1 if end < start else 1
        widths = list(range(start, end + way, way)) if start != end else [start]
        changes = len(widths) - 1
        if end_step - begin_step < changes or begin_step < 0:
            raise ValueError(
                f"`end_step` must lie at least {changes} steps behind `begin_step`, one for each "
                f"width. Received: begin_step={begin_step}, end_step={end_step}."
            )
        span = end_step - begin_step
        return cls(widths, [begin_step + span * n // changes for n in range(1, changes + 1)])

    @classmethod
    @implements("FGL21", test=_TEST + "test_fgl21_widths_rise_along_a_cosine_in_every_cycle")
    def cyclic(cls, low: int, high: int, period: int, cycles: int = 32) -> "BitSchedule":
        """Returns a schedule of cycles that each rise from `low` to `high` along half a cosine;
        `high` holds after the last one.

        `round(low + (high - low) / 2 * (1 - cos(pi * t / period)))` at step t of a cycle. For
        weights and activations; gradients keep the higher width. Source: [FGL21].

        Args:
            low: Width at the start of a cycle, 2 to 8.
            high: Width at its end, above `low`.
            period: Steps of a cycle, at least 1.
            cycles: How many, at least 1; with 32 of them `period` is a 32nd of all steps.

        Raises:
            ValueError: An argument is out of its range.
        """
        if high <= low or period < 1 or cycles < 1:
            raise ValueError(
                "`high` must be above `low`, and `period` and `cycles` at least 1. Received: "
                f"low={low}, high={high}, period={period}, cycles={cycles}."
            )
        turns = np.arange(period) / period
        cycle = np.rint(low + (high - low) / 2 * (1 - np.cos(np.pi * turns))).astype(int)
        widths = [*np.tile(cycle, cycles).tolist(), int(high)]
        changes = [0, *(np.flatnonzero(np.diff(widths)) + 1).tolist()]
        return cls([widths[step] for step in changes], changes[1:])

    @property
    def last_bits(self) -> int:
        """The width that it comes to."""
        return self.bits[-1]

    @property
    def settled_step(self) -> int:
        """How many training steps it takes to come to it."""
        return self.steps[-1] if self.steps else 0

    def current_bits(self, step: int) -> int:
        """Returns the width at a step."""
        return self.bits[sum(step >= change for change in self.steps)]

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the width at `step` (int32 scalar) as an int32 scalar."""
        return tf.gather(self.bits, self._place(step))

    def count(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the number of codes at `step`, 2 to the power of the width, float32 scalar."""
        return tf.gather([2.0**width for width in self.bits], self._place(step))

    def _place(self, step: tf.Tensor) -> tf.Tensor:
        reached = step >= tf.constant(self.steps, tf.int32)
        return tf.reduce_sum(tf.cast(reached, tf.int32))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BitSchedule":
        """Returns the schedule that `get_config` described."""
        return cls(**config)
