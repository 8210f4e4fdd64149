"""ADMMPrune: weights that are drawn to their own pruned copy before they are pruned."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_count, checked_positive
from edgeax.transforms.mask import ChosenMask
from edgeax.transforms.prune import Prune
from edgeax.transforms.schedules import check_sparsities
from edgeax.transforms.structures import Structure, structure_of

_TEST = "tests/transforms/test_admm_prune.py::"


@implements("ZZY18", test=f"{_TEST}test_zzy18_is_the_loss_with_the_augmented_term")
@implements("YZZ18", test=f"{_TEST}test_yzz18_each_round_prunes_what_the_former_left")
@keras.saving.register_keras_serializable("edgeax")
class ADMMPrune(ChosenMask):
    """Prunes by the alternating direction method of multipliers, in one round or several.

    For `admm_steps` training steps the loss has the term `rho / 2 * ||W - Z + U||**2` of the weight
    W. Z is the nearest tensor to W + U with the sparsity wanted, and `U += W - Z`, both renewed
    every `frequency` steps. Then the smallest magnitudes of W are masked, and what is left is
    trained for the rest of the round. Progressive pruning has several rounds of rising sparsity;
    each begins with what the former left, and what was pruned stays so.

    Source: [ZZY18], progressive: [YZZ18].

    Args:
        sparsity: Share of groups to be zero, in [0, 1), or a rising one for each round.
        admm_steps: Steps with the term, in each round, at least 1.
        retrain_steps: Steps behind each round but the last, before the next begins, at least 0.
        rho: Factor of the term, above 0. The paper has 1e-4 with Adam for 150,000 steps; fewer
            steps need more.
        frequency: Steps between two renewals of Z and U, at least 1.
        structure: Which weights go together, as for `Prune`.

    Raises:
        ValueError: An argument is out of its range.

    Example: `Rule("dense", kernel=[ADMMPrune(0.99, admm_steps=5000)])`
    """

    def __init__(
        self,
        sparsity: float | Sequence[float],
        admm_steps: int,
        retrain_steps: int = 0,
        rho: float = 1e-3,
        frequency: int = 500,
        structure: str | Structure = "element",
        **kwargs: Any,
    ) -> None:
        super().__init__("masked", **kwargs)
        self.sparsities = check_sparsities("sparsity", sparsity)
        if len({*self.sparsities}) != len(self.sparsities):
            raise ValueError(
                "`sparsity` must rise from round to round. Received: "
                f"sparsity={sparsity}. Leave out the rounds that prune no more."
            )
        self.admm_steps = checked_count("admm_steps", admm_steps, 1)
        self.retrain_steps = checked_count("retrain_steps", retrain_steps, 0)
        self.frequency = checked_count("frequency", frequency, 1)
        self.rho = checked_positive("rho", rho)
        self.structure = structure_of(structure)

    def build(self, shape: Any) -> None:
        """Creates the mask, all ones, and Z and U."""
        self.structure.check(shape, self.sparsities[-1], self.input_axes)
        super().build(shape)
        self.copy = self.state("copy", shape)
        self.dual = self.state("dual", shape)

    @property
    def round_steps(self) -> int:
        """Training steps from the begin of a round to that of the next."""
        return self.admm_steps + self.retrain_steps

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` with the masked weights at zero, and adds the term to the losses; see
        `Transform.call`.
        """
        pruned = super().call(tensor, step, renew)
        if renew is not None:
            at = step % self.round_steps
            in_round = step < self.round_steps * len(self.sparsities)
            active = tf.logical_and(in_round, at < self.admm_steps)
            self._renew(tf.stop_gradient(pruned), step, at, tf.logical_and(renew, active))
            away = pruned - self.copy.value + self.dual.value
            term = 0.5 * self.rho * tf.reduce_sum(tf.square(away))
            # Of several calls of a layer the first one counts.
            self.add_loss(tf.where(tf.logical_and(renew, active), term, 0.0))
        return pruned

    def _renew(self, weight: tf.Tensor, step: tf.Tensor, at: tf.Tensor, active: tf.Tensor) -> None:
        """Finds Z and U anew where that is due, U from 0 at the begin of a round."""
        due = tf.logical_and(active, tf.equal(at % self.frequency, 0))

        def found() -> tuple[tf.Tensor, tf.Tensor]:
            begins = tf.equal(at, 0)
            # The copy that U is measured from is the one that training was drawn to.
            dual = tf.where(begins, 0.0, self.dual.value + weight - self.copy.value)
            moved = weight + dual
            return tf.where(self._mask_of(moved, self._sparsity(step)), moved, 0.0), dual

        def same() -> tuple[tf.Tensor, tf.Tensor]:
            return tf.identity(self.copy.value), tf.identity(self.dual.value)

        copy, dual = tf.cond(due, found, same)
        self.copy.assign(tf.ensure_shape(copy, weight.shape))
        self.dual.assign(tf.ensure_shape(dual, weight.shape))

    def due(self, step: tf.Tensor) -> tf.Tensor:
        """Returns whether a round's steps with the term are over at `step`."""
        in_round = step < self.round_steps * (len(self.sparsities) - 1) + self.admm_steps + 1
        # With nothing behind a round, the next one's first step is that behind its last.
        since = (step - self.admm_steps) % self.round_steps
        return in_round & (step >= self.admm_steps) & tf.equal(since, 0)

    def chosen(self, tensor: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns the mask of the round that ended."""
        weight = tf.where(self.mask.value, tensor, 0.0)
        return self._mask_of(weight, self._sparsity(step - 1))

    def _sparsity(self, step: tf.Tensor) -> tf.Tensor:
        place = tf.minimum(step // self.round_steps, len(self.sparsities) - 1)
        return tf.gather(tf.constant(self.sparsities, tf.float32), place)

    def _mask_of(self, weight: tf.Tensor, sparsity: tf.Tensor) -> tf.Tensor:
        return self.structure.mask(tf.abs(weight), sparsity, self.input_axes)

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`: the last round's mask must be there."""
        return self.round_steps * (len(self.sparsities) - 1) + self.admm_steps + 1

    def at_once(self) -> Prune:
        """Returns pruning by magnitude to the last sparsity at step 0."""
        return Prune(self.sparsities[-1], structure=self.structure)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "sparsity": self.sparsities,
            "admm_steps": self.admm_steps,
            "retrain_steps": self.retrain_steps,
            "rho": self.rho,
            "frequency": self.frequency,
            "structure": keras.saving.serialize_keras_object(self.structure),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ADMMPrune":
        """Returns the transform that `get_config` described, with new state."""
        structure = config["structure"]
        if isinstance(structure, dict):
            structure = keras.saving.deserialize_keras_object(structure)
        return cls(**{**config, "structure": structure})
