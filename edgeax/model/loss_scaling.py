"""Loss scaling: gradients are computed larger than they are, so that small formats hold them."""

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import implements
from edgeax.transforms.checks import checked_positive

FIRST_SCALE = 2.0**24
GROWTH_STEPS = 2000

# As recalled from [MSDK19]: 8 thousand from step 40 000 on, 32 thousand from 150 000 on.
_MINIMUM = {40_000: 2.0**13, 150_000: 2.0**15}


@keras.saving.register_keras_serializable("edgeax")
class DynamicLossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras's `LossScaleOptimizer`, on several replicas too: a step is left out for all of them
    where the gradients of one are not finite. Keras asks the first one only.

    The scale is halved at such a step, and doubled after `dynamic_growth_steps` others.

    Args:
        inner_optimizer: The Keras optimizer that makes the updates.
        initial_scale: The first scale.
        dynamic_growth_steps: Good steps before the scale doubles.

    Source: [MNA17].
    """

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer,
        initial_scale: float = FIRST_SCALE,
        dynamic_growth_steps: int = GROWTH_STEPS,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(inner_optimizer, initial_scale, dynamic_growth_steps, name, **kwargs)

    def check_finite(self, grads: Any) -> tf.Tensor:
        """Returns whether all gradients of all replicas are finite."""
        finite = super().check_finite(grads)
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return finite
        wrong = 1.0 - tf.cast(finite, tf.float32)
        return tf.equal(replica.all_reduce(tf.distribute.ReduceOp.SUM, wrong), 0.0)


@implements(
    "MSDK19",
    test="tests/model/test_loss_scaling.py::test_msdk19_the_scale_never_falls_below_a_rising_minimum",
)
@keras.saving.register_keras_serializable("edgeax")
class EnhancedLossScaleOptimizer(DynamicLossScaleOptimizer):
    """Dynamic loss scaling that never falls below a minimum, which rises in the course of training.

    In FP8 rare gradients overflow while most underflow: a scale that every overflow halves becomes
    too small for the rest. A step whose gradients are not finite is left out also at the minimum.

    Source: [MSDK19], as recalled.

    Args:
        inner_optimizer: The Keras optimizer that makes the updates.
        initial_scale: The first scale, above 0.
        dynamic_growth_steps: The scale doubles after this many steps with finite gradients.
        minimum: The least scale from an update on, counted from 0.

    Raises:
        ValueError: A scale is not above 0, or a step below 0.

    Example: `model.compile(EnhancedLossScaleOptimizer(SGD(0.1), minimum={1000: 8192.0}), "mse")`
    """

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer,
        initial_scale: float = FIRST_SCALE,
        dynamic_growth_steps: int = GROWTH_STEPS,
        minimum: Mapping[int, float] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        initial_scale = checked_positive("initial_scale", initial_scale)
        super().__init__(inner_optimizer, initial_scale, dynamic_growth_steps, name, **kwargs)
        given = _MINIMUM if minimum is None else dict(minimum)
        self.minimum = {int(step): float(given[step]) for step in sorted(given, key=int)}
        if any(step < 0 or not least > 0.0 for step, least in self.minimum.items()):
            raise ValueError(
                "`minimum` must map steps from 0 on to scales above 0. "
                f"Received: minimum={minimum!r}."
            )

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Makes the update, or leaves it out; then lifts the scale to its minimum."""
        super().apply(grads, trainable_variables)
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            self._lift()
        else:
            replica.merge_call(lambda strategy: self._lift())

    def _lift(self) -> None:
        done = tf.cast(tf.convert_to_tensor(self.iterations), tf.int64)
        least = tf.zeros(())
        for step, scale in self.minimum.items():
            least = tf.where(done >= step, tf.maximum(least, scale), least)
        self.dynamic_scale.assign(tf.maximum(tf.convert_to_tensor(self.dynamic_scale), least))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        minimum = {str(step): scale for step, scale in self.minimum.items()}
        return {**super().get_config(), "minimum": minimum}


def loss_scaled(
    optimizer: keras.optimizers.Optimizer, loss_scale: float | str | None = "dynamic"
) -> keras.optimizers.Optimizer:
    """Returns an optimizer of the same settings that scales the loss, and gradients back.

    One that scales the loss already is returned as it is.

    Args:
        optimizer: A Keras optimizer that no model has used yet.
        loss_scale: As `edgeax.training.Arithmetic` has it: a number, `"dynamic"`
            (`DynamicLossScaleOptimizer`), `"enhanced"` (`EnhancedLossScaleOptimizer`) or None,
            which scales nothing.

    Source: [MNA17], [MSDK19].

    Example: `model.compile(loss_scaled(keras.optimizers.Adam(), "dynamic"), "mse")`
    """
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if loss_scale is None or scales or optimizer.loss_scale_factor is not None:
        return optimizer
    config = optimizer.get_config()
    if not isinstance(loss_scale, str):
        return type(optimizer).from_config({**config, "loss_scale_factor": float(loss_scale)})
    inner = type(optimizer).from_config(config)
    if loss_scale == "enhanced":
        return EnhancedLossScaleOptimizer(inner)
    return DynamicLossScaleOptimizer(inner)


def scale_loss(model: keras.Model, loss_scale: float | str | None) -> None:
    """Gives a compiled model an optimizer that scales the loss; see `loss_scaled`.

    It warns where a model that should is not compiled.
    """
    if loss_scale is None:
        return
    if not model.compiled:
        warnings.warn(
            "`model` should be compiled, for its arithmetic wants an optimizer that scales the "
            "loss. Received: one that is not. Compile the copy with "
            f"edgeax.optimizers.loss_scaled(optimizer, {loss_scale!r}).",
            stacklevel=3,
        )
        return
    optimizer = loss_scaled(model.optimizer, loss_scale)
    config = model.get_compile_config()
    config["optimizer"] = keras.saving.serialize_keras_object(optimizer)
    model.compile_from_config(config)
