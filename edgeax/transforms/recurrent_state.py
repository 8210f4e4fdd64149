"""RecurrentState: the values of gates and hidden states on a few even levels."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Params
from edgeax.formats.balanced import Balanced
from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_bits
from edgeax.transforms.few_values import FewValues
from edgeax.transforms.gradients import clipped


@implements(
    "HWZ16",
    test="tests/transforms/test_recurrent_state.py::test_hwz16_states_lie_on_even_levels_of_their_range",
)
@keras.saving.register_keras_serializable("edgeax")
class RecurrentState(FewValues):
    """Rounds what comes from a sigmoid to `2**bits` even levels of [0, 1], from a tanh of [-1, 1].

    With q(x) = round(x * (2**bits - 1)) / (2**bits - 1) a value becomes `q(x)`, or if signed
    `2 * q((x + 1) / 2) - 1`, which has no 0. The gradient passes where nothing is clipped. It keeps
    no state, so that it may stand inside the loop of a recurrent layer.

    Source: [HWZ16], as recalled.

    Args:
        bits: Width of a code, 1 to 8.
        signed: Whether values lie in [-1, 1], as behind a tanh.

    Raises:
        ValueError: `bits` is out of its range.
    """

    activations_only = True

    def __init__(self, bits: int = 4, signed: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 1, 8, "RecurrentState")
        self.signed = bool(signed)
        self.number_format = Balanced(self.bits)

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates nothing."""

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` on its levels; see `Transform.call`."""
        del step, renew
        top, low = float(2**self.bits - 1), self._low
        unit = tf.clip_by_value((tf.stop_gradient(tensor) - low) / (1.0 - low), 0.0, 1.0)
        codes = tf.cast(tf.round(unit * top), tf.int32)
        value = tf.gather(self.levels(), codes)
        return clipped(tensor, value, tf.constant(low), tf.constant(1.0))

    @property
    def _low(self) -> float:
        return -1.0 if self.signed else 0.0

    def levels(self) -> np.ndarray:
        """See `FewValues.levels`."""
        return np.linspace(self._low, 1.0, 2**self.bits).astype(np.float32)

    def activation_params(self) -> Params:
        """See `FewValues.activation_params`."""
        levels = np.linspace(self._low, 1.0, 2**self.bits)
        middles = (levels[:-1] + levels[1:]) / 2
        return {"level": self.levels(), "boundary": middles.astype(np.float32)}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, "signed": self.signed}
