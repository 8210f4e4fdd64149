"""GradientL1: training for a loss that small errors of weights and activations hardly change."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import implements
from edgeax.model.wrapper import Compressed, has_kernel, slot_of
from edgeax.training.added_loss import AddedLoss, TrainingStep, kernels_of
from edgeax.transforms.checks import checked_nonnegative


@implements(
    "ABvB20",
    test="tests/training/test_gradient_l1.py::test_abvb20_gradient_equals_finite_differences",
)
@keras.saving.register_keras_serializable("edgeax")
class GradientL1(AddedLoss):
    """Adds `weights * sum_l |dL/dW_l|_1 + activations * sum_l |dL/dy_l|_1` to the loss L in `fit`.

    An error of at most `step / 2` in each weight changes the loss by at most
    `step / 2 * |dL/dW|_1`, to first order. So a model for which this is small can be rounded
    afterwards, at widths that nobody chose during training. For the last epochs of a training, or
    for fine-tuning: the gradient of a gradient makes a step two to three times as long.

    W are the kernels that training moves; y are the rounded outputs of a model whose outputs
    `edgeax.compress` rounds, else what layers with a kernel return, after their activation. L is
    what the model's `compute_loss` returns, averaged over the batch as it is there. Where a tensor
    is rounded, its gradient is that of its estimator, and the gradient of this one passes the
    rounding by the same estimator. XLA is switched off as long as the term is on.

    Source: [ABvB20].

    Args:
        weights: Factor of the sum over kernels, finite, at least 0; the paper searches 1e-3 to
            5e-2 (as recalled).
        activations: Factor of the sum over activations, finite, at least 0.
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range, or both factors are 0.

    Example: `model.fit(x, y, epochs=20, callbacks=[GradientL1(weights=0.01, begin_epoch=15)])`
    """

    wants_tape = True

    def __init__(
        self, weights: float = 0.01, activations: float = 0.0, begin_epoch: int = 0
    ) -> None:
        super().__init__(begin_epoch)
        self.weights = checked_nonnegative("weights", weights)
        self.activations = checked_nonnegative("activations", activations)
        if not weights and not activations:
            raise ValueError(
                "`weights` or `activations` must be above 0. Received: 0 for both. "
                "Leave the callback out instead."
            )
        self._outputs: list[Any] = []

    @contextlib.contextmanager
    def before_step(self) -> Iterator[None]:
        """Keeps what layers return in the forward pass of a step."""
        watched = [*watched_layers(self.model)] if self.activations else []
        outputs: list[Any] = []
        before = {id(layer): vars(layer).get("call") for layer in watched}
        for layer in watched:
            object.__setattr__(layer, "call", _keeping(layer.call, outputs))
        self._outputs = outputs
        try:
            yield
        finally:
            self._outputs = []
            for layer in watched:
                vars(layer).pop("call", None)
                if before[id(layer)] is not None:
                    object.__setattr__(layer, "call", before[id(layer)])

    def term(self, step: TrainingStep) -> Any:
        """See `AddedLoss.term`."""
        kernels = [kernel.value for kernel in kernels_of(step.model)] if self.weights else []
        outputs = self._outputs
        tape: Any = step.tape
        gradients = tape.gradient(step.loss, [*kernels, *outputs])
        to_kernels, to_outputs = gradients[: len(kernels)], gradients[len(kernels) :]
        return self.weights * _l1(to_kernels) + self.activations * _l1(to_outputs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "weights": self.weights,
            "activations": self.activations,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GradientL1":
        """Returns the callback that `get_config` described."""
        return cls(**config)


def watched_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers whose outputs are the activations of a model.

    They are those with a rounded output, else those with a kernel. A recurrent layer counts as a
    whole, since its cell runs in a loop that nobody can look into.
    """
    layers = [*_layers_with_outputs(model)]
    rounded = [layer for layer in layers if isinstance(layer, Compressed) and _rounds_output(layer)]
    yield from rounded or [layer for layer in layers if has_kernel(layer)]


def _layers_with_outputs(parent: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    whole = (Compressed, keras.layers.RNN, keras.layers.Wrapper)
    for layer in parent._flatten_layers(include_self=False, recursive=False):
        own = any(slot_of(variable.name) == "kernel" for variable in layer._trainable_variables)
        if own or isinstance(layer, whole):
            yield layer
        else:
            yield from _layers_with_outputs(layer)


def _rounds_output(layer: Compressed) -> bool:
    return layer.quantizer("output") is not None


def _keeping(call: Any, outputs: list[Any]) -> Any:
    """Returns a `call` that adds the floating-point tensors it returns to `outputs`."""

    def kept(*args: Any, **kwargs: Any) -> Any:
        returned = call(*args, **kwargs)
        flat = keras.tree.flatten(returned)
        outputs.extend(t for t in flat if keras.backend.is_float_dtype(t.dtype))
        return returned

    return kept


def _l1(gradients: list[Any]) -> Any:
    """Returns the sum of all magnitudes; what the loss does not depend on has no gradient."""
    found = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
    return tf.add_n(
        [tf.reduce_sum(tf.abs(tf.cast(gradient, tf.float32))) for gradient in found]
        or [tf.zeros(())]
    )
