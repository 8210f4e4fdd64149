import pytest

from edgeax.runtime.mcu.operators import HANDLERS
from tests.runtime.mcu import product_cases


def step_of(shape: tuple[int, ...], target: str):
    return product_cases.fully_connected(1, shape, 10).case(target, "double").step


def test_few_rows_take_no_scratch():
    step = step_of((3, 64), "cortex-m4")
    assert (step.kernel, step.scratch_bytes, step.macs) == ("FullyConnected", 0, 3 * 64 * 10)


def test_many_rows_and_odd_ones_are_convolutions():
    assert step_of((4, 64), "cortex-m55").kernel == "Conv2D"
    assert step_of((1, 30), "cortex-m4").kernel == "Conv2D"  # not whole words
    assert step_of((1, 30), "cortex-m55").kernel == "FullyConnected"


def test_dimensions_may_be_kept():
    drawn = product_cases.fully_connected(2, (2, 3, 8), 5, keep_num_dims=True)
    step = drawn.case("host", "single").step
    assert step.macs == 6 * 8 * 5


def test_shuffled_weights_are_refused():
    node = product_cases.fully_connected(1, (1, 8), 5).node("host", "double")
    node.operator._raw.builtinOptions.weightsFormat = 1
    with pytest.raises(ValueError, match="its weights must be in the default format. Received: 1"):
        HANDLERS["FULLY_CONNECTED"](node)


@pytest.mark.parametrize("tensor, shape", [(0, (1, 9)), (3, (1, 6)), (3, (2, 5))])
def test_rows_that_do_not_fit_are_refused(tensor, shape):
    node = product_cases.fully_connected(1, (1, 8), 5).node("host", "double")
    node.tensors[tensor].shape = shape
    with pytest.raises(ValueError, match="its input must be rows of 8 codes"):
        HANDLERS["FULLY_CONNECTED"](node)
