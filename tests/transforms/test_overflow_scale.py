import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import OverflowScale
from edgeax.transforms.followed_exponent import last_exponent


def bound(**settings):
    rule = OverflowScale(**settings)
    rule.bind("activation", ())
    return rule


def after(rule, *batches):
    """Returns the exponent after each batch."""
    exponents = []
    for batch in batches:
        rule.rounded(tf.constant(batch, tf.float32), None, learns=True)
        exponents.append(last_exponent(rule))
    return exponents


def batch(large, share, count=1000):
    x = np.full(count, 0.01)
    x[: round(share * count)] = large
    return x


def test_cbd14_the_scale_follows_the_state_machine():
    # 4 bits, first scale: max 1 gives a step of 2**-2 and a range of 2. A decision every 2 steps.
    rule = bound(width=4, period=2, most=0.01)
    fits = batch(1.0, 0.5)
    assert after(rule, fits, fits) == [-2, -2]  # half the range would overflow: stays
    # 2 % beyond the range of 2 in one step of two: 1 % on average, which is allowed.
    assert after(rule, batch(2.0, 0.02), fits) == [-2, -2]
    assert after(rule, batch(2.0, 0.03), fits) == [-2, -1]  # 1.5 %: doubles
    assert after(rule, batch(3.9, 0.02), batch(3.9, 0.02)) == [-1, -1]  # 2 % beyond half: stays
    assert after(rule, batch(1.9, 0.5), batch(1.9, 0.5)) == [-1, -2]  # none: halves
    small = batch(0.3, 0.5)
    assert after(rule, *[small] * 6) == [-2, -3, -3, -4, -4, -4]


def test_values_saturate_until_the_scale_has_grown():
    rule = bound(width=4, period=1)
    after(rule, [1.0])
    assert rule.rounded(tf.constant([9.0, -9.0, 0.3]), None, False).numpy().tolist() == [
        *(1.75, -2.0, 0.25),
    ]
    assert after(rule, [9.0], [9.0], [9.0], [9.0]) == [-1, 0, 1, 1]


def test_its_settings_are_saved_and_checked():
    made = OverflowScale(12, 50, 1e-3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert again.get_config() == {"width": 12, "period": 50, "most": 1e-3}
    assert OverflowScale().get_config() == {"width": 10, "period": 100, "most": 1e-4}
    with pytest.raises(ValueError, match="`width` of OverflowScale must be an integer in"):
        OverflowScale(1)
    with pytest.raises(ValueError, match="`period` must be an integer, at least 1"):
        OverflowScale(period=0)
