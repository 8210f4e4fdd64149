import numpy as np
import pytest

from edgeax.runtime.mcu.operators import windows
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor


def node(shape=(1, 7, 8, 1), output=(1, 4, 4, 1), **options):
    given = {"padding": 0, "strideH": 2, "strideW": 2, "filterHeight": 3, "filterWidth": 3}
    tensors = [Tensor(name, size, np.int8, 1.0) for name, size in (("x", shape), ("y", output))]
    file = File("MAX_POOL_2D", ("Pool2DOptions", given | options), tensors[:1], tensors[1])
    return file.node()


def test_same_padding_is_split_and_the_larger_part_comes_behind():
    height, width = windows.axes_of(node(), (3, 3), has_dilation=False)
    assert height == windows.Axis(7, 4, 3, 2, 1, 1)
    assert width == windows.Axis(8, 4, 3, 2, 1, 0)
    assert height.window.needed(0, 1) == (0, 2) and height.reach == 3


def test_without_padding_only_whole_windows_count():
    height, width = windows.axes_of(node(output=(1, 3, 3, 1), padding=1), (3, 3), False)
    assert (height.output, width.output, height.pad, width.pad) == (3, 3, 0, 0)


def test_what_does_not_suit_is_named():
    with pytest.raises(ValueError, match=r"must have 4 axes"):
        windows.axes_of(node(shape=(7, 8)), (3, 3), False)
    with pytest.raises(ValueError, match=r"must be above 0\. Received: \(3, 3\), \(0, 2\)"):
        windows.axes_of(node(strideH=0), (3, 3), False)
    with pytest.raises(ValueError, match=r"its output must have the shape \(1, 4, 4\)"):
        windows.axes_of(node(output=(1, 5, 4, 1)), (3, 3), False)
    with pytest.raises(ValueError, match=r"its output must have the shape"):
        windows.axes_of(node(shape=(1, 2, 2, 1), output=(1, 0, 0, 1), padding=1), (3, 3), False)
