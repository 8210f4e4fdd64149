import numpy as np
import tensorflow as tf

from edgeax.formats.binary import Binary
from edgeax.formats.ternary import Ternary
from edgeax.transforms import Heaviside
from edgeax.transforms.few_values import sign, stored
from tests.transforms.bound import activation_chain


def test_signs_are_never_zero():
    assert sign(tf.constant([-0.5, -0.0, 0.0, 2.0])).numpy().tolist() == [-1.0, 1.0, 1.0, 1.0]


def test_stored_units_come_back_times_their_scale_which_may_be_zero():
    signs = np.float32([[1.0, -1.0], [-1.0, 1.0]])
    encoded = stored(signs, Binary(axis=-1), np.float32([3.0, 0.0]), None)
    assert encoded.decode().tolist() == [[3.0, 0.0], [-3.0, 0.0]]
    units = np.float32([[1.0, 0.0], [-1.0, 0.0]])
    assert np.array_equal(stored(units, Ternary(axis=-1), 2.0, None).decode(), 2 * units)


def test_extremes_hold_zero():
    assert activation_chain(Heaviside()).transforms[0].extremes == (0.0, 1.0)
