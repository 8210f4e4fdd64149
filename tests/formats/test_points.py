import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import arrays
from edgeax.formats.names import deserialized, serialized
from edgeax.formats.points import Points, middles
from tests.formats.in_graph import assert_graph_rounds_as_numpy, assert_noise_is_unbiased

PARAMS = {"points": np.float32([-1.0, 0.0, 0.5, 2.0])}


def test_values_go_to_the_nearest_point_and_in_a_tie_to_the_lower_one():
    x = np.float32([[-9.0, -0.6, -0.5, -0.4, 0.25, 0.26], [1.25, 1.3, 9.0, 0.0, 0.5, -1.0]])
    codes = Points(4).encode(x, PARAMS)
    assert codes.tolist() == [[0, 0, 0, 1, 1, 2], [2, 3, 3, 1, 2, 0]]
    assert codes.dtype == np.uint8
    values = Points(4).decode(codes, PARAMS)
    assert values.tolist() == [[-1, -1, -1, 0, 0, 0.5], [0.5, 2, 2, 0, 0.5, -1]]


def test_the_graph_rounds_as_numpy():
    assert_graph_rounds_as_numpy(Points(4))
    assert_graph_rounds_as_numpy(Points(7))


def test_points_are_even_quantiles_with_one_at_zero():
    x = np.arange(1, 9, dtype=np.float32)  # shares of an eighth: 2, 4, 5 and 7 of 0..7
    assert Points(4).fit(x)["points"].tolist() == [0.0, 4.0, 5.0, 7.0]
    assert 0.0 in Points(4).fit(-x)["points"]
    points = Points(8).fit(np.random.default_rng(0).normal(size=500))["points"]
    assert np.all(np.diff(points) > 0) and np.count_nonzero(points == 0.0) == 1


def test_noise_is_unbiased():
    assert_noise_is_unbiased(Points(4), [-0.5, 0.2, 0.45, 1.0, 1.9], PARAMS, relative=0.05)


def test_noise_beyond_the_points_and_between_equal_ones_changes_nothing():
    params = {"points": np.float32([0.0, 1.0, 1.0, 1.0])}
    x = np.float32([-3.0, 1.0, 8.0])
    rounded = Points(4).rounded(x, params, arrays, np.float32([0.0, 0.5, 0.99]))
    assert rounded.tolist() == [0.0, 1.0, 1.0]


def test_a_scale_multiplies():
    params = {**PARAMS, "scale": np.float32(2.0)}
    x = np.float32([[-3.0, 0.9, 5.0]])
    assert Points(4).encode(x, params).tolist() == [[0, 2, 3]]
    assert Points(4).rounded(x, params, arrays).tolist() == [[-2.0, 1.0, 4.0]]
    assert np.asarray(Points(4).rounded(tf.constant(x), params, keras.ops)).tolist() == [[-2, 1, 4]]
    assert Points(4).decode(np.uint8([[3]]), params).tolist() == [[4.0]]
    assert Points(4).per_channel() == Points(4)


def test_the_middle_of_huge_points_is_finite():
    assert middles(np.float32([3e38, 3.4e38])).tolist() == pytest.approx([3.2e38], rel=1e-6)


def test_bits_are_those_of_the_largest_index_and_settings_survive_json():
    assert [Points(n).bits for n in (2, 3, 16, 17, 256)] == [1, 2, 4, 5, 8]
    assert deserialized(json.loads(json.dumps(serialized(Points(9))))) == Points(9)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Points(1), r"`entries` must be in 2\.\.256.*entries=1"),
        (lambda: Points(257), "entries=257"),
        (lambda: Points("4"), "`entries` must be an integer.*'4'"),
        (lambda: Points(3).encode(np.zeros(2), PARAMS), r"must be sorted and of shape \(3,\)"),
        (
            lambda: Points(2).encode(np.zeros(2), {"points": [1.0, 0.0]}),
            r"must be sorted.*\[1.0, 0.0\]",
        ),
        (lambda: Points(4).encode(np.float32([np.inf]), PARAMS), "`x` must be finite"),
        (lambda: Points(4).decode(np.uint8([4]), PARAMS), r"`codes` must lie in \[0, 3\].*max=4"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
