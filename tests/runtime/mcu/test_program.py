import numpy as np
import pytest

from edgeax.runtime.mcu.program import Array, Value, Window
from tests.runtime.mcu import steps
from tests.runtime.mcu.steps import step


def test_a_value_knows_its_bytes():
    assert Value(0, "x", "int16", (2, 3, 1)).size_bytes == 12


@pytest.mark.parametrize(
    "window, rows, expected",
    [
        (Window(9, 7, kernel=3), (2, 4), (2, 6)),
        (Window(9, 9, kernel=3, pad=1), (0, 1), (0, 2)),  # row -1 is padding
        (Window(9, 9, kernel=3, pad=1), (8, 9), (7, 9)),
        (Window(9, 5, kernel=3, stride=2, pad=1), (1, 3), (1, 6)),
        (Window(9, 5, kernel=3, dilation=2), (1, 2), (1, 6)),
        (Window(4, 4), (1, 3), (1, 3)),
    ],
)
def test_a_window_tells_the_input_rows_of_output_rows(window, rows, expected):
    assert window.needed(*rows) == expected
    taps = [
        row * window.stride - window.pad + tap * window.dilation
        for row in range(*rows)
        for tap in range(window.kernel)
    ]
    inside = [tap for tap in taps if 0 <= tap < window.input_rows]
    assert (min(inside), max(inside) + 1) == expected


def test_constants_are_no_values_that_a_step_reads():
    assert step([3, Array("w", np.int8([1])), 5], [6]).values_read == (3, 5)


def test_the_memory_of_an_alias_of_an_alias_is_found():
    program = steps.program({0: 4, 1: 4, 2: 4}, [], [0], [2], aliases={2: 1, 1: 0})
    assert program.storage(2) == program.storage(0) == 0
