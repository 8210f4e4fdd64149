"""GroupLasso: groups of weights drawn to zero as wholes by the sum of their norms."""

from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import implements
from edgeax.transforms.checks import checked_positive, checked_strength
from edgeax.transforms.structures import InputAxes, Structure, structure_of

_TEST = "tests/training/test_group_lasso.py::"


def group_norms(
    weight: tf.Tensor, structure: Structure, input_axes: InputAxes = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the Euclidean norm of each group and how many weights it has, float32.

    The gradient of the norm of a group of zeros is zero.

    Args:
        weight: float32, canonical layout.
        structure: Divides it into groups.
        input_axes: See `Structure`.
    """
    squares = structure.sums(tf.square(weight), input_axes)
    some = tf.not_equal(squares, 0.0)  # at zero the root has no derivative
    norms = tf.where(some, tf.sqrt(tf.where(some, squares, 1.0)), 0.0)
    return norms, structure.sums(tf.ones_like(weight), input_axes)


def group_penalty(
    weight: tf.Tensor,
    structure: Structure,
    input_axes: InputAxes = None,
    by_size: bool = True,
    threshold: float | None = None,
) -> tf.Tensor:
    """Returns `sum_g sqrt(|g|) * |w_g|_2`, a float32 scalar.

    Args:
        weight: float32, canonical layout.
        structure: Divides it into groups.
        input_axes: See `Structure`.
        by_size: Whether there is the factor `sqrt(|g|)`, |g| the number of weights in a group.
        threshold: Norms above it count as the threshold, so that only groups below shrink.
    """
    norms, sizes = group_norms(weight, structure, input_axes)
    if threshold is not None:
        norms = tf.minimum(norms, threshold)
    return tf.reduce_sum(norms * tf.sqrt(sizes) if by_size else norms)


@implements("YL06", test=_TEST + "test_yl06_is_the_sum_worked_out_by_hand")
@implements("LL16", test=_TEST + "test_ll16_only_taps_below_the_threshold_shrink")
@keras.saving.register_keras_serializable("edgeax")
class GroupLasso(keras.regularizers.Regularizer):
    """Adds `strength * sum_g sqrt(|g|) * |w_g|_2` to the loss, |g| the number of weights in g.

    Every group is drawn to zero with the same force however small it is, so that groups the loss
    does not need come down to it: under a subgradient, to within a learning step of it, as in
    `edgeax.callbacks.StructuredSparsity`, its form for all kernels of a model as it stands;
    exactly under `edgeax.callbacks.ProximalGroupLasso`.

    It sees the kernel as Keras lays it out, its last axis as the outputs and the last but one as
    the inputs. So for convolutions and dense layers all structures are what they are called. In a
    depthwise kernel `"channel"` is one output channel if the multiplier is 1; in a transposed
    convolution `"filter"` and `"channel"` are exchanged. The callbacks know the layers and need no
    such care.

    Source: [YL06]; taps across all filters (structure `"shape"`), of which those below a threshold
    shrink, [LL16], as recalled.

    Args:
        strength: Factor of the term, finite, at least 0.
        structure: What goes together: `"filter"` (an output channel), `"channel"` (an input
            channel), `"shape"` (one tap of all filters), `"layer"` (the whole kernel), `"row"`,
            `"kernel"`, or one of `edgeax.transforms.structures`.
        threshold: A group with a larger norm is left alone, above 0; None: none is.

    Raises:
        ValueError: An argument is out of its range.

    Example: `keras.layers.Dense(64, kernel_regularizer=GroupLasso(1e-3))`
    """

    def __init__(
        self,
        strength: float = 1e-3,
        structure: str | Structure = "filter",
        threshold: float | None = None,
    ) -> None:
        self.strength = checked_strength(strength)
        self.structure = structure_of(structure)
        self.threshold = None if threshold is None else checked_positive("threshold", threshold)

    def __call__(self, weight: Any) -> Any:
        """Returns the term, a scalar."""
        weight = keras.ops.cast(weight, "float32")
        return self.strength * group_penalty(weight, self.structure, threshold=self.threshold)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "strength": self.strength,
            "structure": keras.saving.serialize_keras_object(self.structure),
            "threshold": self.threshold,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GroupLasso":
        """Returns the regularizer that `get_config` described."""
        return cls(**with_structure(config))


def with_structure(config: dict[str, Any]) -> dict[str, Any]:
    """Returns a configuration with its serialized `structure` read back."""
    structure = config["structure"]
    if isinstance(structure, dict):
        structure = keras.saving.deserialize_keras_object(structure)
    return {**config, "structure": structure}
