import numpy as np
import pytest

from edgeax.formats import Float32


def test_codes_are_the_values_themselves():
    x = np.float32([[1.5, -2.25], [3e-40, 3e38]])
    assert Float32().fit(x) == {}
    codes = Float32().encode(x, {})
    assert codes.dtype == np.float32
    assert np.array_equal(codes, x)
    assert np.array_equal(Float32().decode(codes, {}), x)
    assert Float32().bits == 32


def test_a_scale_multiplies_each_channel():
    params = {"scale": np.float32([2.0, -0.5])}
    assert Float32().decode(np.float32([[1, 1]]), params).tolist() == [[2.0, -0.5]]
    assert Float32().encode(np.float32([[1, 1]]), params).tolist() == [[0.5, -2.0]]


def test_a_scale_of_zero_cannot_be_divided_by():
    with pytest.raises(ValueError, match="must not be 0"):
        Float32().encode(np.ones((1, 2)), {"scale": np.float32([0, 1])})
