import numpy as np
import pytest
import tensorflow as tf

from edgeax.model.case import Case, case_for, take_labeled
from tests.pruning import nets


def test_samples_of_a_shuffled_dataset_keep_their_labels():
    x = np.arange(20, dtype=np.float32)[:, None].repeat(6, 1)
    dataset = tf.data.Dataset.from_tensor_slices((x, np.arange(20))).shuffle(20).batch(4)
    arrays, labels, _ = take_labeled(dataset, None, nets.dense(3))
    assert arrays[0][:, 0].tolist() == labels.tolist()
    assert sorted(labels.tolist()) == [*range(20)]


def test_of_many_samples_the_first_512_count_and_so_do_their_labels():
    x, y = nets.data(600)
    arrays, labels, pack = take_labeled(x, y, nets.dense(3))
    assert np.array_equal(arrays[0], x[:512]) and np.array_equal(labels, y[:512])
    assert pack([1]) == 1


def test_batches_hold_the_labels_of_their_samples():
    x, y = nets.data(10)
    case = Case(nets.dense(3), [], [x], y, batch_size=4)
    assert [len(inputs[0]) for inputs, _ in case.batches] == [4, 4, 2]
    assert np.array_equal(case.batches[2][1], y[8:])


@pytest.mark.parametrize(
    "samples, labels, message",
    [
        (np.zeros((4, 6)), np.zeros(3), r"`labels` must be as many as samples.*\(3,\) for 4"),
        (
            tf.data.Dataset.from_tensor_slices((np.zeros((4, 6)), np.zeros(4))),
            None,
            "dataset of batches",
        ),
        (tf.data.Dataset.from_tensor_slices(np.zeros((4, 6))).batch(2).take(0), None, "empty"),
    ],
)
def test_bad_samples_are_refused(samples, labels, message):
    with pytest.raises(ValueError, match=message):
        take_labeled(samples, labels, nets.dense(3))


def test_of_more_samples_than_wanted_the_first_are_taken():
    x, y = nets.data(600)
    given = (x, y), (tf.data.Dataset.from_tensor_slices((x, y)).batch(50), None)
    for samples, labels in given:
        arrays, found, _ = take_labeled(samples, labels, nets.dense(3), most=550)
        assert np.array_equal(arrays[0], x[:550]) and np.array_equal(found, y[:550])


@pytest.mark.parametrize(
    "needs, given, message",
    [
        (("samples",), {}, "`samples` must be given for grouping 'x': typical.*needs samples"),
        (("samples", "labels"), {"samples": nets.data()[0]}, "`labels` must be given for grouping"),
    ],
)
def test_what_is_needed_and_missing_is_said(needs, given, message):
    with pytest.raises(ValueError, match=message):
        case_for(nets.dense(3), [], needs, "grouping 'x'", **given)


def test_a_case_has_the_loss_that_it_needs_or_says_that_it_has_none():
    x, y = nets.data()
    case = case_for(nets.dense(3), [], ("samples", "loss"), "it", x, y, "mae")
    assert case.loss.loss == "mae" and case.count == len(x)
    with pytest.raises(ValueError, match="`objective` must be given"):
        _ = Case(nets.dense(3), []).loss
