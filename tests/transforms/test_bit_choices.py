"""BitChoices: each sample has the grid that is chosen for it, and the choice gets a gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.transforms import BitChoices, Quantize, QuantizeGradient, RoundTo
from edgeax.transforms.bit_choices import chosen, current_choice
from tests.transforms.bound import activation_chain, weight_chain
from tests.transforms.modes import in_every_mode

X = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
CHOICE = np.eye(3, dtype=np.float32)[[0, 2, 1, 0]]


def on_grid(bits, value=X):
    grid = Integer(bits)
    params = grid.fit(value)
    return grid.decode(grid.encode(value, params), params)


def by_sample(widths, value=X):
    return np.stack([on_grid(width, value)[i] for i, width in enumerate(widths)])


@in_every_mode
def test_each_sample_has_the_widths_of_its_choice(mode):
    operand = activation_chain(RoundTo("int8", bits=BitChoices([3, 3, 8])))
    back = activation_chain(
        QuantizeGradient(Integer(12), rounding="nearest", bits=BitChoices([4, 6, 12]))
    )
    upstream = X[::-1].copy()

    @mode
    def run(x, choice):
        with tf.GradientTape() as tape:
            tape.watch(x)
            with chosen(choice):
                y = back.call(operand.call(x, training=True), training=True)
        return y, tape.gradient(y, x, output_gradients=tf.constant(upstream))

    y, gradient = run(tf.constant(X), tf.constant(CHOICE))
    assert np.array_equal(y, by_sample([3, 8, 3, 3]))
    assert np.array_equal(gradient, by_sample([4, 12, 6, 4], upstream))
    assert current_choice() is None


def test_outside_a_gated_block_the_last_width_holds():
    operand = activation_chain(RoundTo("int8", bits=BitChoices([3, 8])))
    assert np.array_equal(operand.call(tf.constant(X)), on_grid(8))


def test_fyz20_the_choice_gets_the_gradient_of_what_each_width_would_have_made():
    operand = activation_chain(RoundTo("int8", bits=BitChoices([3, 5, 8])))
    choice, upstream = tf.constant(CHOICE), X[::-1]
    with tf.GradientTape() as tape:
        tape.watch(choice)
        with chosen(choice):
            total = tf.reduce_sum(tf.constant(upstream) * operand.call(tf.constant(X)))
    expected = np.stack(
        [(upstream * on_grid(width)).sum(axis=(1, 2)) for width in (3, 5, 8)], axis=1
    )
    np.testing.assert_allclose(tape.gradient(total, choice), expected, rtol=1e-5)


def test_what_is_not_finite_stays_in_its_sample():
    operand = activation_chain(RoundTo("int8", bits=BitChoices([3, 8])))
    x = X.copy()
    x[0, 0, 0] = np.nan
    with chosen(tf.constant(np.eye(2, dtype=np.float32)[[0, 1, 0, 1]])):
        made = operand.call(tf.constant(x)).numpy()
    assert np.isnan(made[0, 0, 0]) and np.isnan(made).sum() == 1


def test_settings_are_the_same_after_they_were_saved():
    for transform in (
        RoundTo("int8", bits=BitChoices([3, 8])),
        QuantizeGradient("int16", bits=BitChoices([6, 16])),
    ):
        data = keras.saving.serialize_keras_object(transform)
        again = keras.saving.deserialize_keras_object(data)
        assert again.get_config() == transform.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: BitChoices([]), "`bits` must be a list of widths"),
        (lambda: BitChoices([3, 17]), r"integer in \[2, 16\]. Received: bits=17"),
        (lambda: Quantize("int8", bits=BitChoices([3, 8])), "BitSchedule or BitStages or None"),
        (
            lambda: weight_chain(QuantizeGradient("int8", bits=BitChoices([3, 8])), X[0]),
            "must not be BitChoices at a weight",
        ),
    ],
)
def test_what_makes_no_sense_is_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()
