"""BitChoices: widths of integer codes of which a gate chooses one for each sample."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.transforms.checks import checked_bits
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.stages import MOST_BITS


class _Now(threading.local):
    """What holds in this thread: each replica of a strategy runs in one of its own."""

    choice: tf.Tensor | None = None


_now = _Now()


@contextlib.contextmanager
def chosen(choice: tf.Tensor) -> Iterator[None]:
    """In here `BitChoices` take what is chosen.

    Args:
        choice: float32 `(batch, choices)`, 1 for the choice of a sample and 0 for the others.
    """
    before, _now.choice = _now.choice, choice
    try:
        yield
    finally:
        _now.choice = before


def current_choice() -> tf.Tensor | None:
    """Returns what is chosen around this call, None outside `chosen`."""
    return _now.choice


@keras.saving.register_keras_serializable("edgeax")
class BitChoices:
    """Widths of integer codes of which each sample has the one that is chosen for it.

    Outside a `FractionalBlock`, whose gate chooses, the last one holds.

    Args:
        bits: The widths, each 2 to 16, in the order of the gate's choices; one may stand there
            twice.

    Raises:
        ValueError: A width is out of its range, or there is none.
    """

    def __init__(self, bits: Sequence[int]) -> None:
        if not isinstance(bits, (list, tuple)) or not bits:
            raise ValueError(
                f"`bits` must be a list of widths, such as [3, 4, 6]. Received: bits={bits!r}."
            )
        self.bits = [checked_bits(width, 2, MOST_BITS, "BitChoices") for width in bits]

    @property
    def last_bits(self) -> int:
        """The width outside a gated block."""
        return self.bits[-1]

    def rounded(
        self, at: Callable[[float], tf.Tensor], choice: tf.Tensor | None, rank: int
    ) -> tf.Tensor:
        """Returns a tensor rounded to the width of each sample, without a gradient.

        Args:
            at: Rounds all of it to codes of which there are so many.
            choice: As `chosen` takes it; None takes the last width.
            rank: Of the tensor, whose first axis is the batch.
        """
        return self._mixed(self._candidates(at, choice), choice, rank)

    def passed(
        self, tensor: tf.Tensor, at: Callable[[float], tf.Tensor], choice: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns `rounded` with a gradient: to `tensor` straight through, to the choice that of
        what each width would have made.
        """
        candidates, rank = self._candidates(at, choice), len(tensor.shape)
        result = straight_through(tensor, self._mixed(candidates, choice, rank))
        if choice is None:
            return result
        fixed = {width: tf.stop_gradient(candidate) for width, candidate in candidates.items()}
        return result + self._mixed(fixed, choice - tf.stop_gradient(choice), rank, exact=False)

    def _candidates(
        self, at: Callable[[float], tf.Tensor], choice: tf.Tensor | None
    ) -> dict[int, tf.Tensor]:
        widths = [self.last_bits] if choice is None else sorted({*self.bits})
        return {width: at(2.0**width) for width in widths}

    def _mixed(
        self,
        candidates: dict[int, tf.Tensor],
        choice: tf.Tensor | None,
        rank: int,
        exact: bool = True,
    ) -> tf.Tensor:
        """Returns the candidates weighed by the choice; `exact`: no gradient to the choice."""
        if choice is None:
            return candidates[self.last_bits]
        choice = tf.cast(tf.stop_gradient(choice) if exact else choice, tf.float32)
        parts = []
        for width, candidate in candidates.items():
            places = [place for place, one in enumerate(self.bits) if one == width]
            share = tf.reduce_sum(tf.gather(choice, places, axis=1), axis=1)
            share = tf.reshape(share, [-1] + [1] * (rank - 1))
            # Not a plain product in the forward pass: what is not finite would spread.
            parts.append(tf.where(share > 0.5, candidate, 0.0) if exact else share * candidate)
        return tf.add_n(parts)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": list(self.bits)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "BitChoices":
        """Returns the choices that `get_config` described."""
        return cls(**config)
