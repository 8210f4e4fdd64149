import numpy as np
import pytest
import tensorflow as tf

from edgeax.pruning.case import Case, Criterion, take_labeled
from edgeax.pruning.selection import Choice
from edgeax.pruning.weights import weights_of
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


def test_what_is_masked_and_not_trained_stays_masked_whatever_its_score():
    class Rising(Criterion):
        def scores(self, case):
            return [np.arange(w.size, 0.0, -1).reshape(w.shape) for w in case.weights]

    for updates, wanted in (("masked", [[0, 1], [1, 0]]), ("dense", [[1, 1], [0, 0]])):
        small = nets.masked(nets.dense(2, inputs=2), updates=updates)
        weight = weights_of(small)[0]
        weight.set_mask(np.array([[False, True], [True, True]]))
        Rising().prune(Case(small, [weight]), Choice(0.5))
        assert weight.active.astype(int).tolist() == wanted
