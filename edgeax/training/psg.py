"""Predictive sign gradients: the sign of a weight's gradient from the most significant bits.

A layer computes in codes of 8 bits. On the way back it multiplies the most significant bits of its
input and of its output's gradient first; where that is large its sign stands, and only elsewhere
does the product of all bits decide. In TensorFlow both are computed: what is saved is modelled, by
`edgeax.cost`. In a file that is trained on a device an operator of the plugin computes the second
only where it decides.

Source: [WJC19].
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.model.training_formats import TrainingFormats
from edgeax.training.code_bits import coded, codes_of, limit_of
from edgeax.transforms.checks import checked_bits

_TEST = "tests/training/test_psg.py::"


@implements("WJC19", test=_TEST + "test_wjc19_signs_are_mixed_by_hand")
def mixed_signs(predicted: tf.Tensor, full: tf.Tensor, beta: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the signs of a gradient, and where the prediction decided them.

    The sign of `predicted` where its magnitude is at least `beta` times the largest, else that of
    `full`.

    Source: [WJC19].

    Args:
        predicted: float32, the gradient from the most significant bits.
        full: The same from all bits.
        beta: In [0, 1].

    Returns:
        Signs (-1, 0, 1) in float32, and bool, both of the shape of the gradients.
    """
    magnitude = tf.abs(predicted)
    decided = magnitude >= beta * tf.reduce_max(magnitude)
    return tf.sign(tf.where(decided, predicted, full)), decided


class Predictive(keras.layers.Layer):
    """Makes the weight gradient of a Keras layer with one kernel the signs that are predicted.

    Forward, input and kernel are rounded to codes of `bits` bits, and the gradient of the output to
    `gradient_bits`; the gradient passes straight through these roundings. The bias has the plain
    gradient. Codes of an input reach to the mean over the batch of each sample's largest magnitude
    in training, elsewhere to each sample's own.

    Args:
        beta: Share of the largest magnitude of a predicted gradient from which on its sign stands.
        bits: Of inputs and kernels, 2 to 16.
        predicted_bits: Most significant ones of an input from which gradients are predicted.
        gradient_bits: Of the gradient of the output, 2 to 16.
        predicted_gradient_bits: Most significant ones of it, rounded; the paper has 10, its code
            all 16.
        carry: Whether the most significant bits of an input are rounded by the bit behind them, and
            not cut off as in the paper. Fewer signs are wrong then.

    Attributes:
        signs: float32 `(4,)` variable, sums over training since `forget_signs`, of a strategy's
            first replica: steps, share of the weights that
            the prediction decided, share decided wrongly, share that it would have got wrong
            had it decided all.
        sign_operator: What `edgeax.export` sets in its copies: in training it gets the codes of
            the input and those of the output's gradient, in float32, and returns the signs in
            place of both products, or None where these are to be computed.
    """

    sign_operator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor | None] | None = None

    def __init__(
        self,
        *args: Any,
        beta: float = 0.05,
        bits: int = 8,
        predicted_bits: int = 4,
        gradient_bits: int = 16,
        predicted_gradient_bits: int = 16,
        carry: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if not 0.0 <= beta <= 1.0:
            raise ValueError(f"`beta` must lie in [0, 1]. Received: beta={beta}.")
        owner = type(self).__name__
        self.beta = float(beta)
        self.carry = bool(carry)
        self.bits = checked_bits(bits, 2, 16, owner)
        self.gradient_bits = checked_bits(gradient_bits, 2, 16, owner, "gradient_bits")
        self.predicted_bits = checked_bits(predicted_bits, 1, bits, owner, "predicted_bits")
        self.predicted_gradient_bits = checked_bits(
            predicted_gradient_bits, 1, gradient_bits, owner, "predicted_gradient_bits"
        )

    def build(self, input_shape: Any) -> None:
        """Builds the layer, and what counts its signs."""
        super().build(input_shape)
        self.signs = self.add_weight(
            name="signs",
            shape=(4,),
            dtype="float32",
            initializer="zeros",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Calls the layer on codes."""
        affine = _Affine(self, super().call)
        tensors = [tf.cast(tensor, tf.float32) for tensor in (inputs, *affine.weights())]
        outputs = self._predicted(affine, bool(training), *tensors)
        return self.activation(tf.cast(outputs, self.compute_dtype))

    def _predicted(
        self, affine: "_Affine", training: bool, inputs: Any, kernel: Any, *bias: Any
    ) -> tf.Tensor:
        operator = self.sign_operator if training else None
        counts = _handle_of(self.signs) if training and operator is None else None

        @tf.custom_gradient
        def product(inputs: Any, kernel: Any, *bias: Any) -> Any:
            limit = limit_of(inputs, "batch" if training else "sample")
            rounded_kernel = coded(kernel, limit_of(kernel, "kernel"), self.bits)

            def codes(most: int | None = None) -> tf.Tensor:
                return codes_of(inputs, limit, self.bits, most, self.carry)

            def gradients(upstream: Any) -> tuple[Any, ...]:
                top = limit_of(upstream, "gradient")

                def errors(most: int | None = None) -> tf.Tensor:
                    return codes_of(upstream, top, self.gradient_bits, most, carry=True)

                # Signs do not depend on a limit that all samples share. Without it numbers are
                # codes times a power of two, and float32 adds products of codes exactly while the
                # sums stay below 2**24.
                shared = 2.0 ** (1 - self.bits) * (1.0 if training else limit)
                unit = 2.0 ** (1 - self.gradient_bits)

                def backward(most: tf.Tensor, error: tf.Tensor) -> list[tf.Tensor]:
                    return affine.gradients((shared * most, rounded_kernel, *bias), unit * error)

                to_input, full, *rest = backward(codes(), errors())
                signs = None if operator is None else operator(codes(), errors())
                if signs is None:
                    predicted = backward(
                        codes(self.predicted_bits), errors(self.predicted_gradient_bits)
                    )[1]
                    signs, decided = mixed_signs(predicted, full, self.beta)
                    if counts is not None:
                        _count(counts, predicted, full, decided)
                return (top * to_input, signs, *(top * one for one in rest))

            rounded = coded(inputs, limit, self.bits)
            return affine(rounded, rounded_kernel, *bias), gradients

        return product(inputs, kernel, *bias)

    def forget_signs(self) -> None:
        """Starts to count anew."""
        self.signs.assign(tf.zeros((4,)))

    @property
    def training_formats(self) -> TrainingFormats:
        """The formats that the layer is trained in."""
        predicted = (self.predicted_bits, self.predicted_gradient_bits)
        return TrainingFormats(self.bits, self.bits, self.gradient_bits, predicted=predicted)

    def save_own_variables(self, store: Any) -> None:
        """Saves all variables; Keras's own layers save those that they know."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` saved."""
        keras.layers.Layer.load_own_variables(self, store)

    def predictive_config(self) -> dict[str, Any]:
        """Returns the arguments that the plain layer does not have."""
        return {
            "beta": self.beta,
            "bits": self.bits,
            "predicted_bits": self.predicted_bits,
            "gradient_bits": self.gradient_bits,
            "predicted_gradient_bits": self.predicted_gradient_bits,
            "carry": self.carry,
        }

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self.predictive_config()}


def _handle_of(variable: keras.Variable) -> Any:
    """Returns the resource of a variable, in a graph as the input that the graph has for it.

    A gradient through `tf.cond` can use inputs of the branch that ran, and no others.
    """
    handle = variable.value.handle
    return handle if tf.executing_eagerly() else tf.compat.v1.get_default_graph().capture(handle)


def _count(counts: Any, predicted: tf.Tensor, full: tf.Tensor, decided: tf.Tensor) -> None:
    """Adds a step to the counts of a layer, each replica to its own."""
    wrong = tf.not_equal(tf.sign(predicted), tf.sign(full))
    shares = [decided, tf.logical_and(decided, wrong), wrong]
    means = [tf.reduce_mean(tf.cast(share, tf.float32)) for share in shares]
    tf.raw_ops.AssignAddVariableOp(resource=counts, value=tf.stack([1.0, *means]))


class _Affine:
    """What a layer does before its activation, as a function of its input and its weights."""

    def __init__(self, layer: Any, call: Any) -> None:
        self.layer, self.call = layer, call
        bias = getattr(layer, "bias", None)
        self.variables = [layer.kernel] if bias is None else [layer.kernel, bias]

    def weights(self) -> list[tf.Tensor]:
        """Returns the values that the weights have around this call."""
        return [tf.convert_to_tensor(variable.value) for variable in self.variables]

    def __call__(self, inputs: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
        values = list(zip(self.variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=values), _without_activation(self.layer):
            # Keras casts weights in the call of a layer, but not on the way back.
            inputs = tf.cast(inputs, self.variables[0].value.dtype)
            return tf.cast(self.call(inputs), tf.float32)

    def gradients(self, operands: tuple[Any, ...], upstream: tf.Tensor) -> list[tf.Tensor]:
        """Returns the gradients of the operands, given that of the output."""
        # Copies in the graph of the way back: a tape cannot watch those of a branch before it.
        operands = tuple(tf.identity(operand) for operand in operands)
        with tf.GradientTape() as tape:
            tape.watch(operands)
            outputs = self(*operands)
        return tape.gradient(outputs, operands, upstream)


@contextlib.contextmanager
def _without_activation(layer: Any) -> Iterator[None]:
    before, layer.activation = layer.activation, keras.activations.linear
    try:
        yield
    finally:
        layer.activation = before


@keras.saving.register_keras_serializable("edgeax")
class PredictiveDense(Predictive, keras.layers.Dense):
    """A Dense layer with predicted signs for its kernel's gradient; see `Predictive`."""


@keras.saving.register_keras_serializable("edgeax")
class PredictiveConv1D(Predictive, keras.layers.Conv1D):
    """A Conv1D layer with predicted signs for its kernel's gradient; see `Predictive`."""


@keras.saving.register_keras_serializable("edgeax")
class PredictiveConv2D(Predictive, keras.layers.Conv2D):
    """A Conv2D layer with predicted signs for its kernel's gradient; see `Predictive`."""


@keras.saving.register_keras_serializable("edgeax")
class PredictiveDepthwiseConv1D(Predictive, keras.layers.DepthwiseConv1D):
    """A DepthwiseConv1D layer with predicted signs for its kernel's gradient; see `Predictive`."""


@keras.saving.register_keras_serializable("edgeax")
class PredictiveDepthwiseConv2D(Predictive, keras.layers.DepthwiseConv2D):
    """A DepthwiseConv2D layer with predicted signs for its kernel's gradient; see `Predictive`."""


@keras.saving.register_keras_serializable("edgeax")
class PredictiveConv1DTranspose(Predictive, keras.layers.Conv1DTranspose):
    """A Conv1DTranspose layer with predicted signs for its kernel's gradient; see `Predictive`."""


@keras.saving.register_keras_serializable("edgeax")
class PredictiveConv2DTranspose(Predictive, keras.layers.Conv2DTranspose):
    """A Conv2DTranspose layer with predicted signs for its kernel's gradient; see `Predictive`."""


RULES: dict[type, type[Predictive]] = {
    keras.layers.Dense: PredictiveDense,
    keras.layers.Conv1D: PredictiveConv1D,
    keras.layers.Conv2D: PredictiveConv2D,
    keras.layers.DepthwiseConv1D: PredictiveDepthwiseConv1D,
    keras.layers.DepthwiseConv2D: PredictiveDepthwiseConv2D,
    keras.layers.Conv1DTranspose: PredictiveConv1DTranspose,
    keras.layers.Conv2DTranspose: PredictiveConv2DTranspose,
}
"""Which layers have a rule for their weight's gradient, and what becomes of them."""
