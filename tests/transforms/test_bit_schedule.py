import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.transforms import BitSchedule, Chain, Cluster, Quantize
from tests.transforms.bound import activation_chain, weight_chain
from tests.transforms.modes import in_every_mode

WEIGHT = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


def test_widths_change_at_their_steps():
    schedule = BitSchedule([8, 6, 4], [3, 5])
    assert [int(schedule(tf.constant(step))) for step in range(7)] == [8, 8, 8, 6, 6, 4, 4]
    assert [float(schedule.count(tf.constant(step))) for step in (0, 3, 9)] == [256, 64, 16]
    assert (schedule.last_bits, schedule.settled_step) == (4, 5)


def test_a_linear_schedule_changes_by_one_evenly():
    schedule = BitSchedule.linear(8, 4, 100, 500)
    assert (schedule.bits, schedule.steps) == ([8, 7, 6, 5, 4], [200, 300, 400, 500])
    assert BitSchedule.linear(3, 5, 0, 2).get_config() == {"bits": [3, 4, 5], "steps": [1, 2]}


@in_every_mode
@pytest.mark.parametrize("axis", [None, -1])
def test_each_step_of_a_weight_has_the_grid_of_its_width(axis, mode):
    quantize = Quantize("int4", axis=axis, bits=BitSchedule([8, 5, 4], [1, 2]))
    chain = weight_chain(quantize, WEIGHT)
    run = mode(lambda x: chain.call(x, training=True))
    for bits in (8, 5, 4, 4):
        grid = Integer(bits, axis=axis)
        params = grid.fit(WEIGHT)
        expected = grid.decode(grid.encode(WEIGHT, params), params)
        assert np.array_equal(run(tf.constant(WEIGHT)), expected)
    assert chain.freeze(WEIGHT).format == Integer(4, axis=axis)
    assert chain.transforms[0].settled_step == 2


def test_each_step_of_an_activation_has_the_grid_of_its_width():
    quantize = Quantize("int4", range=(-1.0, 3.0), bits=BitSchedule([8, 4], [1]))
    chain = activation_chain(quantize)
    for bits in (8, 4):
        grid = Integer(bits, symmetric=False)
        params = grid.fit(np.float32([-1.0, 3.0]))
        expected = grid.decode(grid.encode(WEIGHT, params), params)
        assert np.array_equal(chain.call(tf.constant(WEIGHT), training=True), expected)


def test_at_once_has_the_last_width():
    quantize = Quantize("int4", bits=BitSchedule([8, 4], [9])).at_once()
    assert quantize.bits is None
    assert quantize.settled_step == 0


def test_settings_survive_json():
    quantize = Quantize("int4", bits=BitSchedule([8, 4], [9]))
    text = json.dumps(keras.saving.serialize_keras_object(quantize))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == quantize.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: BitSchedule([8, 4], []), "`steps` must be one fewer than `bits`"),
        (lambda: BitSchedule([8, 6, 4], [5, 5]), "`steps` must grow"),
        (lambda: BitSchedule([8, 1], [5]), r"`bits` of BitSchedule .*\[2, 8\].*bits=1"),
        (lambda: BitSchedule.linear(8, 4, 10, 12), "`end_step` must lie at least 4 steps"),
        (lambda: Quantize("int8", bits=BitSchedule([8, 4], [5])), "`bits` must end with.*'int4'"),
        (lambda: Quantize("ternary", bits=BitSchedule([8, 2], [5])), "integer format"),
        (lambda: Quantize("int4", bits=4), "`bits` must be a BitSchedule or BitStages or None"),
        (
            lambda: Chain([Cluster(4), Quantize("int4", bits=BitSchedule([8, 4], [5]))]),
            "`bits` must be None after Cluster",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
