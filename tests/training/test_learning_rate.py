"""Which learning rates can be set."""

import keras
import pytest

from edgeax.optimizers import SkipAware
from edgeax.training.learning_rate import check_settable
from tests.training.small_models import mlp


def compiled(rate, wrap=lambda optimizer: optimizer):
    model = mlp()
    model.compile(wrap(keras.optimizers.SGD(rate)), "mse")
    return model


@pytest.mark.parametrize(
    "wrap",
    [lambda optimizer: optimizer, SkipAware, keras.optimizers.LossScaleOptimizer],
    ids=["plain", "skip aware", "loss scaled"],
)
def test_a_schedule_is_refused_and_a_number_is_not(wrap):
    check_settable(compiled(0.1, wrap), "min_lr", 0.5)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    with pytest.raises(ValueError, match=r"`min_lr` must be None.*min_lr=0.5"):
        check_settable(compiled(schedule, wrap), "min_lr", 0.5)
