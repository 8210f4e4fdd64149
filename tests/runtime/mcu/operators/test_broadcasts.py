import numpy as np
import pytest

from edgeax.runtime.mcu.operators import broadcasts
from edgeax.runtime.mcu.program import Array, Elements
from tests.runtime.mcu import declared
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor


def file_of(a, b, output, constants=()) -> File:
    """An ADD of shapes."""
    inputs = [
        Tensor(word, shape, np.int8, 1.0, 0, np.ones(shape, np.int8) if word in constants else None)
        for word, shape in (("a", a), ("b", b))
    ]
    return File("ADD", ("AddOptions", {}), inputs, Tensor("y", output, np.int8, 1.0, 0), 2)


def loops(a, b, output):
    return broadcasts.operands_of(file_of(a, b, output).node(), (0, 1)).loops.tolist()


@pytest.mark.parametrize(
    "a, b, output, expected",
    [
        ((2, 3, 4), (2, 3, 4), (2, 3, 4), [[24, 1, 1]]),
        ((2, 3, 4), (4,), (2, 3, 4), [[6, 4, 0], [4, 1, 1]]),
        ((2, 3, 4), (1,), (2, 3, 4), [[24, 1, 0]]),
        ((2, 1, 4), (2, 3, 1), (2, 3, 4), [[2, 4, 3], [3, 0, 1], [4, 1, 0]]),
        ((1, 1), (1, 1), (1, 1), [[1, 1, 1]]),
    ],
)
def test_axes_for_which_one_loop_does_are_joined(a, b, output, expected):
    assert loops(a, b, output) == expected


def test_two_computed_operands_of_one_shape_are_taken_element_by_element():
    step = file_of((2, 3), (2, 3), (2, 3)).step()
    assert (step.kernel, step.extent) == ("Add", Elements(6))
    assert step.in_place == ((0, 0), (1, 0))


def test_a_constant_is_read_from_flash_and_only_the_large_operand_may_be_the_output():
    step = file_of((2, 3), (3,), (2, 3), constants="b").step()
    assert (step.kernel, step.extent, step.in_place) == ("AddBroadcast", None, ((0, 0),))
    assert step.reads[0] == 0 and isinstance(step.reads[1], Array)
    assert [*step.arguments.fields] == declared.fields_of("BroadcastAddArgs")
    assert [*step.arguments.fields["broadcast"].fields] == declared.fields_of("Broadcast")


def test_shapes_that_do_not_suit_are_named():
    with pytest.raises(ValueError, match=r"must have the shape that its inputs spread to"):
        file_of((2, 3), (2,), (2, 3)).step()
    with pytest.raises(ValueError, match=r"\(1, 3\) and \(3,\) to \(2, 3\)"):
        file_of((1, 3), (3,), (2, 3)).step()
    with pytest.raises(ValueError, match="one of its inputs must be computed"):
        file_of((3,), (3,), (3,), constants="ab").step()
    many = (2, 1) * 4
    with pytest.raises(ValueError, match="along 6 groups of axes at most"):
        file_of(many, many[::-1], (2,) * 8).step()
