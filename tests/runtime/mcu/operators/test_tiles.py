import numpy as np
import pytest

from edgeax.runtime.mcu.operators import tiles
from edgeax.runtime.mcu.targets import TARGETS


def test_blocks_of_the_four_channels_of_a_tile_follow_each_other():
    weights = np.arange(1, 37, dtype=np.int8).reshape(1, 6, 1, 6)
    layout = tiles.Layout(block=4, multiple=4, spare_bytes=0, expands=True)
    flat = tiles.tiled(weights, layout)
    assert flat[:16].tolist() == [1, 2, 3, 4, 7, 8, 9, 10, 13, 14, 15, 16, 19, 20, 21, 22]
    assert flat[16:32].tolist() == [5, 6, 0, 0, 11, 12, 0, 0, 17, 18, 0, 0, 23, 24, 0, 0]
    assert flat[32:40].tolist() == [25, 26, 27, 28, 31, 32, 33, 34]
    assert flat.size == 2 * 4 * 8 and not flat[40:48].any()


def test_the_last_block_of_a_run_is_shorter_where_runs_are_not_filled_up():
    weights = np.arange(1, 41, dtype=np.int8).reshape(1, 4, 2, 5)
    layout = tiles.Layout(block=4, multiple=1, spare_bytes=15, expands=False)
    flat = tiles.tiled(weights, layout)
    assert flat[16:20].tolist() == [5, 15, 25, 35]  # of the first run
    assert flat[20:24].tolist() == [6, 7, 8, 9]  # the second run
    array = tiles.weights_array([flat], layout, [5])
    assert array.data.size == 40 + 15 and not array.data[40:].any()
    assert tiles.weights_array([flat], layout, [4, 8]).data.size == 40


def test_channels_of_each_group_are_filled_up():
    assert tiles.per_tile(np.array([1, 2, 3, 4, 5, 6]), 2).tolist() == [1, 2, 3, 0, 4, 5, 6, 0]


def test_a_factor_that_all_channels_share_is_kept_once():
    same = tiles.factors_of(np.array([0.01, 0.01, 0.01]))
    assert same.is_one and same.struct().fields["multiplier"].data.tolist() == [1374389535]
    assert same.struct().fields["shift"].data.tolist() == [-6]  # 0.01 = 0.64 / 64
    two = tiles.factors_of(np.array([0.01, 0.02]))
    assert not two.is_one and two.struct().fields["shift"].data.tolist() == [-6, -5, 0, 0]


@pytest.mark.parametrize(
    "bias, shift, rounding, expected",
    [
        (0, -1, "double", True),
        (0, -1, "single", False),
        (0, 0, "double", False),  # a factor of 1/2 or more
        (0, -20, "single", True),
        (0, -21, "double", False),
        (2**29 - 128, -5, "double", False),
        (2**29 - 129, -5, "double", True),
        (-(2**29), -5, "double", False),
    ],
)
def test_layers_are_quick_whose_sums_and_shifts_are_small(bias, shift, rounding, expected):
    factors = tiles.ScaledFactors(np.int32([2**30]), np.int8([shift]))
    weights = np.int8([[1]])
    assert tiles.is_quick(np.int32([bias]), weights, factors, rounding) == expected


def test_rooms_of_tiles_by_target():
    def sizes(target: str, quick: bool, decodes: bool, run: int = 12) -> list[tuple[int, bool]]:
        found = tiles.rooms(TARGETS[target], 1, run, quick, decodes)
        return [(room.size_bytes, room.is_expanded) for room in found]

    assert sizes("cortex-m4", True, False) == [(96, True), (0, False)]
    assert sizes("cortex-m4", True, True) == [(96, True), (48, False)]
    assert sizes("cortex-m4", False, True) == [(48, False)]
    assert sizes("cortex-m55", True, False) == [(0, False)]
    assert sizes("cortex-m55", True, True) == [(64, False)]  # 15 bytes are read behind them
    assert sizes("cortex-m55", True, True, 16) == [(64, False)]  # whole blocks
    assert sizes("host", True, False) == [(0, False)]


def test_carried_tiles_hold_two_channels_in_a_half_word():
    weights = np.int8([[1, 2, 3, -4], [5, 6, 7, 8], [9, 10, 11, 12]])
    words = tiles.carried(weights).view("<i2").tolist()
    assert words[:4] == [1 + 256 * 5, 3 + 256 * 7, 2 + 256 * 6, -4 + 256 * 8]
    assert words[4:] == [9, 11, 10, 12]  # there is no fourth channel
    assert tiles.carried_bias(np.int32([-1, 3, 7])).tolist() == [-1, 767, 7, 7]


@pytest.mark.parametrize(
    "weights, bias, expected",
    [
        ([[-1, 0, 0, 0], [-127, 0, 0, 0]], [0, 0], True),
        ([[-1, 0, 0, 0], [-128, 0, 0, 0]], [0, 0], False),  # no half word holds both
        ([[1, 0, 0, 0], [-128, 0, 0, 0]], [0, 0], True),
        ([[0, 0, 0, 0], [1, 0, 0, 0]], [0, 2**23 - 128], False),
        ([[0, 0, 0, 0], [1, 0, 0, 0]], [0, 2**23 - 129], True),
    ],
)
def test_tiles_can_be_carried_whose_sums_are_small(weights, bias, expected):
    assert tiles.can_carry(np.int32(bias), np.int8(weights)) == expected


@pytest.mark.parametrize(
    "weights, bias, expected",
    [
        (np.ones((4, 2, 64)), 0, 32),  # 64 products of 128 would be 2**13
        (np.ones((4, 2, 60)), 0, 60),
        (np.ones((4, 1, 68)), 0, 0),  # no pieces of 16 and more
        (np.tile([[1, -1, 0, 0]], (4, 2, 24)).reshape(4, 2, 96), 0, 96),
        (np.full((4, 1, 16), 2), 0, 0),
        (np.ones((4, 1, 16)), 2**17 - 16 * 128 - 1, 16),
        (np.ones((4, 1, 16)), 2**17 - 16 * 128, 0),
    ],
)
def test_tiles_are_paired_in_pieces_whose_sums_leave_14_bits(weights, bias, expected):
    biases = np.full(4, -bias, np.int32)
    found = tiles.piece_of(biases, weights.astype(np.int8)[np.newaxis], weights.shape[-1])
    assert found == expected


def test_paired_tiles_take_as_much_room_as_decoded_ones():
    (paired, plain) = tiles.rooms(TARGETS["cortex-m4"], 1, 12, True, True, piece_bytes=12)
    assert paired == tiles.Room(48, True, 12) and plain == tiles.Room(48, False)
    assert tiles.rooms(TARGETS["cortex-m4"], 1, 12, False, True, 12) == [plain]
