import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.device_optimizer import (
    described,
    device_optimizer,
    kept_variables,
    learning_rate_of,
)


def weight():
    return keras.Variable(np.array([1.0, -2.0], np.float32), name="w")


def test_a_new_optimizer_does_what_the_given_one_would():
    given = keras.optimizers.SGD(0.5, momentum=0.5)
    mine = weight()
    made = device_optimizer(given, [mine])
    assert made is not given and not given.built
    for _ in range(2):
        made.apply([np.ones(2, np.float32)])
    np.testing.assert_allclose(mine, [1.0 - 0.5 - 0.75, -2.0 - 0.5 - 0.75])  # v = -0.5, -0.75
    assert [variable.name for variable in kept_variables(made)] == ["iteration", "w_momentum"]


def test_a_schedule_becomes_the_rate_of_now():
    given = keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5))
    given.build([weight()])
    given.iterations.assign(2)
    assert learning_rate_of(given) == pytest.approx(0.125)
    assert learning_rate_of(device_optimizer(given, [weight()])) == pytest.approx(0.125)


def test_optimizers_around_it_are_taken_off():
    inner = keras.optimizers.SGD(0.25)
    given = keras.optimizers.LossScaleOptimizer(edgeax.optimizers.SkipAware(inner))
    made = device_optimizer(given, [weight()])
    assert type(made) is keras.optimizers.SGD
    assert learning_rate_of(made) == 0.25


def test_its_description_is_numbers_and_switches():
    found = described(keras.optimizers.SGD(0.5, momentum=0.5, nesterov=True))
    assert (found["class"], found["momentum"], found["nesterov"]) == ("SGD", 0.5, True)


@pytest.mark.parametrize(
    "given, said",
    [
        ("sgd", "must be a Keras optimizer.*Received: 'sgd'"),
        (keras.optimizers.SGD(0.0), "rate that is finite and above 0.*SGD with 0.0"),
        (keras.optimizers.SGD(float("nan")), "rate that is finite and above 0.*SGD with nan"),
        (keras.optimizers.SGD(use_ema=True), "gather nothing over several steps.*use_ema=True"),
        (
            keras.optimizers.SGD(gradient_accumulation_steps=2),
            "gather nothing over several steps.*gradient_accumulation_steps=2",
        ),
    ],
)
def test_what_no_single_step_does_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        device_optimizer(given, [weight()])
