"""Prune: weights, or groups of them, that become zero and stay zero."""

import numbers
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_choice
from edgeax.transforms.mask import ChosenMask
from edgeax.transforms.schedules import ConstantSparsity, Schedule
from edgeax.transforms.structures import NofM, Structure, blocks_of, structure_of

CRITERIA = ("l1", "l2")

_SH16 = "tests/transforms/test_prune.py::test_sh16_the_smallest_magnitudes_become_zero"


@implements("SH16", test=_SH16)
@implements(
    "LKD17", test="tests/transforms/test_prune.py::test_lkd17_filters_of_smallest_l1_norm_go"
)
@keras.saving.register_keras_serializable("edgeax")
class Prune(ChosenMask):
    """Sets the weights of smallest magnitude to zero, more of them as a schedule goes on.

    Every `frequency` steps of the schedule its share of groups with the smallest mean magnitude is
    chosen anew. A pruned weight is zero in every forward pass and gets no gradient until a later
    choice brings it back.

    Source: [SH16]; whole filters by their l1 norm: [LKD17].

    Args:
        schedule: A `Schedule`, or a sparsity in [0, 1) for `ConstantSparsity(sparsity, 0)`. None
            for the sparsity of a structure that has one, such as `"2:4"`.
        block: `(channels, inputs)`: (1, 4) prunes four neighbouring inputs of one output channel
            together. A kernel's inputs are its leading axes in order (height, width, channel). A
            block that sticks out over the edge has the mean magnitude of the weights it holds.
        structure: Which weights go together, instead of `block`: `"element"`, `"row"`, `"kernel"`,
            `"filter"` (an output channel), `"channel"` (an input channel), `"shape"` (one tap of
            all filters), `"2:4"` (two of every four inputs stay), or one of
            `edgeax.transforms.structures`.
        criterion: `"l1"`, the mean magnitude, or `"l2"`, the root mean square, of a group.
        updates: `"masked"`, or `"dense"`: pruned weights go on being trained behind their mask.

    Raises:
        ValueError: An argument is none of these, the block is empty, or both `block` and
            `structure` are given.
    """

    def __init__(
        self,
        schedule: Schedule | float | None = None,
        block: Sequence[int] | None = None,
        structure: str | Structure | None = None,
        criterion: str = "l1",
        updates: str = "masked",
        **kwargs: Any,
    ) -> None:
        super().__init__(updates, **kwargs)
        if block is not None and structure is not None:
            raise ValueError(
                "`structure` must be left out where `block` is given: both say what goes together. "
                f"Received: block={block}, structure={structure!r}."
            )
        if structure is None:
            self.structure: Structure = blocks_of((1, 1) if block is None else block)
        else:
            self.structure = structure_of(structure)
        self.criterion = checked_choice("criterion", criterion, CRITERIA)
        self.schedule = _schedule(schedule, self.structure)

    def build(self, shape: Sequence[int]) -> None:
        """Creates the mask, all ones.

        Raises:
            ValueError: The structure does not suit the weight, or nothing of it would be left.
        """
        self.structure.check(shape, self.schedule.last_sparsity, self.input_axes)
        super().build(shape)

    def due(self, step: tf.Tensor) -> tf.Tensor:
        """Returns whether the schedule acts at `step`."""
        return self.schedule.acts(step)

    def chosen(self, tensor: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns the mask that the schedule asks for at `step`."""
        # Squares have the order of roots of mean squares.
        scores = tf.abs(tensor) if self.criterion == "l1" else tf.square(tensor)
        return self.structure.mask(scores, self.schedule(step), self.input_axes)

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`: the schedule's last new choice must be done."""
        return self.schedule.settled_step

    def at_once(self) -> "Prune":
        """Returns it with the schedule's last sparsity from step 0 on."""
        schedule = ConstantSparsity(self.schedule.last_sparsity, 0)
        return type(self)(
            schedule, structure=self.structure, criterion=self.criterion, updates=self.updates
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "structure": keras.saving.serialize_keras_object(self.structure),
            "criterion": self.criterion,
            "updates": self.updates,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Prune":
        """Returns the transform that `get_config` described, with new state."""
        given = dict(config)
        for name in ("schedule", "structure"):
            if isinstance(given.get(name), dict):
                given[name] = keras.saving.deserialize_keras_object(given[name])
        return cls(**given)


def magnitude_mask(
    weight: tf.Tensor, sparsity: tf.Tensor | float, block: Sequence[int] = (1, 1)
) -> tf.Tensor:
    """Returns which weights stay when the blocks of smallest mean magnitude go.

    Exactly `round(sparsity * blocks)` blocks go; of equal ones the first.

    Args:
        weight: float32, canonical layout. NaN counts as the largest magnitude.
        sparsity: Fraction of blocks to go, in [0, 1).
        block: `(channels, inputs)`.

    Returns:
        bool, shape of `weight`.
    """
    return blocks_of(block).mask(tf.abs(weight), sparsity)


def _schedule(schedule: Any, structure: Structure) -> Schedule:
    """Returns a schedule from one, a sparsity, or None.

    Raises:
        ValueError: It is none of these, or ends elsewhere than the structure does.
    """
    own = structure.sparsity if isinstance(structure, NofM) else None
    if schedule is None and own is not None:
        return ConstantSparsity(own, begin_step=0)
    if isinstance(schedule, numbers.Real):
        schedule = ConstantSparsity(float(schedule), begin_step=0)
    if not isinstance(schedule, Schedule):
        raise ValueError(
            "`schedule` must be a sparsity in [0, 1) or a schedule such as PolynomialDecay. "
            f"Received: schedule={schedule!r}."
        )
    if own is not None and abs(schedule.last_sparsity - own) > 1e-6:
        raise ValueError(
            f"`schedule` must come to the sparsity of {structure}, {own:g}. Received: one that "
            f"comes to {schedule.last_sparsity:g}. Leave it out, or end it there."
        )
    return schedule
