"""Codes and their most significant bits, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from edgeax.training.code_bits import coded, limit_of

X = tf.constant([[0.3, -1.0], [0.2, 0.5]])


@pytest.mark.parametrize(
    "kind, limit",
    [
        ("batch", 0.75),
        ("sample", [[1.0], [0.5]]),
        ("kernel", [[0.3, 1.0]]),
        ("gradient", 1.0),
    ],
)
def test_wjc19_limits_worked_out_by_hand(kind, limit):
    np.testing.assert_allclose(limit_of(X, kind), limit)
    assert np.all(limit_of(tf.zeros_like(X), kind) == 1.0)


def test_wjc19_codes_worked_out_by_hand():
    # Steps of 2 * 4 / 2**3 = 1: codes from -4 to 3.
    values = coded(tf.constant([-9.0, -3.4, -0.4, 0.6, 2.4, 4.0]), tf.constant(4.0), 3)
    assert values.numpy().tolist() == [-4.0, -3.0, 0.0, 1.0, 2.0, 3.0]


def test_wjc19_most_significant_bits_are_those_of_the_same_codes():
    codes = tf.constant([-128.0, -127.0, -1.0, 0.0, 15.0, 16.0, 127.0])
    most = coded(codes, tf.constant(128.0), 8, most=4)
    assert most.numpy().tolist() == [-128.0, -128.0, -16.0, 0.0, 0.0, 16.0, 112.0]


def test_a_carry_rounds_and_stays_in_range():
    codes = tf.constant([-128.0, -127.0, -1.0, 7.0, 8.0, 24.0, 127.0])
    most = coded(codes, tf.constant(128.0), 8, most=4, carry=True)
    assert most.numpy().tolist() == [-128.0, -128.0, 0.0, 0.0, 16.0, 32.0, 112.0]


def test_all_bits_are_the_codes_themselves():
    limit = limit_of(X, "gradient")
    np.testing.assert_array_equal(coded(X, limit, 8, most=8), coded(X, limit, 8))
