"""HALP: weights that move in few bits around a center, in steps that shrink with the gradient."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_bits, checked_positive, checked_seed
from edgeax.transforms.formatted import noise_like

_TEST = "tests/training/test_halp.py::"


@implements("DSLZ18", test=_TEST + "test_dslz18_an_update_and_a_new_center_worked_out_by_hand")
@implements("DSLZ18", test=_TEST + "test_dslz18_converges_linearly_below_the_floors_of_8_bits")
@keras.saving.register_keras_serializable("edgeax")
class HALP(keras.optimizers.Optimizer):
    """SGD by bit centering: `z = round(z - rate * g)` and `w = center + z`, z in few bits.

    `edgeax.callbacks.SVRG` in `fit` corrects the gradients and calls `recenter` at each of its
    anchors. There the weights become the center, z becomes 0, and its step becomes
    `s = |full gradient| / (strong_convexity * (2**(bits - 1) - 1))`, so that `bits` reach as far as
    the optimum of a loss of that convexity can lie. The nearer it comes, the finer are the steps:
    on such a loss the error falls by a constant factor from anchor to anchor, down to what float32
    resolves, where SGD with weights in as many bits stays at the size of their step. Rounding is
    stochastic, and z saturates.

    z is stored as integers. The centers and the weights as the model reads them are float32.

    Source: [DSLZ18]; the rule for s as recalled.

    Args:
        learning_rate: A number, or a schedule of Keras.
        strong_convexity: mu, above 0. With less, z reaches further in coarser steps.
        bits: Of a number of z with its sign, 2 to 16.
        seed: Of the stochastic rounding.

    Further arguments are those of Keras's optimizers but `weight_decay`, which belongs into the
    loss here, as `kernel_regularizer`.

    Raises:
        ValueError: An argument is out of its range; or, in a step, there is no center yet.

    Example: `model.compile(HALP(0.1, strong_convexity=0.1), loss)` and
    `model.fit(x, y, callbacks=[edgeax.callbacks.SVRG((x, y))])`
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        strong_convexity: float = 1.0,
        bits: int = 8,
        seed: int = 0,
        name: str = "halp",
        **kwargs: Any,
    ) -> None:
        if kwargs.get("weight_decay"):
            raise ValueError(
                "`weight_decay` must be None: weights move in steps around their centers only. "
                f"Received: {kwargs['weight_decay']}. Use kernel_regularizer=keras.regularizers.L2."
            )
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.strong_convexity = checked_positive("strong_convexity", strong_convexity)
        self.bits = checked_bits(bits, 2, 16, "HALP")
        self.seed = checked_seed(seed)
        self.centered = False

    @property
    def largest_code(self) -> int:
        """The largest integer that z is stored as."""
        return 2 ** (self.bits - 1) - 1

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the step, and a center and integers for each variable."""
        if self.built:
            return
        super().build(variables)
        dtype = "int8" if self.bits <= 8 else "int16"
        self.step = self.add_variable((), "zeros", name="step")
        self.centers = [self.add_variable_from_reference(v, name="center") for v in variables]
        self.codes = [
            self.add_variable(tuple(v.shape), "zeros", dtype, name="code") for v in variables
        ]

    def recenter(self, variables: Sequence[keras.Variable], gradients: Sequence[Any]) -> None:
        """Makes the weights of now the centers, and the steps as fine as the gradient asks for.

        Args:
            variables: All that it trains.
            gradients: Of the whole loss, at these weights, one for each of `variables`.
        """
        if not self.built:
            self.build(list(variables))
        norm = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in gradients])
        self.step.assign(norm / (self.strong_convexity * self.largest_code))
        for variable in variables:
            place = self._get_variable_index(variable)
            self.centers[place].assign(keras.ops.cast(variable, "float32"))
            self.codes[place].assign(keras.ops.zeros_like(self.codes[place]))
        self.centered = True

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable; see the class.

        Raises:
            ValueError: Nobody gave it a center.
        """
        if not self.centered:
            raise ValueError(
                "`HALP` must be given a center before its first step. Received: a step without. "
                "Train with edgeax.callbacks.SVRG, or call recenter(variables, gradients)."
            )
        place = self._get_variable_index(variable)
        rate = tf.cast(tf.convert_to_tensor(learning_rate), tf.float32)
        codes = tf.cast(tf.convert_to_tensor(self.codes[place]), tf.float32)
        size = tf.convert_to_tensor(self.step)
        gradient = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
        moved = codes - tf.math.divide_no_nan(rate * gradient, size)
        noise = noise_like(moved, self.seed + place, tf.cast(self.iterations, tf.int32))
        top = float(self.largest_code)
        codes = tf.clip_by_value(tf.floor(moved + noise), -top, top)
        self.assign(self.codes[place], codes)
        self.assign(variable, tf.convert_to_tensor(self.centers[place]) + size * codes)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "strong_convexity": self.strong_convexity,
            "bits": self.bits,
            "seed": self.seed,
        }
