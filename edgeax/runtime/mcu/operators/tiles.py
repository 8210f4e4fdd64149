"""Weights and factors as the products of 4 channels read them: tflite_kernels/micro/tile.h."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from edgeax.formats import rounding
from edgeax.runtime.mcu.program import Array, Struct
from edgeax.runtime.mcu.targets import Target

CHANNELS = 4
HEAD_BYTES = 72  # kTileHeadBytes
_QUICK_SUM = 2**29
_CARRIED_SUM = 2**23
_PAIRED_PIECE, _PAIRED_SUM = 2**13, 2**17
_LEAST_PIECE = 16
_SHIFTS = {"single": (-20, -2), "double": (-20, -1)}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a target likes weights.

    Attributes:
        block: Weights of a channel that lie together.
        multiple: What the weights of a run are filled up to a multiple of.
        spare_bytes: What loops may read behind the weights.
        expands: Whether a tile that is swept over many pixels is faster in 16 bits.
    """

    block: int
    multiple: int
    spare_bytes: int
    expands: bool


def layout_for(target: Target) -> Layout:
    """Returns the layout for a target."""
    if target.has_helium:
        return Layout(16, 1, 15, expands=False)
    if target.has_dsp:
        return Layout(4, 4, 0, expands=True)
    return Layout(16, 1, 0, expands=False)


def tiled(weights: np.ndarray, layout: Layout) -> np.ndarray:
    """Returns weights in the order of tile.h.

    Args:
        weights: int8, shape (groups, channels of a group, runs, weights of a run).
        layout: How the target likes them.

    Returns:
        int8, flat; channels filled up to tiles and runs as `layout` says, with zeros.
    """
    groups, channels, runs, size = weights.shape
    fill = ((0, 0), (0, -channels % CHANNELS), (0, 0), (0, -size % layout.multiple))
    weights = np.pad(weights, fill)
    weights = weights.reshape(groups, -1, CHANNELS, runs, weights.shape[-1]).swapaxes(2, 3)
    blocks = [
        weights[..., begin : begin + layout.block].reshape(*weights.shape[:3], -1)
        for begin in range(0, weights.shape[-1], layout.block)
    ]
    return np.concatenate(blocks, axis=-1).reshape(-1)


def can_carry(bias: np.ndarray, weights: np.ndarray) -> bool:
    """Returns whether a quick layer can have carried tiles, see tile.h.

    Args:
        bias: int32, one per channel, folded.
        weights: int8, shape (channels, weights of a channel), whole blocks.
    """
    most = 128 * np.abs(weights.astype(np.int64)).sum(axis=1) + np.abs(bias.astype(np.int64))
    even, odd = _filled(weights)[0::2], _filled(weights)[1::2]
    return bool(np.all(most < _CARRIED_SUM) and not np.any((odd == -128) & (even < 0)))


def carried(weights: np.ndarray) -> np.ndarray:
    """Returns weights in the order of carried tiles, int8, flat; arguments as of `can_carry`."""
    wide = _filled(weights).astype(np.int16)
    both = wide[0::2] + 256 * wide[1::2]
    blocks = both.reshape(-1, 2, weights.shape[1] // 4, 4)  # tiles, pairs of channels, blocks
    ordered = blocks[..., [0, 2, 1, 3]].swapaxes(1, 2)
    return np.ascontiguousarray(ordered).astype("<i2").view(np.int8).reshape(-1)


def carried_bias(bias: np.ndarray) -> np.ndarray:
    """Returns biases, filled up to tiles, as carried tiles have them, int32."""
    wide = per_tile(bias, 1).astype(np.int64)
    wide[1::2] = wide[0::2] + 256 * wide[1::2]
    return wide.astype(np.int32)


def piece_of(bias: np.ndarray, weights: np.ndarray, run_bytes: int) -> int:
    """Returns the weights of a channel in the pieces of paired tiles, see tile.h.

    Args:
        bias: int32, one per channel, folded.
        weights: int8, shape (groups, channels of a group, runs, weights of a run).
        run_bytes: The weights of a run, filled up to whole blocks of 4.

    Returns:
        The longest pieces that paired sums allow; 0: the tiles of the layer cannot be paired.
    """
    size = np.abs(weights.astype(np.int32))
    totals = 128 * size.sum(axis=(2, 3), dtype=np.int64).reshape(-1) + np.abs(bias.astype(np.int64))
    if size.max(initial=0) > 1 or totals.max(initial=0) >= _PAIRED_SUM:
        return 0
    filled = np.pad(size[:, 0::2], ((0, 0), (0, 0), (0, 0), (0, run_bytes - size.shape[3])))
    for count in range(1, max(run_bytes // _LEAST_PIECE, 1) + 1):
        piece, rest = divmod(run_bytes, count)
        if rest or piece % 4:
            continue
        sums = filled.reshape(*filled.shape[:3], count, piece).sum(axis=-1)
        if 128 * sums.max(initial=0) < _PAIRED_PIECE:
            return piece
    return 0


def _filled(weights: np.ndarray) -> np.ndarray:
    return np.pad(weights, ((0, -len(weights) % CHANNELS), (0, 0)))


def weights_array(parts: Sequence[np.ndarray], layout: Layout, runs: Iterable[int]) -> Array:
    """Returns weights in flash, with what loops may read behind them.

    Args:
        parts: Results of `tiled`.
        layout: How the target likes them.
        runs: Bytes of the runs that occur.
    """
    spare = layout.spare_bytes if any(run % layout.block for run in runs) else 0
    return Array("weights", np.concatenate([*parts, np.zeros(spare, np.int8)]))


def per_tile(values: np.ndarray, groups: int) -> np.ndarray:
    """Returns numbers of channels, those of each group filled up to tiles with zeros."""
    values = values.reshape(groups, -1)
    return np.pad(values, ((0, 0), (0, -values.shape[1] % CHANNELS))).reshape(-1)


@dataclasses.dataclass(frozen=True)
class Room:
    """Room of the weights of a tile in scratch.

    Attributes:
        size_bytes: Its bytes; 0: the weights are read where they lie.
        is_expanded: Whether they are widened to 16 bits there.
        piece_bytes: Weights of a piece of paired tiles, see tile.h; 0: they are not paired.
    """

    size_bytes: int
    is_expanded: bool
    piece_bytes: int = 0


def rooms(
    target: Target, runs: int, run_bytes: int, quick: bool, decodes: bool, piece_bytes: int = 0
) -> list[Room]:
    """Returns the rooms that a tile can have, fastest first, smallest last.

    Args:
        target: The processor.
        runs: Runs of a patch.
        run_bytes: Weights of a channel in a run, filled up.
        quick: Whether TilePlan::is_quick holds.
        decodes: Whether the weights are packed, so that a tile is decoded to its room.
        piece_bytes: See `piece_of`.
    """
    layout, patch_bytes = layout_for(target), runs * run_bytes
    spare = layout.spare_bytes if run_bytes % layout.block else 0
    decoded = -(-(CHANNELS * patch_bytes + spare) // 8) * 8
    least = Room(decoded if decodes else 0, is_expanded=False)
    if layout.expands and quick and piece_bytes:
        return [Room(CHANNELS * patch_bytes, True, piece_bytes), least]
    if layout.expands and quick:
        return [Room(2 * CHANNELS * patch_bytes, is_expanded=True), least]
    return [least]


@dataclasses.dataclass(frozen=True)
class ScaledFactors:
    """Factors from sums to output codes.

    Attributes:
        multiplier: int32, one per channel.
        shift: int8, one per channel.
    """

    multiplier: np.ndarray
    shift: np.ndarray

    @property
    def is_one(self) -> bool:
        """Whether all channels have the same."""
        pairs = set(zip(self.multiplier.tolist(), self.shift.tolist(), strict=True))
        return len(pairs) == 1

    def struct(self, groups: int = 1) -> Struct:
        """Returns what C++ calls Factors."""
        multiplier, shift = (
            (self.multiplier[:1], self.shift[:1])
            if self.is_one
            else (per_tile(self.multiplier, groups), per_tile(self.shift, groups))
        )
        fields = {"multiplier": Array("multipliers", multiplier), "shift": Array("shifts", shift)}
        return Struct("Factors", dict(fields))


def factors_of(ratios: np.ndarray) -> ScaledFactors:
    """Returns the factors nearest to float64 ratios."""
    pairs = [rounding.quantize_multiplier(float(ratio)) for ratio in ratios]
    multiplier, shift = zip(*pairs, strict=True)
    return ScaledFactors(np.array(multiplier, np.int32), np.array(shift, np.int8))


def is_quick(
    bias: np.ndarray, weights: np.ndarray, factors: ScaledFactors, rounding_kind: str
) -> bool:
    """Returns whether scaling the sums of a layer needs no saturation, see TilePlan::is_quick.

    Args:
        bias: int32, one per channel, folded.
        weights: int8, shape (channels, weights of a channel).
        factors: One per channel.
        rounding_kind: "single" or "double".
    """
    most = 128 * np.abs(weights.astype(np.int64)).sum(axis=1) + np.abs(bias.astype(np.int64))
    low, high = _SHIFTS[rounding_kind]
    shifts_fit = (factors.shift >= low) & (factors.shift <= high) & (factors.multiplier > 0)
    return bool(np.all(most < _QUICK_SUM) and np.all(shifts_fit))
