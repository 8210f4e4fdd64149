"""What a generated training step must give, in Python: twin of micro/dense_training.cc."""

import math
import struct
import zlib

import numpy as np

from edgeax.formats import rounding
from edgeax.runtime.mcu.dense_training import MOST_BIAS, ONE, DenseTraining

_LN2 = 45426  # in units of 2**-16


class DenseOracle:
    """A dense layer that learns, with the integers of the generated program.

    Args:
        layer: The layer.
    Attributes:
        weights: int8, `(outputs, depth)`.
        bias: int32, `(outputs,)`.
    """

    def __init__(self, layer: DenseTraining) -> None:
        self._layer = layer
        self._random = layer.rule.seed
        self.weights = layer.weights.copy()
        self.bias = layer.bias.copy()

    def scores(self, codes: np.ndarray) -> np.ndarray:
        """Returns the int8 scores `(outputs,)` of input codes, int8 `(depth,)`."""
        layer = self._layer
        sums = self.weights.astype(np.int64) @ self._inputs(codes) + self.bias
        scaled = rounding.requantize(
            sums.astype(np.int32), layer.multiplier, layer.shift, "double"
        ).astype(np.int64)
        return np.clip(scaled + layer.output_zero_point, -128, 127).astype(np.int8)

    def train(self, codes: np.ndarray, label: int) -> int:
        """Takes one step; returns the loss before it, in units of 2**-16."""
        errors, loss = self.errors(self.scores(codes), label)
        rule, inputs = self._layer.rule, self._inputs(codes)
        gradients = errors[:, None] * inputs
        least = rule.dead_zone * np.abs(errors).max() * np.abs(inputs).max()
        moving = (gradients != 0) & (np.abs(gradients) * 256 >= least)
        for output, error in enumerate(errors.tolist()):
            if error == 0 or abs(error) < rule.least_error:
                continue
            for place in np.flatnonzero(moving[output]):
                if self._is_drawn():
                    moved = self.weights[output, place] - np.sign(gradients[output, place])
                    self.weights[output, place] = np.clip(moved, -127, 127)
            if self._is_drawn():
                moved = int(self.bias[output]) - int(math.copysign(self._layer.bias_step, error))
                self.bias[output] = min(max(moved, -MOST_BIAS), MOST_BIAS)
        return loss

    def errors(self, scores: np.ndarray, label: int) -> tuple[np.ndarray, int]:
        """Returns probabilities less the wanted ones in units of 2**-15, and the loss."""
        differences = int(scores.max()) - scores.astype(np.int64)
        exponentials = self._layer.exponentials[differences].astype(np.int64)
        total = int(exponentials.sum())
        errors = (exponentials * ONE + total // 2) // total
        errors[label] -= ONE
        of_sum = (_log2(total) - (15 << 16)) * _LN2 >> 16
        return errors, int(differences[label]) * self._layer.loss_step + of_sum

    def saved(self) -> bytes:
        """Returns what the program's `save` writes."""
        content = self.bias.astype("<i4").tobytes() + self.weights.tobytes()
        return struct.pack("<I", zlib.crc32(content, self._layer.mark)) + content

    def _inputs(self, codes: np.ndarray) -> np.ndarray:
        return codes.reshape(-1).astype(np.int64) - self._layer.input_zero_point

    def _is_drawn(self) -> bool:
        bits = self._layer.rule.rate_bits
        if bits == 0:
            return True
        x = self._random
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._random = x
        return x % (1 << bits) == 0


def _log2(x: int) -> int:
    """Returns log2 in units of 2**-16, rounded down one squaring after the other."""
    whole = x.bit_length() - 1
    mantissa = x << (31 - whole)
    result = whole
    for _ in range(16):
        square = mantissa * mantissa >> 31
        bit = square >> 32
        mantissa = square >> bit
        result = 2 * result + bit
    return result
