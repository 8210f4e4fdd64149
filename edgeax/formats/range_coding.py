"""An adaptive binary range coder whose probabilities are sums of learned weights.

A bit stands in some contexts, say a column, a row and a pattern of neighbors, and each context has
a weight, at first 0. Their sum is the logit of the probability that the bit is 1, as in logistic
regression; once the bit is known, each weight makes its own Newton step towards it, the shorter the
more it has been told. So contexts add up, and one that tells nothing costs little.

The coder is that of LZMA: a range of 32 bits is split in proportion to the probabilities. Encoder
and decoder have the same methods; a decoder does not look at the values that it is given, and
returns those that the encoder was given. C++ twin: tflite_kernels/core/range_coding.h.
"""

import abc

_ONE = 1 << 16  # of probabilities and of weights
_UNLIKELY = (
    *(32768, 24743, 17625, 11955, 7812, 4971, 3108, 1921, 1179, 720, 439),
    *(267, 162, 98, 60, 36, 22, 13, 8, 5, 3),
)  # probability of the less likely bit when the logit is 0, 1/2, 1 ... 10
_LAST_LOGIT = 10 * _ONE - 1
_MOST_TOLD = 49 * _ONE  # a step is never shorter than 1/50 of the first one
_WIDTHS = 33  # numbers have 0 to 32 bits
_BYTE_RANGE = 1 << 24  # below it, the highest byte is settled
_MASK = (1 << 32) - 1

NUMBER_CONTEXTS = 64 + _WIDTHS
"""Contexts that a kind of numbers takes."""


class Coder(abc.ABC):
    """What encoder and decoder share: the probabilities, and what is made of bits."""

    def __init__(self, contexts: int) -> None:
        """Makes a coder that has been told nothing of its `contexts`."""
        self._weights = [0] * contexts
        self._told = [0] * contexts

    def bit(self, bit: int, *contexts: int) -> int:
        """Codes a bit, 0 or 1, that stands in `contexts`; returns it."""
        weights, told = self._weights, self._told
        logit = 0
        for context in contexts:
            logit += weights[context]
        size = min(abs(logit), _LAST_LOGIT)
        below = _UNLIKELY[size >> 15]
        unlikely = below - ((below - _UNLIKELY[(size >> 15) + 1]) * (size & 0x7FFF) >> 15)
        one = unlikely if logit < 0 else _ONE - unlikely
        bit = self._code(bit, one)
        error = (_ONE - one if bit else one) << 15
        information = one * (_ONE - one) >> 16
        for context in contexts:
            step = error // ((_ONE + told[context]) >> 1)
            weights[context] += step if bit else -step
            if told[context] < _MOST_TOLD:
                told[context] += information
        return bit

    def field(self, value: int, width: int) -> int:
        """Codes a field of `width` bits of which nothing is known; returns it."""
        result = 0
        for shift in reversed(range(width)):
            result = result << 1 | self._code(value >> shift & 1, _ONE // 2)
        return result

    def symbol(self, symbol: int, count: int, first: int) -> int:
        """Codes one of `count` symbols; returns it.

        Args:
            symbol: From 0 to `count - 1`.
            count: At least 1. Bits that it leaves no choice of are not coded.
            first: Context of the symbol's bits: each of them has its own behind it, below
                `first + 2 * count`.
        """
        node = 1
        for shift in reversed(range((count - 1).bit_length())):
            high = (2 * node + 1 << shift) - (1 << (count - 1).bit_length())
            bit = self.bit(symbol >> shift & 1, first + node) if high < count else 0
            node = 2 * node + bit
        return node - (1 << (count - 1).bit_length())

    def number(self, number: int, first: int) -> int:
        """Codes a number of 0 to 32 bits, small ones in fewer bits; returns it.

        Its width comes first, then, below its leading 1, a bit that is learned, then the others.

        Args:
            number: From 0 to 2**32 - 1.
            first: The first of the `NUMBER_CONTEXTS` contexts of this kind of numbers.
        """
        width = self.symbol(number.bit_length(), _WIDTHS, first)
        if width < 2:
            return width
        second = self.bit(number >> width - 2 & 1, first + 64 + width)
        return (2 + second << width - 2) | self.field(number, width - 2)

    @abc.abstractmethod
    def _code(self, bit: int, one: int) -> int:
        """Codes a bit that is 1 with the probability `one / 2**16`, which is neither 0 nor 1."""


class RangeEncoder(Coder):
    """Makes bytes of bits."""

    def __init__(self, contexts: int) -> None:
        super().__init__(contexts)
        self._low, self._range = 0, _MASK
        self._data = bytearray()

    def finish(self) -> bytes:
        """Returns the bytes; zeros at their end are left out, as a decoder reads them anyhow."""
        # Of the numbers in the range, the one with the most zeros at its end.
        for zeros in reversed(range(33)):
            number = self._low + (1 << zeros) - 1 >> zeros << zeros
            if number < self._low + self._range:
                break
        self._low = number
        for _ in range(4):
            self._shift()
        return bytes(self._data).rstrip(b"\0")

    def _code(self, bit: int, one: int) -> int:
        split = (self._range >> 16) * one
        if bit:
            self._range = split
        else:
            self._low += split
            self._range -= split
        while self._range < _BYTE_RANGE:
            self._range <<= 8
            self._shift()
        return bit

    def _shift(self) -> None:
        """Moves the highest byte of the low end to the data, and a carry into what is there."""
        if self._low > _MASK:
            last = len(self._data) - 1
            while self._data[last] == 255:
                self._data[last] = 0
                last -= 1
            self._data[last] += 1
        self._data.append(self._low >> 24 & 255)
        self._low = self._low << 8 & _MASK


class RangeDecoder(Coder):
    """Makes bits of the bytes of an encoder; any others give some bits too."""

    def __init__(self, contexts: int, data: bytes) -> None:
        super().__init__(contexts)
        self._range = _MASK
        self._code_in_range = int.from_bytes((data[:4] + bytes(4))[:4], "big")
        self._data = iter(data[4:])

    def _code(self, bit: int, one: int) -> int:
        split = (self._range >> 16) * one
        bit = int(self._code_in_range < split)
        if bit:
            self._range = split
        else:
            self._code_in_range -= split
            self._range -= split
        while self._range < _BYTE_RANGE:
            self._range <<= 8
            self._code_in_range = (self._code_in_range << 8 & _MASK) | next(self._data, 0)
        return bit
