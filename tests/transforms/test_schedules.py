import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.transforms import ConstantSparsity, PolynomialDecay
from edgeax.transforms.schedules import check_sparsity
from tests.transforms.modes import in_every_mode


def at(schedule, *steps):
    return [float(schedule(tf.constant(step))) for step in steps]


def acting_steps(schedule, last):
    return [step for step in range(last + 1) if schedule.acts(tf.constant(step))]


@pytest.mark.parametrize(
    "schedule, step, sparsity",
    [
        # 0.8 * (1 - left**3), left = (500 - step) / 400
        (PolynomialDecay(0.0, 0.8, 100, 500), 100, 0.0),
        (PolynomialDecay(0.0, 0.8, 100, 500), 200, 0.4625),
        (PolynomialDecay(0.0, 0.8, 100, 500), 300, 0.7),
        (PolynomialDecay(0.0, 0.8, 100, 500), 400, 0.7875),
        (PolynomialDecay(0.0, 0.8, 100, 500), 500, 0.8),
        (PolynomialDecay(0.0, 0.8, 100, 500), 0, 0.0),  # before
        (PolynomialDecay(0.0, 0.8, 100, 500), 10**6, 0.8),  # after
        (PolynomialDecay(0.2, 0.7, 0, 10, power=1), 4, 0.4),
        (PolynomialDecay(0.2, 0.7, 0, 10, power=2), 5, 0.575),
        (PolynomialDecay(0.75, 0.25, 0, 10, power=1), 5, 0.5),  # it may fall as well
        (ConstantSparsity(0.6, 100), 0, 0.6),
        (ConstantSparsity(0.6, 100, 200), 10**6, 0.6),
    ],
)
def test_the_sparsity_is_the_one_worked_out_by_hand(schedule, step, sparsity):
    assert at(schedule, step) == pytest.approx([sparsity], abs=1e-6)


@in_every_mode
@pytest.mark.parametrize("power", [0.1, 1, 3])
def test_the_final_sparsity_is_reached_exactly(power, mode):
    schedule = PolynomialDecay(0.1, 0.7, 3, 10, power)
    assert mode(schedule)(tf.constant(10)).numpy() == np.float32(0.7)


@pytest.mark.parametrize(
    "schedule, steps",
    [
        (ConstantSparsity(0.5, 10, 30, frequency=10), [10, 20, 30]),
        (ConstantSparsity(0.5, 10, 29, frequency=10), [10, 20]),
        (ConstantSparsity(0.5, 7, frequency=10), [7, 17, 27, 37]),
        (ConstantSparsity(0.5, 0, 0), [0]),
        (PolynomialDecay(0.0, 0.5, 10, 30, frequency=10), [10, 20, 30]),
        (
            PolynomialDecay(0.0, 0.5, 2, 9, frequency=3),
            [2, 5, 8, 9],
        ),  # the last one is never missed
        (PolynomialDecay(0.0, 0.5, 2, 9), [2, 9]),
    ],
)
def test_schedules_act_every_frequency_steps_between_their_ends(schedule, steps):
    assert acting_steps(schedule, 40) == steps


def test_a_schedule_without_an_end_acts_for_ever():
    schedule = ConstantSparsity(0.5, 7, end_step=-1, frequency=10)
    assert schedule.acts(tf.constant(10**9 + 7))
    assert not schedule.acts(tf.constant(10**9 + 8))


def test_defaults_are_those_of_tfmot():
    decay, constant = PolynomialDecay(0.0, 0.5, 0, 1000), ConstantSparsity(0.5, 0)
    assert (decay.power, decay.frequency) == (3, 100)
    assert (constant.end_step, constant.frequency) == (-1, 100)


@in_every_mode
def test_schedules_are_computed_from_a_step_in_the_graph(mode):
    schedule = PolynomialDecay(0.0, 0.8, 100, 500, frequency=50)
    step = tf.Variable(99)

    @mode
    def advance():
        now = step.assign_add(1)
        return schedule(now), schedule.acts(now)

    values = [advance() for _ in range(101)]
    assert float(values[-1][0]) == pytest.approx(0.4625)
    assert [index for index, (_, acts) in enumerate(values) if acts] == [0, 50, 100]


@pytest.mark.parametrize("wrong", [-0.1, 1.0, 1.5, float("nan")])
def test_a_sparsity_outside_0_to_1_is_refused(wrong):
    for name, make in {
        "target_sparsity": lambda: ConstantSparsity(wrong, 0),
        "initial_sparsity": lambda: PolynomialDecay(wrong, 0.5, 0, 10),
        "final_sparsity": lambda: PolynomialDecay(0.0, wrong, 0, 10),
    }.items():
        with pytest.raises(ValueError, match=rf"`{name}` must lie in \[0, 1\).*{name}={wrong}"):
            make()


def test_an_end_before_the_beginning_is_refused():
    with pytest.raises(
        ValueError, match="`end_step` must not lie before.*begin_step=10, end_step=5"
    ):
        ConstantSparsity(0.5, 10, 5)
    with pytest.raises(ValueError, match="`end_step` must lie after.*end_step=5.*ConstantSparsity"):
        PolynomialDecay(0.0, 0.5, 10, 5)


@pytest.mark.parametrize("end_step", [10, -1])
def test_a_decay_needs_an_end(end_step):
    with pytest.raises(ValueError, match=f"`end_step` must lie after.*end_step={end_step}"):
        PolynomialDecay(0.0, 0.5, 10, end_step)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ConstantSparsity(0.5, -1), "`begin_step` must be at least 0.*begin_step=-1"),
        (lambda: PolynomialDecay(0, 0.5, -2, 5), "`begin_step` must be at least 0.*begin_step=-2"),
        (lambda: ConstantSparsity(0.5, 0, -5), "`end_step` must not lie before.*end_step=-5"),
        (lambda: ConstantSparsity(0.5, 0, frequency=0), "`frequency` must be at least 1.*=0"),
        (lambda: PolynomialDecay(0, 0.5, 0, 5, power=0), "`power` must be above 0.*power=0"),
    ],
)
def test_steps_and_powers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "schedule",
    [ConstantSparsity(0.25, 3, 70, 5), PolynomialDecay(0.125, 0.75, 2, 90, power=2, frequency=7)],
)
def test_schedules_survive_json(schedule):
    text = json.dumps(keras.saving.serialize_keras_object(schedule))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    assert at(again, 0, 40, 100) == at(schedule, 0, 40, 100)
    assert acting_steps(again, 100) == acting_steps(schedule, 100)


@pytest.mark.parametrize(
    "schedule, sparsity, steps",
    [
        (ConstantSparsity(0.5, 0), 0.5, 0),
        (ConstantSparsity(0.5, 7), 0.5, 8),
        (PolynomialDecay(0.0, 0.75, 2, 10), 0.75, 11),
    ],
)
def test_a_schedule_tells_what_it_comes_to_and_when(schedule, sparsity, steps):
    assert (schedule.last_sparsity, schedule.settled_step) == (sparsity, steps)
    assert float(schedule(tf.constant(max(steps - 1, 0)))) == sparsity


@pytest.mark.parametrize("value", ["0.5", None, 1.0, -0.1, float("nan"), [0.5]])
def test_what_is_no_sparsity_is_refused(value):
    with pytest.raises(ValueError, match=r"`sparsity` must lie in \[0, 1\).*sparsity="):
        check_sparsity("sparsity", value)


def test_fgl21_widths_rise_along_a_cosine_in_every_cycle():
    schedule = edgeax.BitSchedule.cyclic(3, 8, period=2500, cycles=2)
    assert schedule.bits[:7] == [3, 4, 5, 6, 7, 8, 3] and schedule.last_bits == 8
    widths = [int(schedule(tf.constant(step))) for step in range(0, 5000, 100)]
    angles = np.pi * (np.arange(0, 5000, 100) % 2500) / 2500
    assert widths == np.rint(3 + 2.5 * (1 - np.cos(angles))).astype(int).tolist()
    assert int(schedule(tf.constant(10**6))) == 8
    # Bit operations saved, published for 8 bits backward: 36.67 %.
    spans = np.diff([0, *schedule.steps, 5000])
    shares = [edgeax.cost.training_share(bits, bits, 8) for bits in schedule.bits]
    saved = 1 - np.dot(spans, shares) / 5000 / edgeax.cost.training_share(8, 8, 8)
    assert round(100 * saved, 2) == 36.67


@pytest.mark.parametrize("arguments", [(8, 8, 10, 1), (3, 8, 0, 1), (3, 8, 10, 0), (1, 8, 10, 1)])
def test_cyclic_widths_that_cannot_be_are_told(arguments):
    with pytest.raises(ValueError, match="low=|bits=1"):
        edgeax.BitSchedule.cyclic(*arguments)
