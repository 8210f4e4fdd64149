"""SampledWeight: binary, ternary or power-of-two weights, drawn at random in every step."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Params
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.binary import Binary
from edgeax.formats.methods import implements
from edgeax.formats.power_of_two import PowerOfTwo
from edgeax.formats.ternary import Ternary
from edgeax.transforms.checks import checked_bits, checked_choice
from edgeax.transforms.formatted import noise_like
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.quantize import Quantizer

KINDS = ("binary", "ternary", "exponential")
INFERENCES = ("real", "rounded")


@implements(
    "CBD15",
    test="tests/transforms/test_sampled.py::test_cbd15_draws_by_the_hard_sigmoid_and_tests_with_reals",
)
@implements(
    "OLZ16", test="tests/transforms/test_sampled.py::test_olz16_samplers_are_right_on_average"
)
@keras.saving.register_keras_serializable("edgeax")
class SampledWeight(Quantizer):
    """Rounds weights of [-1, 1] up or down at random while training; the whole gradient passes.

    - `"binary"` (BinaryConnect): 1 with probability clip((w + 1) / 2, 0, 1), else -1;
    - `"ternary"`: the sign of w with probability |w|, else 0;
    - `"exponential"`: one of the two powers of two, or zero, that enclose w, right on average.

    Not at random, each weight goes to the nearest value, 0 to 1 for `"binary"`. Clip the weights
    to [-1, 1] after each update by a constraint.

    Source: [CBD15]; [OLZ16] for the last two, in recurrent layers, as recalled.

    Args:
        kind: One of these.
        stochastic: Whether training draws at random.
        inference: What is computed with outside training: `"rounded"`, the nearest value, or
            `"real"`, the weight itself. None: `"real"` if stochastic, as in BinaryConnect.
        bits: For `"exponential"`: width of a code, 2 to 7; the largest power is 1.
        seed: Of the random draw.

    Raises:
        ValueError: An argument is out of its range.
    """

    weights_only = True

    def __init__(
        self,
        kind: str = "binary",
        stochastic: bool = True,
        inference: str | None = None,
        bits: int = 5,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind = checked_choice("kind", kind, KINDS)
        self.stochastic = bool(stochastic)
        default = "real" if stochastic else "rounded"
        self.inference = checked_choice("inference", inference or default, INFERENCES)
        self.bits = checked_bits(bits, 2, 7, "SampledWeight")
        self.seed = int(seed)
        self.keeps_zero = kind != "binary"
        self.number_format: ArrayFormat = {
            "binary": Binary("none"),
            "ternary": Ternary("tbn"),
            "exponential": PowerOfTwo(self.bits),
        }[kind]

    @property
    def _params(self) -> Params:
        if self.kind == "ternary":
            return {"threshold": np.asarray(0.5, np.float32)}
        return {} if self.kind == "binary" else {"scale": np.asarray(1.0, np.float32)}

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns drawn weights while training; see `Transform.call`."""
        training = renew is not None
        if self.inference == "real" and not training:
            return tensor
        noise = noise_like(tensor, self.seed, step) if training and self.stochastic else None
        fixed = tf.stop_gradient(tensor)
        value = self.number_format.rounded(fixed, self._params, keras.ops, noise)
        return straight_through(tensor, value)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes, or as it is where `inference` is `"real"`."""
        if self.inference == "real":
            return tensor
        codes = self.number_format.encode(tensor.decode(), self._params)
        return EncodedTensor(codes, self.number_format, self._params, tensor.mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "kind": self.kind,
            "stochastic": self.stochastic,
            "inference": self.inference,
            "bits": self.bits,
            "seed": self.seed,
        }
