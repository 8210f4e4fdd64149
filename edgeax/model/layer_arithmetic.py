"""The arithmetic of one wrapped layer: its operands, its error, its updates."""

import dataclasses
import zlib
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import NumberFormat
from edgeax.model.layout import Layout
from edgeax.transforms.arithmetic import Arithmetic
from edgeax.transforms.formatted import noise_like, rounded_to

# Layers that apply their activation to the sum of products and do nothing else behind that.
_LAST_IS_ACTIVATION = (
    *(keras.layers.Dense, keras.layers.EinsumDense),
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
)


def salt_of(name: str) -> int:
    """Returns a number that differs between layers, from the name of one."""
    return zlib.crc32(name.encode())


def activation_to_take(layer: keras.layers.Layer, arithmetic: Arithmetic) -> Any:
    """Returns the activation that must act outside a layer, for its error to be seen before it.

    None where it is linear, or nothing is done to the error or the sums.
    """
    needed = arithmetic.backward is not None or arithmetic.accumulate is not None
    if not needed or not isinstance(layer, _LAST_IS_ACTIVATION):
        return None
    return None if layer.activation is keras.activations.linear else layer.activation


@dataclasses.dataclass(frozen=True, eq=False)
class StoredWeight:
    """What becomes of a weight after each step of the optimizer: the `constraint` of its variable.

    Attributes:
        before: The constraint that the weight has anyway, which acts first.
        layout: Of the weight.
        format: Of the weight as it is stored; None: float32.
        steps: int32 variable, how many updates there were; None where nothing is drawn at random.
        seed: Of stochastic rounding.
        called: What to call the weight in an error.
    """

    before: Any
    layout: Layout
    format: NumberFormat | None
    steps: keras.Variable | None
    seed: int
    called: str

    def __call__(self, value: Any) -> Any:
        """Returns the weight as it is stored.

        Raises:
            tf.errors.InvalidArgumentError: It is not finite; where XLA compiles the step it is NaN.
        """
        value = value if self.before is None else self.before(value)
        value = tf.debugging.check_numerics(
            tf.convert_to_tensor(value),
            f"{self.called} must stay finite in training. Lower the learning rate, or leave out "
            "such steps by loss_scale='dynamic'. Received after a step",
        )
        return value if self.format is None else self._rounded(value, self.format)

    def _rounded(self, value: tf.Tensor, format: NumberFormat) -> tf.Tensor:
        weight = self.layout.to_canonical(tf.cast(value, tf.float32))
        noise = None
        if self.steps is not None:
            step = tf.convert_to_tensor(self.steps.value)
            noise = noise_like(weight, self.seed, step)
            self.steps.assign(step + 1)
        rounded = rounded_to(weight, format, noise)
        return tf.cast(self.layout.from_canonical(rounded), value.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns nothing: the wrapper of the layer makes it anew."""
        return {}
