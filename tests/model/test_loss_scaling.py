import warnings

import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.loss_scaling import (
    DynamicLossScaleOptimizer,
    EnhancedLossScaleOptimizer,
    loss_scaled,
)

BAD, GOOD = [np.float32([np.inf])], [np.float32([1.0])]


def scales_after(optimizer, gradients):
    """Returns the scale and the weight after each of some gradients, scaled already."""
    weight = keras.Variable(np.float32([1.0]))
    optimizer.build([weight])
    seen = []
    for gradient in gradients:
        optimizer.apply(gradient, [weight])
        seen.append(float(optimizer.dynamic_scale))
    return seen, float(weight.value[0])


def test_dynamic_scaling_halves_and_skips_and_doubles():
    # The state machine: 2**24, half of it after infinity or NaN, twice after so many good steps.
    optimizer = loss_scaled(keras.optimizers.SGD(1.0, momentum=0.9), "dynamic")
    assert (optimizer.initial_scale, optimizer.dynamic_growth_steps) == (2.0**24, 2000)
    assert isinstance(optimizer, DynamicLossScaleOptimizer)
    optimizer = DynamicLossScaleOptimizer(keras.optimizers.SGD(1.0), 16.0, 3)
    gradients = [GOOD, GOOD, BAD, GOOD, [np.float32([np.nan])], GOOD, GOOD, GOOD, GOOD]
    seen, weight = scales_after(optimizer, gradients)
    assert seen == [16, 16, 8, 8, 4, 4, 4, 8, 8]
    assert weight == pytest.approx(1 - 2 / 16 - 1 / 8 - 3 / 4 - 1 / 8)
    assert optimizer.iterations.numpy() == 7


def test_msdk19_the_scale_never_falls_below_a_rising_minimum():
    optimizer = EnhancedLossScaleOptimizer(
        keras.optimizers.SGD(1.0), 16.0, 1000, minimum={0: 4.0, 2: 8.0, 3: 32.0}
    )
    gradients = [BAD, BAD, BAD, BAD, GOOD, GOOD, BAD, GOOD, BAD]
    seen, weight = scales_after(optimizer, gradients)
    assert seen == [8, 4, 4, 4, 4, 8, 8, 32, 32]
    assert weight == pytest.approx(1 - 1 / 4 - 1 / 4 - 1 / 8)


def test_msdk19_a_higher_minimum_flushes_fewer_gradients():
    format = edgeax.formats.Minifloat(5, 2)
    gradients = np.random.default_rng(0).normal(size=10_000) * 1e-6
    flushed = [
        np.mean(format.rounded(np.float32(gradients * scale), {}, edgeax.formats.arrays) == 0)
        for scale in (1.0, 2.0**5, 2.0**13)
    ]
    assert flushed[0] > flushed[1] > flushed[2] and flushed[0] == 1.0 and flushed[2] < 0.01


def test_a_number_is_keras_own_static_scale():
    optimizer = loss_scaled(keras.optimizers.Adam(0.01), 512)
    assert (optimizer.loss_scale_factor, type(optimizer).__name__) == (512.0, "Adam")
    assert loss_scaled(optimizer, "dynamic") is optimizer
    assert loss_scaled(optimizer, None) is optimizer


def test_the_minimum_is_saved():
    made = loss_scaled(keras.optimizers.SGD(0.5), "enhanced")
    data = keras.saving.serialize_keras_object(made)
    again = keras.saving.deserialize_keras_object(data)
    assert again.minimum == {40_000: 8192.0, 150_000: 32768.0}
    assert float(again.inner_optimizer.learning_rate) == 0.5


@pytest.mark.parametrize("minimum", [{-1: 4.0}, {0: 0.0}])
def test_a_minimum_that_is_none_is_rejected(minimum):
    with pytest.raises(ValueError, match="`minimum` must map steps from 0 on to scales above 0"):
        EnhancedLossScaleOptimizer(keras.optimizers.SGD(), minimum=minimum)


def test_a_model_that_is_not_compiled_is_told_to_scale_its_loss():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.warns(UserWarning, match=r"Compile the copy with .*loss_scaled\(optimizer, 'dyn"):
        edgeax.compress(model, edgeax.Recipe(arithmetic="fp16"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edgeax.compress(model, edgeax.Recipe(arithmetic="bfloat16"))
        model.compile("sgd", "mse")
        copy = edgeax.compress(model, edgeax.Recipe(arithmetic="fp16"))
    assert isinstance(copy.optimizer, DynamicLossScaleOptimizer)
