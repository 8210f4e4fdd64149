"""Structures: which weights are pruned together, and how many groups of them go.

A weight comes in canonical layout: axes of space, then of input channels, then of output channels.
A convolution's kernel is `(height, width, inputs, outputs)`, an LSTM's `(inputs, units, gates)`.
"""

import abc
import math
import numbers
import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from edgeax.formats.methods import implements

InputAxes = tuple[int, ...] | None


class Structure(abc.ABC):
    """Divides a weight into groups that are pruned as one.

    `input_axes` are the axes along which a filter goes through its input channels, as
    `Transform.input_axes` has them: None for the last but one, () where there are none. Those
    before them are of space, those behind them of output channels.
    """

    @abc.abstractmethod
    def sums(self, values: tf.Tensor, input_axes: InputAxes = None) -> tf.Tensor:
        """Returns the sum of `values`, float32 of the weight's shape, in each group."""

    @abc.abstractmethod
    def spread(
        self, groups: tf.Tensor, shape: Sequence[int], input_axes: InputAxes = None
    ) -> tf.Tensor:
        """Returns for each weight what `groups`, shaped as `sums` returns it, has for its group."""

    def kept(self, scores: tf.Tensor, sparsity: tf.Tensor | float) -> tf.Tensor:
        """Returns which groups stay, bool.

        Exactly `round(sparsity * groups)` go, those of the lowest scores; of equal ones the first.

        Args:
            scores: float32 at least 0, shaped as `sums` returns it. NaN counts as the highest.
            sparsity: Share of groups to go, in [0, 1).
        """
        flat = tf.reshape(scores, [-1])
        gone = tf.cast(tf.round(sparsity * float(flat.shape[0])), tf.int32)
        return tf.reshape(without_smallest(flat, gone), scores.shape)

    def mask(
        self, scores: tf.Tensor, sparsity: tf.Tensor | float, input_axes: InputAxes = None
    ) -> tf.Tensor:
        """Returns which weights stay when the groups with the lowest mean score go.

        Args:
            scores: float32 at least 0, one for each weight.
            sparsity: Share of groups to go, in [0, 1).
            input_axes: See the class.

        Returns:
            bool, shape of `scores`.
        """
        means = self.sums(scores, input_axes) / self.sums(tf.ones_like(scores), input_axes)
        return self.spread(self.kept(means, sparsity), scores.shape, input_axes)

    def check(self, shape: Sequence[int], sparsity: float, input_axes: InputAxes = None) -> None:
        """Checks that a weight of this shape can be pruned so far.

        Raises:
            ValueError: It cannot, or nothing of it would be left.
        """
        count = math.prod(self.sums(tf.ones(shape), input_axes).shape)  # static, also in a graph
        if sparsity and round(sparsity * count) == 0:
            warnings.warn(
                f"A sparsity of {sparsity:g} prunes nothing of a weight of shape {tuple(shape)}, "
                f"of which {self} makes {count} groups. Prune more, or smaller groups.",
                stacklevel=2,
            )
        elif sparsity and round(sparsity * count) >= count:
            raise ValueError(
                f"`sparsity` must leave something of a weight. Received: sparsity={sparsity:g} for "
                f"the {count} groups that {self} makes of shape {tuple(shape)}, which would all "
                "go. Prune less, prune smaller groups, or leave the layer out."
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Structure":
        """Returns the structure that `get_config` described."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Structure):
            return NotImplemented
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), *self.get_config().values()))

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({settings})"


@keras.saving.register_keras_serializable("edgeax")
class Blocks(Structure):
    """Blocks of neighbouring output channels and inputs.

    Inputs are all axes but the last in a row: height, width, channel. A block that sticks out over
    the edge has the weights that it holds; that is warned of.

    Args:
        channels: Output channels in a block, at least 1.
        inputs: Inputs in a block, at least 1.

    Raises:
        ValueError: A number is below 1.
    """

    def __init__(self, channels: int = 1, inputs: int = 1) -> None:
        self.channels, self.inputs = _checked_sides("block", (channels, inputs))

    def sums(self, values: tf.Tensor, input_axes: InputAxes = None) -> tf.Tensor:
        """See `Structure.sums`; shape `(blocks of inputs, blocks of channels)`."""
        rows = tf.reshape(values, [-1, _width(values.shape, input_axes)])
        if (self.channels, self.inputs) == (1, 1):
            return rows
        height, width = (int(size) for size in rows.shape)
        padded = tf.pad(rows, [[0, -height % self.inputs], [0, -width % self.channels]])
        tall, wide = padded.shape[0] // self.inputs, padded.shape[1] // self.channels
        tiles = tf.reshape(padded, [tall, self.inputs, wide, self.channels])
        return tf.reduce_sum(tiles, axis=[1, 3])

    def spread(
        self, groups: tf.Tensor, shape: Sequence[int], input_axes: InputAxes = None
    ) -> tf.Tensor:
        """See `Structure.spread`."""
        wide = tf.repeat(tf.repeat(groups, self.inputs, axis=0), self.channels, axis=1)
        channels = _width(shape, input_axes)
        rows = math.prod(map(int, shape)) // channels
        return tf.reshape(wide[:rows, :channels], shape)

    def check(self, shape: Sequence[int], sparsity: float, input_axes: InputAxes = None) -> None:
        """See `Structure.check`; warns of blocks that stick out."""
        super().check(shape, sparsity, input_axes)
        channels = _width(shape, input_axes)
        rows = math.prod(map(int, shape)) // channels
        if rows % self.inputs or channels % self.channels:
            warnings.warn(
                f"Blocks of {self.channels} channels and {self.inputs} inputs do not divide the "
                f"{channels} channels and {rows} inputs of a weight of shape {tuple(shape)}: the "
                "last ones hold fewer weights.",
                stacklevel=2,
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"channels": self.channels, "inputs": self.inputs}


@keras.saving.register_keras_serializable("edgeax")
class NofM(Structure):
    """Of every `m` inputs of an output channel in a row, `n` stay: `2:4` and the like.

    Args:
        n: Weights that stay of every `m`, at least 1, below `m`.
        m: Weights in a group.

    Raises:
        ValueError: A number is out of its range; when a weight is known: `m` does not divide its
            inputs.
    """

    def __init__(self, n: int, m: int) -> None:
        whole = all(isinstance(v, numbers.Integral) for v in (n, m))
        if not whole or not 1 <= n < m:
            raise ValueError(
                "`n` and `m` must be integers with 1 <= n < m: n of every m weights stay. "
                f"Received: n={n}, m={m}."
            )
        self.n, self.m = int(n), int(m)

    @property
    def sparsity(self) -> float:
        """The share of zeros that it comes to, in 0..1."""
        return 1.0 - self.n / self.m

    def sums(self, values: tf.Tensor, input_axes: InputAxes = None) -> tf.Tensor:
        """See `Structure.sums`; every weight is a group, shape `(channels, inputs / m, m)`."""
        rows = tf.transpose(tf.reshape(values, [-1, _width(values.shape, input_axes)]))
        return tf.reshape(rows, [rows.shape[0], -1, self.m])

    def spread(
        self, groups: tf.Tensor, shape: Sequence[int], input_axes: InputAxes = None
    ) -> tf.Tensor:
        """See `Structure.spread`."""
        rows = tf.reshape(groups, [groups.shape[0], -1])
        return tf.reshape(tf.transpose(rows), shape)

    def kept(self, scores: tf.Tensor, sparsity: tf.Tensor | float) -> tf.Tensor:
        """See `Structure.kept`: of every `m`, `round(sparsity * m)` go, but `n` stay at least."""
        gone = tf.cast(tf.round(sparsity * float(self.m)), tf.int32)
        stay = tf.maximum(self.m - gone, self.n)
        ranks = tf.argsort(tf.argsort(scores, stable=True), stable=True)
        return ranks >= self.m - stay

    def check(self, shape: Sequence[int], sparsity: float, input_axes: InputAxes = None) -> None:
        """See `Structure.check`.

        Raises:
            ValueError: `m` does not divide the inputs.
        """
        inputs = math.prod(map(int, shape)) // _width(shape, input_axes)
        if inputs % self.m:
            raise ValueError(
                f"`m` must divide the inputs of an output channel. Received: m={self.m} for "
                f"{inputs} inputs of a weight of shape {tuple(shape)}. Choose another m, use "
                "Blocks, or leave the layer out by the filter of its Rule."
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"n": self.n, "m": self.m}


class _Roles(NamedTuple):
    """The axes of a weight by what they go along."""

    space: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def _roles(rank: int, input_axes: InputAxes) -> _Roles:
    if input_axes is None:
        input_axes = (rank - 2,) if rank > 1 else ()
    first = input_axes[0] if input_axes else rank - 1
    behind = input_axes[-1] + 1 if input_axes else rank - 1
    return _Roles(tuple(range(first)), input_axes, tuple(range(behind, rank)))


def _width(shape: Sequence[int], input_axes: InputAxes) -> int:
    """Returns the number of output channels of a weight."""
    outputs = _roles(len(shape), input_axes).outputs
    return math.prod(int(shape[axis]) for axis in outputs)


class _Axes(Structure):
    """Groups that have every weight along some axes."""

    def together(self, axes: "_Roles") -> Sequence[int]:
        """Returns the axes along which weights go together."""
        raise NotImplementedError

    def sums(self, values: tf.Tensor, input_axes: InputAxes = None) -> tf.Tensor:
        """See `Structure.sums`; the axes that go together have size 1."""
        axes = self.together(_roles(len(values.shape), input_axes))
        return tf.reduce_sum(values, axis=list(axes), keepdims=True)

    def spread(
        self, groups: tf.Tensor, shape: Sequence[int], input_axes: InputAxes = None
    ) -> tf.Tensor:
        """See `Structure.spread`."""
        return tf.broadcast_to(groups, shape)


@keras.saving.register_keras_serializable("edgeax")
class Rows(_Axes):
    """Rows of kernels: the weights along the width, of one row, input and output channel.

    A weight without a width, such as a dense kernel, has rows of one weight.
    """

    def together(self, axes: "_Roles") -> Sequence[int]:
        """See `_Axes.together`."""
        return axes.space[-1:]


@keras.saving.register_keras_serializable("edgeax")
class Kernels(_Axes):
    """Two-dimensional kernels: all weights between one input and one output channel."""

    def together(self, axes: "_Roles") -> Sequence[int]:
        """See `_Axes.together`."""
        return axes.space


@keras.saving.register_keras_serializable("edgeax")
class Filters(_Axes):
    """Whole filters: all weights of one output channel."""

    def together(self, axes: "_Roles") -> Sequence[int]:
        """See `_Axes.together`."""
        return [*axes.space, *axes.inputs]


@keras.saving.register_keras_serializable("edgeax")
class Channels(_Axes):
    """Whole input channels: all weights that read one; of a depthwise kernel, one output channel's.

    A weight without inputs, such as a bias, has groups of one weight.
    """

    def together(self, axes: "_Roles") -> Sequence[int]:
        """See `_Axes.together`."""
        return [*axes.space, *axes.outputs] if axes.inputs else axes.space


@implements(
    "LL16", test="tests/transforms/test_structures.py::test_ll16_shapes_are_taps_across_all_filters"
)
@keras.saving.register_keras_serializable("edgeax")
class Shapes(_Axes):
    """One tap of every filter: the weights at one place (row, column, input channel).

    Their removal makes the matrix of a convolution narrower. Source: [LL16], [WWW16].
    """

    def together(self, axes: "_Roles") -> Sequence[int]:
        """See `_Axes.together`."""
        return axes.outputs


@keras.saving.register_keras_serializable("edgeax")
class Whole(Structure):
    """The whole weight as one group: what goes with it is its layer. Source: [WWW16]."""

    def sums(self, values: tf.Tensor, input_axes: InputAxes = None) -> tf.Tensor:
        """See `Structure.sums`; shape `(1,)`."""
        return tf.reshape(tf.reduce_sum(values), [1])

    def spread(
        self, groups: tf.Tensor, shape: Sequence[int], input_axes: InputAxes = None
    ) -> tf.Tensor:
        """See `Structure.spread`."""
        return tf.broadcast_to(groups, shape)


_WORDS: dict[str, type[Structure]] = {
    "element": Blocks,
    "row": Rows,
    "kernel": Kernels,
    "filter": Filters,
    "channel": Channels,
    "shape": Shapes,
    "layer": Whole,
}
_N_OF_M = re.compile(r"(\d+):(\d+)")


def structure_of(value: Any) -> Structure:
    """Returns a structure from a `Structure`, a word or `"n:m"`.

    Raises:
        ValueError: It is none of these.

    Example: `structure_of("2:4")` is `NofM(2, 4)`.
    """
    if isinstance(value, Structure):
        return value
    match = _N_OF_M.fullmatch(value) if isinstance(value, str) else None
    if match:
        return NofM(int(match[1]), int(match[2]))
    if not isinstance(value, str) or value not in _WORDS:
        raise ValueError(
            f"`structure` must be one of {list(_WORDS)}, 'n:m' such as '2:4', or a structure such "
            f"as Blocks(1, 4). Received: structure={value!r}."
        )
    return _WORDS[value]()


def _checked_sides(name: str, sides: Any) -> tuple[int, int]:
    try:
        channels, inputs = (int(side) for side in sides)
    except (TypeError, ValueError):
        channels = inputs = 0
    if min(channels, inputs) < 1:
        raise ValueError(
            f"`{name}` must be (channels, inputs), each at least 1. Received: {name}={sides!r}."
        )
    return channels, inputs


def blocks_of(block: Sequence[int]) -> Blocks:
    """Returns the blocks of `(channels, inputs)`.

    Raises:
        ValueError: There is no such block.
    """
    return Blocks(*_checked_sides("block", block))


def without_smallest(scores: tf.Tensor, gone: tf.Tensor) -> tf.Tensor:
    """Returns which `scores` (at least 0, shape `(n,)`) are not among the `gone` smallest, bool."""
    ranks = tf.bitcast(scores, tf.int32)  # floats that are not negative lie in order of their bits

    def decide(bit: tf.Tensor, largest: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        trial = largest + tf.bitwise.left_shift(1, bit)
        return bit - 1, tf.where(_count(ranks < trial) < gone, trial, largest)

    # The largest score that goes, bit by bit from the highest: much faster than sorting them all.
    _, largest = tf.while_loop(lambda bit, _: bit >= 0, decide, (30, 0))
    tied = tf.equal(ranks, largest)
    spared = tf.cumsum(tf.cast(tied, tf.int32)) > gone - _count(ranks < largest)
    return tf.logical_or(ranks > largest, tf.logical_and(tied, spared))


def _count(which: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(which, tf.int32))
