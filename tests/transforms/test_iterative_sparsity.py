import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import Prune
from edgeax.transforms.base import now
from edgeax.transforms.iterative_sparsity import IterativeSparsity
from tests.transforms.bound import weight_chain


def test_sh16_prunes_and_retrains_in_turns():
    weight = np.arange(1.0, 11.0, dtype=np.float32)[None]
    chain = weight_chain(Prune(IterativeSparsity([0.2, 0.5, 0.9], [1, 3, 4])), weight)
    left = []
    for _ in range(7):
        chain.call(tf.constant(weight), training=True)
        left.append(int(now(chain.transforms[0].mask).sum()))
    assert left == [10, 8, 8, 5, 1, 1, 1]
    assert chain.transforms[0].settled_step == 5


def test_it_acts_at_its_steps_only():
    schedule = IterativeSparsity([0.2, 0.5], [2, 7])
    steps = [step for step in range(12) if schedule.acts(tf.constant(step))]
    assert steps == [2, 7]
    values = [float(schedule(tf.constant(step))) for step in (0, 2, 6, 7, 99)]
    assert values == pytest.approx([0.0, 0.2, 0.2, 0.5, 0.5])


def test_settings_survive_keras():
    schedule = IterativeSparsity([0.2, 0.5], [0, 7])
    data = keras.saving.serialize_keras_object(schedule)
    assert keras.saving.deserialize_keras_object(data).get_config() == schedule.get_config()


@pytest.mark.parametrize(
    "sparsities, steps, message",
    [
        ([0.5, 1.0], [0, 1], r"`sparsities` must lie in \[0, 1\)"),
        ([0.5], [0, 1], "`steps` must be as many"),
        ([], [], "`sparsities` must hold at least one"),
        (0.5, [0, 1], "`steps` must be as many"),
        ([0.5, 0.4], [0, 1], "must not fall"),
        ([0.5, 0.6], [1, 1], "`steps` must grow"),
        ([0.5], [-1], "`begin_step` must be at least 0"),
    ],
)
def test_bad_arguments_are_refused(sparsities, steps, message):
    with pytest.raises(ValueError, match=message):
        IterativeSparsity(sparsities, steps)
