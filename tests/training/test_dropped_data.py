"""drop: which batches are left out, and that they are not made."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.training.dropped_data import drop


class Batches(keras.utils.PyDataset):
    """Batches of one sample, that of batch i being i; notes which were asked for."""

    def __init__(self, count=20):
        super().__init__()
        self.count, self.asked, self.ends = count, [], 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.asked.append(index)
        return np.full((1, 1), index, np.float32), np.zeros((1, 1), np.float32)

    def on_epoch_end(self):
        self.ends += 1


def epochs_of(dataset, count=2):
    return [[int(np.ravel(element)[0]) for element in dataset] for _ in range(count)]


@pytest.mark.parametrize("rate, kept", [(0.5, 10), (0.25, 15), (0.0, 20), (0.99, 1)])
def test_a_dataset_keeps_its_share_in_order_and_others_in_each_epoch(rate, kept):
    dataset = drop(tf.data.Dataset.range(20), rate, seed=1)
    assert int(dataset.cardinality()) == kept
    first, second = epochs_of(dataset)
    assert len(first) == len(second) == kept
    assert first == sorted(set(first)) and second == sorted(set(second))
    assert first != second or rate == 0.0
    assert [first, second] == epochs_of(drop(tf.data.Dataset.range(20), rate, seed=1))
    assert first != epochs_of(drop(tf.data.Dataset.range(20), rate, seed=3))[0] or rate == 0.0


def test_each_element_stays_as_often_as_the_others():
    dataset = drop(tf.data.Dataset.range(8), 0.5)
    counts = np.bincount(np.ravel(epochs_of(dataset, 400)), minlength=8)
    assert counts.sum() == 1600 and counts.min() > 160 and counts.max() < 240


def test_what_comes_behind_is_not_done_for_what_is_left_out():
    done = []

    def costly(number):
        done.append(int(number))
        return number

    names = drop(tf.data.Dataset.range(20).batch(4), 0.5).unbatch()
    images = names.map(lambda name: tf.py_function(costly, [name], tf.int64)).batch(4)
    assert epochs_of(images, 1)[0] == done[::4]
    assert len(done) == 8  # 2 of 5 batches: round(2.5)


def test_where_the_length_is_not_known_each_stays_by_chance():
    endless = tf.data.Dataset.range(10).repeat()
    kept = epochs_of(drop(endless, 0.75).take(300), 1)[0]
    assert len(kept) == 300
    unknown = tf.data.Dataset.range(4000).filter(lambda number: True)
    assert len(epochs_of(drop(unknown, 0.75), 1)[0]) == pytest.approx(1000, abs=100)


def test_fit_asks_a_pydataset_for_the_batches_that_stay_alone():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    runs = []
    for _ in range(2):
        batches = Batches()
        model.fit(drop(batches, 0.5, seed=1), epochs=3, shuffle=False, verbose=0)
        runs.append(batches.asked)
        assert batches.ends >= 3
    # Keras looks at batches once or twice before an epoch to learn their form.
    assert runs[0] == runs[1] and 30 <= len(runs[0]) <= 34
    epochs = np.reshape(runs[0][-30:], (3, 10))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_pydataset_keeps_its_share_in_order():
    dropped = drop(Batches(), 0.7, seed=2)
    assert len(dropped) == 6
    first = [int(dropped[i][0].item()) for i in range(6)]
    assert first == sorted(set(first))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: drop(tf.data.Dataset.range(4), 1.0), r"`rate` must lie in \[0, 1\)"),
        (lambda: drop(tf.data.Dataset.range(4), 0.5, -1), "`seed`"),
        (lambda: drop(keras.utils.PyDataset()), "`dataset` must have a length.*__len__"),
        (lambda: drop(iter([1, 2])), "`dataset` must be.*list_iterator.*from_generator"),
        (lambda: drop(np.zeros((4, 1))), "`dataset` must be.*ndarray.*from_tensor_slices"),
    ],
)
def test_what_cannot_be_dropped_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
