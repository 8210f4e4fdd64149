"""SkipAware: an optimizer that leaves the weights of skipped blocks alone."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

_MARK = "kept_by"  # attribute of a variable: a tuple of those that say whether it took part


def mark_skipped_with(kept: keras.Variable, variables: Iterable[keras.Variable]) -> None:
    """Notes that `variables` take no part in a training step after which `kept` is 0."""
    for variable in variables:
        others = [other for other in getattr(variable, _MARK, ()) if other is not kept]
        setattr(variable, _MARK, (*others, kept))


@keras.saving.register_keras_serializable("edgeax")
class SkipAware(keras.optimizers.Optimizer):
    """Trains as another optimizer does, but leaves the weights of skipped blocks as they are.

    A block that a SelectiveBlock skips has gradients of 0, and yet momentum would move its weights,
    weight decay would shrink them, and moments would fade. Here the update of such a block is not
    computed at all. The average of weights by `use_ema` goes on.

    The optimizer belongs to this one from then on. A LossScaleOptimizer goes around it:
    `LossScaleOptimizer(SkipAware(SGD(...)))`, as Keras does it by itself for float16.

    Args:
        optimizer: Any Keras optimizer but a LossScaleOptimizer, not built yet.
        name: Name of the optimizer.

    Raises:
        ValueError: The optimizer wraps another one, or gathers the gradients of several steps, of
            which a block may have been skipped in some.

    Example: `model.compile(SkipAware(keras.optimizers.SGD(0.1, momentum=0.9)), loss)`
    """

    def __init__(self, optimizer: Any, name: str = "skip_aware") -> None:
        if not isinstance(optimizer, keras.optimizers.Optimizer) or hasattr(
            optimizer, "inner_optimizer"
        ):
            raise ValueError(
                "`optimizer` must be a Keras optimizer that wraps no other. Received: "
                f"{optimizer!r}. Put a LossScaleOptimizer around SkipAware."
            )
        if optimizer.gradient_accumulation_steps:
            raise ValueError(
                "`optimizer` must not gather gradients, for a block may be skipped in some of the "
                "steps. Received: gradient_accumulation_steps="
                f"{optimizer.gradient_accumulation_steps}. Leave it out."
            )
        super().__init__(learning_rate=0.0, name=name)
        self.built: bool
        self.inner_optimizer = optimizer
        self.loss_scale_factor = optimizer.loss_scale_factor  # it scales; others ask this one
        self._gated = _Gated(optimizer)

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates what the optimizer keeps of the variables."""
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[keras.Variable]:
        """Those of the wrapped optimizer."""
        return self.inner_optimizer.variables

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Updates the variables that took part in the step; see `keras.optimizers.Optimizer`."""
        if not self.built:
            with keras.name_scope(self.name, caller=self):
                self.build([*trainable_variables])
            self.built = True
        self.inner_optimizer.apply(grads, trainable_variables)

    @property
    def learning_rate(self) -> Any:
        """That of the wrapped optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """Those of the wrapped optimizer."""
        return self.inner_optimizer.iterations

    def scale_loss(self, loss: Any) -> Any:
        """Returns the loss as the wrapped optimizer wants it."""
        return self.inner_optimizer.scale_loss(loss)

    def finalize_variable_values(self, var_list: Any) -> None:
        """Lets the wrapped optimizer end the training."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        inner = keras.saving.serialize_keras_object(self.inner_optimizer)
        return {"optimizer": inner, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SkipAware":
        """Returns the optimizer that `get_config` described; a `loss_scale_factor` beside its
        arguments becomes that of the wrapped one.
        """
        wrapped = config["optimizer"]
        if "loss_scale_factor" in config:
            scaled = {**wrapped["config"], "loss_scale_factor": config["loss_scale_factor"]}
            wrapped = {**wrapped, "config": scaled}
        inner = keras.saving.deserialize_keras_object(wrapped, custom_objects=custom_objects)
        return cls(inner, config["name"])


class _Gated:
    """The two steps of an optimizer's update that change variables, done block by block."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.update = optimizer._distributed_tf_update_step
        optimizer._distributed_tf_update_step = self.update_blocks
        optimizer._apply_weight_decay = self.decay_with_the_update

    def decay_with_the_update(self, variables: Any) -> None:
        """Does nothing: `update_blocks` lets weights decay right before it updates them."""

    def update_blocks(self, distribution: Any, grads_and_vars: Any, learning_rate: Any) -> None:
        """Updates variables in cross-replica context, those of one block under one condition."""
        blocks: dict[tuple[int, ...], tuple[Any, list[Any]]] = {}
        for gradient, variable in grads_and_vars:
            kept = self._kept_by(variable)
            key = tuple(id(one) for one in kept)
            blocks.setdefault(key, (kept, []))[1].append((gradient, variable))
        for kept, pairs in blocks.values():
            if kept:
                ran = tf.reduce_min([tf.convert_to_tensor(one.value) for one in kept]) > 0.0
                tf.cond(
                    ran,
                    lambda pairs=pairs: self._update(distribution, pairs, learning_rate),
                    lambda: tf.constant(True),
                )
            else:
                self._update(distribution, pairs, learning_rate)

    def _update(self, distribution: Any, pairs: list[Any], learning_rate: Any) -> Any:
        self._let_decay(distribution, [variable for _, variable in pairs])
        self.update(distribution, pairs, learning_rate)
        return tf.constant(True)

    def _let_decay(self, distribution: Any, variables: list[Any]) -> None:
        optimizer = self.optimizer
        if optimizer.weight_decay is None:
            return

        def decay(variable: Any) -> None:
            rate = tf.cast(optimizer.learning_rate, variable.dtype)
            factor = tf.cast(optimizer.weight_decay, variable.dtype)
            variable.assign_sub(variable * factor * rate)

        for variable in variables:
            if optimizer._use_weight_decay(variable):
                distribution.extended.update(variable, decay, group=False)

    def _kept_by(self, variable: Any) -> tuple[keras.Variable, ...]:
        trained = self.optimizer._trainable_variables
        known = trained[self.optimizer._get_variable_index(variable)]
        return getattr(known, _MARK, ())
