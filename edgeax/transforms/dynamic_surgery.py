"""DynamicSurgery: weights cut at one threshold and spliced back at another."""

import math
import numbers
import warnings
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.transforms.base import now
from edgeax.transforms.checks import checked_count, checked_positive
from edgeax.transforms.mask import ChosenMask

_BAND = 0.1
"""Half of the distance of the two thresholds, as a share of their mean."""

_LEAST_LEFT = 0.01
"""Share of a weight below which the first choice is warned of."""

_SURGERY = "tests/transforms/test_dynamic_surgery.py::test_gyc16_cuts_below_one_threshold"


@implements("GYC16", test=f"{_SURGERY}_and_splices_above_another")
@keras.saving.register_keras_serializable("edgeax")
class DynamicSurgery(ChosenMask):
    """Cuts weights below one threshold, and splices them back once they have grown above another.

    With the mean m and the standard deviation s of the magnitudes when it begins and
    `t = max(m + c * s, 0)`, a weight is cut when its magnitude is at most `0.9 t` and spliced when
    it is above `1.1 t`; between them it stays as it is. Cut weights go on being trained. At step i
    after `begin_step` masks are chosen anew with probability `(1 + gamma * i) ** -power`, from
    `stop_step` on never.

    How much is cut follows from `c` and from training, not from a given sparsity; the largest
    weight always stays. Begin with trained weights: of new ones, which are even, a `c` above 2
    leaves next to nothing. Stand it at the biases too to have them pruned, as the paper does; each
    tensor has thresholds of its own.

    Source: [GYC16].

    Args:
        c: Standard deviations by which the thresholds lie above the mean magnitude.
        stop_step: Training step from which masks are fixed, above `begin_step`.
        gamma: How fast choices become rare, at least 0.
        power: The exponent, above 0.
        begin_step: Training step of the first choice, at least 0.
        seed: Of the choices' times.

    Raises:
        ValueError: An argument is out of its range.

    Example: `Rule("dense", kernel=[DynamicSurgery(c=2.0, stop_step=5000)])`
    """

    def __init__(
        self,
        c: Any,
        stop_step: int,
        gamma: float = 1e-4,
        power: float = 1.0,
        begin_step: int = 0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__("dense", **kwargs)
        if not isinstance(c, numbers.Real) or not math.isfinite(c):
            raise ValueError(f"`c` must be finite. Received: c={c!r}. Use 0 to 4.")
        begin_step = checked_count("begin_step", begin_step, 0)
        stop_step = checked_count("stop_step", stop_step, 1)
        if begin_step >= stop_step:
            raise ValueError(
                "`stop_step` must lie above `begin_step`. Received: "
                f"begin_step={begin_step}, stop_step={stop_step}."
            )
        if not 0.0 <= gamma < math.inf:
            raise ValueError(f"`gamma` must be at least 0 and finite. Received: gamma={gamma}.")
        self.c, self.gamma = float(c), float(gamma)
        self.power = checked_positive("power", power)
        self.begin_step, self.stop_step = begin_step, stop_step
        self.seed = int(seed)

    def build(self, shape: Any) -> None:
        """Creates the mask, all ones, and the threshold."""
        super().build(shape)
        self.threshold = self.state("threshold", initializer=keras.initializers.Constant(-1.0))

    def probability(self, step: tf.Tensor) -> tf.Tensor:
        """Returns how probable a choice is at `step`, float32 scalar."""
        since = tf.cast(step - self.begin_step, tf.float32)
        likely = tf.pow(1.0 + self.gamma * tf.maximum(since, 0.0), -self.power)
        acts = tf.logical_and(step >= self.begin_step, step < self.stop_step)
        return tf.where(acts, likely, 0.0)

    def due(self, step: tf.Tensor) -> tf.Tensor:
        """Returns whether masks are chosen anew at `step`."""
        drawn = tf.random.stateless_uniform([], [self.seed, step])
        return drawn < self.probability(step)

    def find(self, tensor: tf.Tensor, due: tf.Tensor) -> None:
        """Finds the threshold in the first weight that is not zero everywhere."""
        magnitudes = tf.abs(tensor)
        spread = tf.math.reduce_std(magnitudes)
        found = tf.maximum(tf.reduce_mean(magnitudes) + self.c * spread, 0.0)
        known = self.threshold.value
        is_first = due & (known < 0.0) & (tf.reduce_max(magnitudes) > 0.0)
        self.threshold.assign(tf.where(is_first, found, known))

    def chosen(self, tensor: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns the mask after cutting and splicing; the largest weights always stay."""
        del step
        magnitudes, middle = tf.abs(tensor), self.threshold.value
        cut = magnitudes <= (1.0 - _BAND) * middle
        spliced = magnitudes > (1.0 + _BAND) * middle
        kept = spliced | (self.mask.value & ~cut)
        return kept | tf.equal(magnitudes, tf.reduce_max(magnitudes))

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Chooses if that is due at step 0; warns where next to nothing is left."""
        pruned = super().initialize(tensor)
        left = float(now(self.mask).mean())
        if left < _LEAST_LEFT:
            warnings.warn(
                f"DynamicSurgery leaves {left:.2%} of a weight of shape {tuple(tensor.shape)} at "
                f"c={self.c:g}. It is meant for trained weights, many of which are small: begin "
                "with those, take a smaller c, or set begin_step behind some training.",
                stacklevel=2,
            )
        return pruned

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`: masks must be fixed. The first choice needs no step."""
        return 0 if self.stop_step == 1 else self.stop_step

    def at_once(self) -> "DynamicSurgery":
        """Returns it with one choice, at step 0."""
        return type(self)(self.c, stop_step=1, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "c": self.c,
            "stop_step": self.stop_step,
            "gamma": self.gamma,
            "power": self.power,
            "begin_step": self.begin_step,
            "seed": self.seed,
        }
