"""Packing: channels in another order, so that small weights lie together in blocks."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model.channels import ChannelGroup, channel_groups
from edgeax.model.rewrite import layers_by_path
from edgeax.model.select_channels import permute_channels
from edgeax.post_training.linear import why_not_linear
from edgeax.pruning.slices import is_even, positions_of_units
from edgeax.transforms.checks import checked_count, checked_seed
from edgeax.transforms.schedules import check_sparsity

_MOST_TURNS = 20
_DRAWN = 6  # orders to begin from, beside the given one and that by magnitude
_TEST = "tests/pruning/test_packing.py::"

# What positions the units of one group take along one axis of a matrix.
Places = tuple[int, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix:
    """Magnitudes of a kernel: a row for each input, a column for each output channel.

    Attributes:
        values: float64 `(rows, columns)`.
        rows: The number of a group, and int `(units, places)`: the rows of each of its units; None
            where rows stay.
        columns: The same of columns.
    """

    values: np.ndarray
    rows: Places | None
    columns: Places | None

    def arranged(self, orders: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the values with units in the given orders."""
        height, width = self.values.shape
        by_rows = self.values[_sources(self.rows, height, orders)]
        return by_rows[:, _sources(self.columns, width, orders)]


@implements("JLD18", test=_TEST + "test_jld18_packing_keeps_at_least_what_the_given_order_keeps")
def pack_permutation(
    kernel: np.ndarray, block: int, sparsity: float = 0.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns orders of the inputs and outputs of a kernel that pack small weights into blocks.

    In turns, inputs and outputs change places: with the blocks that would be kept held fixed, each
    unit is worth in each block what of its magnitudes would be kept there, and units swap places as
    long as that pays; then blocks are chosen anew. It begins from the given order, from one by
    magnitude, and from some that are drawn, and returns what keeps most, never less than the given
    order. Source: [JLD18]; how units are assigned is our choice.

    Args:
        kernel: float32 `(..., inputs, outputs)`. Leading axes, such as height and width, stay.
        block: Inputs and output channels in a block, at least 1.
        sparsity: Share of blocks that will go, in [0, 1).
        seed: Of what is drawn.

    Returns:
        int `(inputs,)` and `(outputs,)`: which one comes first, second, ...

    Raises:
        ValueError: An argument is unusable.

    Example: `rows, columns = pack_permutation(kernel, 4); kernel[rows][:, columns]`
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim < 2:
        raise ValueError(
            f"`kernel` must have inputs and outputs. Received: an array of shape {kernel.shape}."
        )
    _check(block, sparsity, seed)
    *_, inputs, outputs = kernel.shape
    values = np.abs(kernel).reshape(-1, outputs)
    rows = np.arange(len(values)).reshape(-1, inputs).T
    matrix = Matrix(values, (0, rows), (1, np.arange(outputs)[:, None]))
    first, second = packed_orders([matrix], [inputs, outputs], block, sparsity, seed)
    return first, second


def pack_blocks(
    model: keras.Model, block: int, sparsity: float = 0.5, seed: int = 0
) -> keras.Model:
    """Returns a copy of a model whose channels stand in such an order that small weights lie
    together in blocks; it computes the same up to the rounding of sums.

    Prune it by `edgeax.Prune(sparsity, block=(block, block))`. Kernels of Dense and convolutions
    count; groups of channels that have to stay in place, as outputs of the model do, stay. See
    `pack_permutation` for how orders are found; channels that several layers share are put into one
    order for all of them. Source: [JLD18].

    Args:
        model: Sequential or functional, not compressed.
        block: Inputs and output channels in a block, at least 1.
        sparsity: Share of blocks that will go, in [0, 1).
        seed: Of what is drawn.

    Raises:
        ValueError: An argument is unusable.

    Example: `edgeax.compress(edgeax.pack_blocks(model, 4), [edgeax.Prune(0.5, block=(4, 4))])`
    """
    _check(block, sparsity, seed)
    groups = [group for group in channel_groups(model) if not group.reason and _is_even(group)]
    orders = packed_orders(
        matrices_of(model, groups), [group.size for group in groups], block, sparsity, seed
    )
    return permute_channels(
        model, {group.name: order for group, order in zip(groups, orders, strict=True)}
    )


def kept_l1(values: np.ndarray, block: int, sparsity: float) -> float:
    """Returns the sum of the magnitudes that stay when the blocks of smallest mean go.

    Args:
        values: `(rows, columns)`, at least 0.
        block: Rows and columns of a block.
        sparsity: Share of blocks that go, in [0, 1).
    """
    sums = _block_sums(values, block)
    return float(sums[_kept(values, block, sparsity)].sum())


def packed_orders(
    matrices: Sequence[Matrix], sizes: Sequence[int], block: int, sparsity: float, seed: int = 0
) -> list[np.ndarray]:
    """Returns an order of the units of each group, for which the most magnitude is kept.

    Args:
        matrices: The kernels.
        sizes: Units of each group.
        block: Rows and columns of a block.
        sparsity: Share of each matrix's blocks that go.
        seed: Of the orders that are drawn.
    """
    generator = np.random.default_rng(seed)
    given = [np.arange(size) for size in sizes]
    starts = [given, [_by_magnitude(matrices, at, size) for at, size in enumerate(sizes)]]
    starts += [[generator.permutation(size) for size in sizes] for _ in range(_DRAWN)]
    ends = [_climbed(matrices, start, block, sparsity) for start in starts]
    kept = [_kept_of_all(matrices, end, block, sparsity) for end in ends]
    return ends[int(np.argmax(kept))]


def _climbed(
    matrices: Sequence[Matrix], orders: Sequence[np.ndarray], block: int, sparsity: float
) -> list[np.ndarray]:
    """Returns orders after turns over all groups, each of which is taken only if it keeps more."""
    found = list(orders)
    best = _kept_of_all(matrices, found, block, sparsity)
    for _ in range(_MOST_TURNS):
        before = best
        for group in range(len(found)):
            trial = list(found)
            trial[group] = _swapped(matrices, found, group, block, sparsity)
            kept = _kept_of_all(matrices, trial, block, sparsity)
            if kept > best:
                found, best = trial, kept
        if best <= before:
            break
    return found


def _swapped(
    matrices: Sequence[Matrix],
    orders: Sequence[np.ndarray],
    group: int,
    block: int,
    sparsity: float,
) -> np.ndarray:
    """Returns an order of one group after swaps that pay while the blocks that are kept are."""
    order = orders[group]
    size = len(order)
    worth = np.zeros((size, size))  # of a unit in a place
    for matrix in matrices:
        arranged = matrix.arranged(orders)
        kept = _kept(arranged, block, sparsity).astype(np.float64)
        sides = ((matrix.rows, arranged, kept), (matrix.columns, arranged.T, kept.T))
        for places, values, mask in sides:
            if places is None or places[0] != group:
                continue
            # Here units stand in their present places: those of `places` in order.
            across = np.add.reduceat(values, np.arange(0, values.shape[1], block), axis=1)
            for lane in places[1].T:
                worth += across[lane] @ mask[lane // block].T
    present = np.arange(size)  # which of the units in order stands where
    for _ in range(2 * size):
        placed = worth[present]
        own = np.einsum("ii->i", placed)
        gain = placed + placed.T - own[:, None] - own
        first, second = np.unravel_index(gain.argmax(), gain.shape)
        if gain[first, second] <= 1e-9 * max(own.sum(), 1e-30):
            break
        present[[first, second]] = present[[second, first]]
    return order[present]


def _by_magnitude(matrices: Sequence[Matrix], group: int, size: int) -> np.ndarray:
    total = np.zeros(size)
    for matrix in matrices:
        for places, axis in ((matrix.rows, 1), (matrix.columns, 0)):
            if places is not None and places[0] == group:
                total += matrix.values.sum(axis)[places[1]].sum(1)
    return np.argsort(total, kind="stable")


def _kept_of_all(
    matrices: Sequence[Matrix], orders: Sequence[np.ndarray], block: int, sparsity: float
) -> float:
    return sum(kept_l1(matrix.arranged(orders), block, sparsity) for matrix in matrices)


def _block_sums(values: np.ndarray, block: int) -> np.ndarray:
    for axis in (0, 1):
        values = np.add.reduceat(values, np.arange(0, values.shape[axis], block), axis=axis)
    return values


def _kept(values: np.ndarray, block: int, sparsity: float) -> np.ndarray:
    """Returns which blocks stay, bool: as `Prune` chooses them."""
    means = _block_sums(values, block) / _block_sums(np.ones(values.shape), block)
    kept = np.ones(means.size, bool)
    kept[np.argsort(means, axis=None, kind="stable")[: round(sparsity * means.size)]] = False
    return kept.reshape(means.shape)


def _sources(places: Places | None, size: int, orders: Sequence[np.ndarray]) -> np.ndarray:
    """Returns which old position comes to each position."""
    sources = np.arange(size)
    if places is not None:
        group, positions = places
        sources[positions] = positions[orders[group]]
    return sources


def matrices_of(model: keras.Model, groups: Sequence[ChannelGroup]) -> list[Matrix]:
    """Returns the kernels of Dense layers and convolutions that units of the groups lie along.

    Args:
        model: The model.
        groups: Some of its groups, of the numbers that the matrices give them.
    """
    layers = layers_by_path(model)
    rows: dict[str, Places] = {}
    columns: dict[str, Places] = {}
    kernels: dict[str, np.ndarray] = {}
    for number, group in enumerate(groups):
        for piece in (*group.makers, *group.readers):
            layer = layers[piece.path]
            is_depthwise = isinstance(
                layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
            )
            if piece.weight != "kernel" or is_depthwise or why_not_linear(layer):
                continue
            kernel = kernels.setdefault(piece.path, np.abs(np.asarray(layer.kernel, np.float64)))
            if piece.axis == kernel.ndim - 1:
                columns[piece.path] = number, positions_of_units(piece.units, group.size)
            elif piece.axis == kernel.ndim - 2:
                taps = int(np.prod(kernel.shape[:-2]))
                tiled = np.tile(piece.units, taps)
                rows[piece.path] = number, positions_of_units(tiled, group.size)
    return [
        Matrix(kernel.reshape(-1, kernel.shape[-1]), rows.get(path), columns.get(path))
        for path, kernel in kernels.items()
    ]


def _is_even(group: ChannelGroup) -> bool:
    """Returns whether all units of a group have equally many channels, so that they can swap."""
    return all(is_even(one.units, group.size) for one in (*group.makers, *group.readers))


def _check(block: int, sparsity: float, seed: int) -> None:
    checked_count("block", block)
    check_sparsity("sparsity", sparsity)
    checked_seed(seed)
