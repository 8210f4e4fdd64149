"""Word lengths that a training goes through: MuPPET's block fixed point, then float32."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import EncodedTensor
from edgeax.formats.block_float import MuppetFloat
from edgeax.formats.methods import implements
from edgeax.transforms.base import Stateful, Transform, now
from edgeax.transforms.checks import checked_seed
from edgeax.transforms.formatted import encoded_in, noise_like, rounded_in
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.gradients import straight_through

WIDTHS = (8, 12, 14, 16)

_TEST = "tests/transforms/test_word_length.py::"


class _Switched(Stateful):
    """What the two transforms below share: their settings, and which width is in force."""

    def settle(self, widths: Sequence[int], seed: int) -> None:
        """Keeps the settings.

        Raises:
            ValueError: There is no width, they do not grow, or one is out of range.
        """
        self.widths = [int(width) for width in widths]
        if not self.widths or sorted({*self.widths}) != self.widths:
            raise ValueError(
                "`widths` must be word lengths that grow, such as (8, 12, 14, 16). "
                f"Received: widths={widths!r}."
            )
        self.formats = [MuppetFloat(width) for width in self.widths]
        self.seed = checked_seed(seed)

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates the place of the width in force; see `Stateful.bind`."""
        del shape
        self.place = self.state("place", dtype="int32")

    def rounded(self, x: tf.Tensor, noise: tf.Tensor | None) -> tf.Tensor:
        """Returns a float32 tensor in the width in force; what is not finite stays as it is."""
        finite = tf.math.is_finite(x)
        usable = tf.where(finite, x, 0.0)
        branches = [lambda f=format: rounded_in(usable, f, noise) for format in self.formats]
        place = tf.convert_to_tensor(self.place.value)
        rounded = tf.switch_case(place, [*branches, lambda: tf.identity(usable)])
        return tf.where(finite, rounded, x)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"widths": self.widths, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Returns what `get_config` described, with new state."""
        return cls(**config)


@implements("RVVB20", test=_TEST + "test_rvvb20_values_are_in_the_width_in_force")
@keras.saving.register_keras_serializable("edgeax")
class SwitchedWidth(_Switched, Transform):
    """Rounds a weight or an activation to block fixed point of the width in force, or not at all.

    One power of two for the whole tensor, measured in it (`edgeax.formats.MuppetFloat`); rounding
    is stochastic while training, else to nearest. The gradient passes straight through.
    `edgeax.callbacks.MuPPET` goes from width to width; without it the first one stays.

    Source: [RVVB20].

    Args:
        widths: Word lengths in bits, growing, each 2 to 16; behind the last one comes float32.
        seed: Of the stochastic rounding.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settle(widths, seed)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` in the width in force; see `Transform.call`."""
        noise = None if renew is None else noise_like(tensor, self.seed, step)
        return straight_through(tensor, self.rounded(tf.stop_gradient(tensor), noise))

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes of the width in force, or as it is in float32."""
        place = int(now(self.place))
        if place == len(self.formats):
            return tensor
        return encoded_in(self.formats[place], tensor.decode(), tensor.mask)


@keras.saving.register_keras_serializable("edgeax")
class SwitchedGradient(_Switched, GradientTransform):
    """Rounds the gradient that comes back as `SwitchedWidth` does values, stochastically.

    Source: [RVVB20].

    Args:
        widths: As for `SwitchedWidth`.
        seed: Of the stochastic rounding.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settle(widths, seed)

    def backward(self, upstream: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """See `GradientTransform.backward`."""
        return self.rounded(upstream, noise_like(upstream, self.seed, step))


@keras.saving.register_keras_serializable("edgeax")
class KeptGradient(GradientTransform):
    """Keeps the last gradient of a weight, as it comes from the loss; nothing is changed.

    Of several replicas it is the sum, as the optimizer gets it.
    """

    weights_only = True

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates what the gradient is kept in; see `Stateful.bind`."""
        self.last = self.state("last", [int(size or 0) for size in shape])

    def backward(self, upstream: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """See `GradientTransform.backward`."""
        del step
        replica = tf.distribute.get_replica_context()
        total = upstream
        if replica is not None and replica.num_replicas_in_sync > 1:
            total = replica.all_reduce(tf.distribute.ReduceOp.SUM, upstream)
        self.last.assign(total)
        return upstream
