"""Where the units of a group lie along axes."""

import keras
import numpy as np
import pytest

from edgeax.pruning import slices

UNITS = np.array([1, 0, -1, 1, 0])


def test_positions_of_a_unit_add_up():
    units = np.array([0, 1, -1, 0])
    assert slices.per_unit(np.float64([1, 2, 4, 8]), units, 3).tolist() == [9, 2, 0]


def test_positions_come_unit_by_unit_in_their_order():
    assert slices.positions_of_units(UNITS, 2).tolist() == [[1, 4], [0, 3]]


@pytest.mark.parametrize(
    "units, even", [(UNITS, True), ([0, 1, 0], False), ([0, 0], False), ([1, 0, -1, -1], True)]
)
def test_units_are_even_if_all_have_as_many_positions(units, even):
    assert slices.is_even(np.array(units), 2) is even


def test_a_slice_means_a_variable_by_its_name_or_the_end_of_its_path():
    layer = keras.layers.Bidirectional(keras.layers.LSTM(2, name="lstm"))
    layer.build((None, 3, 4))
    meant = [v for v in layer.weights if slices.is_named(v, "forward_lstm/lstm_cell/kernel")]
    assert [variable is layer.weights[0] for variable in meant] == [True]
    assert not any(slices.is_named(v, "ernel") for v in layer.weights)
