"""Stages: which one holds, and that weights, inputs and gradients have the grid of their stage."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.transforms import BitStages, Quantize, QuantizeGradient, RoundTo
from edgeax.transforms.stages import Stages
from tests.transforms.bound import activation_chain, weight_chain
from tests.transforms.modes import in_every_mode

WEIGHT = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
NUMBERS = np.arange(20, dtype=np.float32)


def on_grid(bits, axis=None, value=WEIGHT):
    grid = Integer(bits, axis=axis)
    params = grid.fit(value)
    return grid.decode(grid.encode(value, params), params)


def test_the_last_stage_holds_until_another_is_entered():
    stages = Stages(3)
    stages.bind("weight", ())
    assert stages.stage.numpy() == 2 and not stages.progress.numpy().any()
    stages.enter(0, NUMBERS)
    assert stages.stage.numpy() == 0 and np.array_equal(stages.progress.numpy(), NUMBERS)
    stages.enter(7, NUMBERS)
    assert stages.stage.numpy() == 2


@in_every_mode
def test_a_weight_has_the_grid_of_its_stage(mode):
    bits = BitStages([3, 5, 12])
    chain = weight_chain(Quantize(Integer(12, axis=-1), bits=bits), WEIGHT)
    run = mode(lambda x: chain.call(x, training=True))
    for stage, width in ((2, 12), (0, 3), (1, 5)):
        bits.enter(stage, NUMBERS)
        assert np.array_equal(run(tf.constant(WEIGHT)), on_grid(width, -1))
        frozen = chain.freeze(WEIGHT)
        assert frozen.format == Integer(width, axis=-1) and bits.current_bits(9) == width
        assert np.array_equal(frozen.decode(), on_grid(width, -1))


@in_every_mode
def test_an_operand_and_a_gradient_have_the_grid_of_their_stage(mode):
    value, error = BitStages([3, 8]), BitStages([4, 16])
    operand = activation_chain(RoundTo("int8", bits=value))
    back = activation_chain(QuantizeGradient("int16", rounding="nearest", bits=error))

    @mode
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = back.call(operand.call(x, training=True), training=True)
        return y, tape.gradient(y, x, output_gradients=tf.constant(WEIGHT[::-1]))

    for stage in (1, 0):
        value.enter(stage, NUMBERS)
        error.enter(stage, NUMBERS)
        made, gradient = run(tf.constant(WEIGHT))
        assert np.array_equal(made, on_grid([3, 8][stage]))
        assert np.array_equal(gradient, on_grid([4, 16][stage])[::-1])


def test_an_activation_in_a_followed_range_has_the_grid_of_its_stage():
    bits = BitStages([4, 8])
    chain = activation_chain(Quantize("int8", range=(-1.0, 3.0), bits=bits))
    bits.enter(0, NUMBERS)
    grid = Integer(4, symmetric=False)
    params = grid.fit(np.float32([-1.0, 3.0]))
    expected = grid.decode(grid.encode(WEIGHT, params), params)
    assert np.array_equal(chain.call(tf.constant(WEIGHT), training=True), expected)
    with pytest.raises(ValueError, match="must end with 8 bits at most"):
        activation_chain(Quantize("int16", bits=BitStages([4, 16])))


@pytest.mark.parametrize(
    "transform",
    [
        Quantize("int8", bits=BitStages([3, 8])),
        RoundTo("int8", bits=BitStages([3, 8])),
        QuantizeGradient("int16", bits=BitStages([6, 16])),
    ],
)
def test_settings_are_the_same_after_they_were_saved(transform):
    data = keras.saving.serialize_keras_object(transform)
    again = keras.saving.deserialize_keras_object(data)
    assert again.get_config() == transform.get_config() and again.bits is not transform.bits


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Stages(0), "`count` must be"),
        (lambda: BitStages([]), "`bits` must be a list of widths"),
        (lambda: BitStages(8), "`bits` must be a list of widths"),
        (lambda: BitStages([1, 8]), r"integer in \[2, 16\]. Received: bits=1"),
        (lambda: RoundTo("int8", bits=BitStages([3, 6])), "ends with 6 bits"),
        (lambda: RoundTo("fp16", bits=BitStages([3, 6])), "`bits` must end with the width of an i"),
        (lambda: RoundTo("int8", bits=[3, 8]), "BitSchedule or BitStages or BitChoices or None"),
    ],
)
def test_what_makes_no_sense_is_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()
