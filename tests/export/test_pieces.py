import numpy as np
import pytest

from edgeax.export.pieces import (
    MatMul,
    Reversed,
    Sequence,
    Step,
    Steps,
    Sum,
    TimeFromBatch,
    TimeIntoBatch,
)
from edgeax.model import placement
from tests.export.networks import normal

SEQUENCE = normal(2, 3, 4)


def test_a_step_and_all_steps_are_slices_of_the_sequence():
    assert np.array_equal(Step(-1)(SEQUENCE), SEQUENCE[:, 2])
    steps = Steps()(SEQUENCE)
    assert [np.array_equal(step, SEQUENCE[:, i]) for i, step in enumerate(steps)] == [True] * 3
    assert np.array_equal(Sequence()(steps), SEQUENCE)


def test_reversed_turns_time_around():
    assert np.array_equal(Reversed()(SEQUENCE), SEQUENCE[:, ::-1])


def test_time_goes_into_the_batch_and_back():
    batch = TimeIntoBatch()(SEQUENCE)
    assert np.array_equal(batch, SEQUENCE.reshape(6, 4))
    assert np.array_equal(TimeFromBatch(3)(batch), SEQUENCE)
    assert TimeIntoBatch().compute_output_shape((None, 3, 4)) == (None, 4)
    assert TimeIntoBatch().compute_output_shape((2, 3, 4)) == (6, 4)
    assert TimeFromBatch(3).compute_output_shape((6, 4)) == (2, 3, 4)


def test_sum_and_product_are_numpys():
    other = normal(2, 4, 3, seed=5)
    assert np.allclose(MatMul()([SEQUENCE, other]), SEQUENCE @ other, atol=1e-6)
    assert np.array_equal(Sum()([SEQUENCE, SEQUENCE]), 2 * SEQUENCE)


@pytest.mark.parametrize("piece", [Step(1), Steps(), Reversed(), TimeIntoBatch(), TimeFromBatch(3)])
def test_what_moves_values_is_known_to_move_them(piece):
    assert isinstance(piece, placement.MOVING)
    again = type(piece).from_config(piece.get_config())
    assert again.get_config() == piece.get_config()
