import math

import pytest

from edgeax.formats.layer_shape import (
    CONV,
    DEPTHWISE,
    FULLY_CONNECTED,
    LayerShape,
    conv,
    depthwise,
    fully_connected,
)


def test_a_convolution_knows_its_sizes():
    shape = conv(56, 64, 128, 3)
    assert shape.name == "conv3x3 56,64,128"
    assert (shape.layer, shape.depth, shape.positions) == (CONV, 576, 3136)
    assert shape.input == (1, 56, 56, 64) and shape.output == (1, 56, 56, 128)
    assert shape.macs == 56 * 56 * 128 * 576


def test_a_stride_reads_more_than_it_gives():
    shape = conv(14, 3, 8, 5, stride=2)
    assert shape.name == "conv5x5/2x2 14,3,8"
    assert shape.input == (1, 28, 28, 3) and shape.output == (1, 14, 14, 8)


def test_a_depthwise_channel_has_the_weights_of_one_window():
    shape = depthwise(28, 32, 3)
    assert shape.name == "depthwise3x3 28,32,32"
    assert (shape.layer, shape.depth, shape.macs) == (DEPTHWISE, 9, 28 * 28 * 32 * 9)


def test_a_matrix_product_has_one_row_unless_said():
    shape = fully_connected(300, 10)
    assert (shape.name, shape.macs) == ("FC 300x10", 3000)
    assert (shape.input, shape.output) == ((1, 300), (1, 10))
    rows = LayerShape(FULLY_CONNECTED, (7, 1), (1, 1), (1, 1), 300, 10)
    assert (rows.name, rows.input, rows.output) == ("FC 7 rows, 300x10", (7, 300), (7, 10))


def test_an_image_that_is_not_square_is_named_by_both_sides():
    assert LayerShape(CONV, (49, 10), (10, 4), (2, 1), 1, 8).name == "conv10x4/2x1 49x10,1,8"


@pytest.mark.parametrize(
    "one, other, expected",
    [
        (conv(8, 16, 16, 3), conv(8, 16, 16, 3), 0.0),
        (conv(8, 16, 16, 3), conv(16, 16, 16, 3), 1.0),  # 4 times the positions
        (conv(8, 16, 16, 3), conv(8, 32, 64, 3), math.sqrt(1 + 4)),
        (conv(8, 16, 16, 3), conv(8, 16, 16, 3, stride=2), 1.0),
        (conv(8, 9, 16, 5), conv(8, 25, 16, 3), 0.0),  # as many weights a channel
        (conv(8, 16, 16, 3), conv(8, 144, 16, 1), math.inf),
        (conv(1, 16, 16, 1), fully_connected(16, 16), math.inf),
        (depthwise(8, 16, 3), conv(8, 1, 16, 3), math.inf),
        (fully_connected(256, 10), fully_connected(512, 20), math.sqrt(2)),
    ],
)
def test_the_distance_is_that_worked_out_by_hand(one, other, expected):
    assert one.distance(other) == other.distance(one) == pytest.approx(expected)
