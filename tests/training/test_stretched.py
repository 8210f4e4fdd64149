"""StretchedSchedule: milestones come at the steps seen that stand for them."""

import keras
import pytest

from edgeax.training.stretched import StretchedSchedule

DECAY = keras.optimizers.schedules.PiecewiseConstantDecay([32000, 48000], [0.1, 0.01, 0.001])


@pytest.mark.parametrize(
    "seen, rate",
    # [WJC19]: 32000 and 48000 become 42667 and 64000 steps seen, half of which run.
    [(0, 0.1), (42664, 0.1), (42670, 0.01), (63998, 0.01), (64004, 0.001)],
)
def test_wjc19_milestones_are_counted_in_steps_seen_and_stretched_by_four_thirds(seen, rate):
    schedule = StretchedSchedule(DECAY, 0.5, 4 / 3)
    assert float(schedule(seen // 2)) == pytest.approx(rate)


def test_without_stretch_a_milestone_comes_at_the_same_step_seen():
    schedule = StretchedSchedule(DECAY, 0.75)
    assert [round(float(schedule(run)), 3) for run in (7999, 8001, 12001)] == [0.1, 0.01, 0.001]


def test_the_settings_go_round_in_an_optimizer():
    optimizer = keras.optimizers.SGD(StretchedSchedule(DECAY, 0.25, 2.0))
    data = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(data)._learning_rate
    assert type(copy) is StretchedSchedule and copy.get_config()["stretch"] == 2.0
    assert float(copy(24000)) == float(DECAY(16000))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: StretchedSchedule(DECAY, 1.0), r"`rate` must lie in \[0, 1\).*1.0"),
        (lambda: StretchedSchedule(DECAY, 0.5, 0.0), "`stretch`"),
        (lambda: StretchedSchedule(lambda epoch: 0.1), "`schedule` must be.*epoch_schedule"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
