import numpy as np

import edgeax
from edgeax.formats.layer_shape import conv
from edgeax.runtime.operator_files import built_in_file
from edgeax.runtime.placed_inputs import on_points, on_steps

SHAPE = conv(4, 8, 6, 3)


def answers(place, table):
    """What a convolution gives of inputs that are placed, and of those that a table says."""
    source = np.random.default_rng(1)
    weights = source.integers(-127, 128, (SHAPE.outputs, SHAPE.depth), dtype=np.int8)
    file = built_in_file(SHAPE, weights, np.full(SHAPE.outputs, 0.01, np.float32), "int8")
    codes = source.integers(-128, 128, SHAPE.input, dtype=np.int8)
    codes.flat[:2] = -128, 127
    placed, plain = (edgeax.Interpreter(model_content=one) for one in (place(file), file))
    wanted = plain.run(table[codes.astype(np.int32) + 128], raw=True)
    assert len(np.unique(wanted)) > 20
    return placed.run(codes, raw=True), wanted, placed.details


def test_points_are_looked_up_by_the_code():
    points = np.random.default_rng(0).choice(np.array([-100, -7, 0, 90], np.int8), 256)
    placed, wanted, details = answers(lambda file: on_points(file, points), points)
    assert np.array_equal(placed, wanted)
    names = [operator.name for operator in details.operators]
    assert names == ["CAST", "ADD", "GATHER", "CONV_2D"]


def test_levels_begin_at_their_ends():
    table = np.select([np.arange(-128, 128) < end for end in (-20, 30)], [-50, 0], 50)
    placed, wanted, details = answers(
        lambda file: on_steps(file, [-20, 30], [-50, 0, 50]), table.astype(np.int8)
    )
    assert np.array_equal(placed, wanted)
    names = [operator.name for operator in details.operators]
    assert names == 2 * ["GREATER_EQUAL", "SELECT_V2"] + ["CONV_2D"]


def test_a_single_end_takes_two_operators():
    table = np.where(np.arange(-128, 128) < 0, -50, 50).astype(np.int8)
    placed, wanted, _ = answers(lambda file: on_steps(file, [0], [-50, 50]), table)
    assert np.array_equal(placed, wanted)
