import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import arrays
from edgeax.formats.names import deserialized, serialized
from edgeax.formats.near_zero import NearZeroFloat

VALUES = np.float32([-1.0, -0.25, 0.2, 0.0, 0.25, 3.5])
WANTED = [-1.0, -0.25, 0.0, 0.0, 0.25, 3.5]


def test_values_below_the_threshold_become_zero_and_others_stay():
    format = NearZeroFloat(0.25)
    params = format.fit(VALUES)
    assert params == {} and format.bits == 32
    assert format.decode(format.encode(VALUES, params), params).tolist() == WANTED
    assert format.rounded(VALUES, params, arrays).tolist() == WANTED
    assert format.rounded(tf.constant(VALUES), params, keras.ops).numpy().tolist() == WANTED


def test_settings_come_back():
    format = NearZeroFloat(0.5)
    assert deserialized(serialized(format)) == format == format.per_channel()


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("inf"), float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="`threshold` must be above 0 and finite"):
        NearZeroFloat(threshold)
