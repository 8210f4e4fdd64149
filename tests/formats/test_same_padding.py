import keras
import pytest

from edgeax.formats.same_padding import same_padding


@pytest.mark.parametrize(
    "size, kernel, stride, dilation, expected",
    [
        (7, 3, 1, 1, (1, 1)),
        (7, 2, 1, 1, (0, 1)),
        (8, 3, 2, 1, (0, 1)),
        (7, 3, 2, 1, (1, 1)),
        (7, 3, 1, 2, (2, 2)),
        (4, 1, 3, 1, (0, 0)),
        (5, 5, 7, 1, (0, 0)),
    ],
)
def test_amounts_are_those_worked_out_by_hand(size, kernel, stride, dilation, expected):
    assert same_padding(size, kernel, stride, dilation) == expected


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("kernel, stride", [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_keras_gives_as_many_outputs(size, kernel, stride):
    before, behind = same_padding(size, kernel, stride)
    layer = keras.layers.Conv1D(1, kernel, strides=stride, padding="same")
    outputs = layer.compute_output_shape((1, size, 1))[1]
    assert (size + before + behind - kernel) // stride + 1 == outputs
