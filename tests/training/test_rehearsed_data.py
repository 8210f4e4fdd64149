"""rehearse: what a batch holds, in every kind of data, and that a model forgets less."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats.rehearsal import RehearsalBuffer
from edgeax.training.rehearsed_data import rehearse
from tests.training.small_models import mlp

X = np.linspace(0.0, 0.5, 40, dtype=np.float32).reshape(10, 4)  # new: at most 0.5
Y = np.arange(10) % 2


def old_buffer(count=6):
    buffer = RehearsalBuffer(4096, (4,), classes=4, seed=1)
    x = 0.6 + 0.4 * np.random.default_rng(0).random((count, 4))
    buffer.add(x, np.full(count, 3))
    return buffer


def batches_of(data):
    if isinstance(data, tf.data.Dataset):
        return [tuple(part.numpy() for part in batch) for batch in data]
    batches = [data[i] for i in range(len(data))]
    data.on_epoch_end()
    return batches


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return tuple(array[4 * index : 4 * index + 4] for array in self.arrays)


def forms(*arrays):
    return [Batches(*arrays), tf.data.Dataset.from_tensor_slices(arrays).batch(4)]


@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize("share, added", [(0.5, [4, 4, 2]), (0.25, [1, 1, 1]), (0.75, [12, 12, 6])])
def test_a_share_of_each_batch_is_from_the_buffer(form, share, added):
    data = rehearse(old_buffer(), forms(X, Y)[form], share=share)
    for (x, y), start, count in zip(batches_of(data), (0, 4, 8), added, strict=True):
        new = X[start : start + 4]
        assert np.array_equal(x[: len(new)], new) and np.array_equal(y[: len(new)], Y[start:][:4])
        assert x.shape == (len(new) + count, 4) and x.dtype == np.float32
        assert x[len(new) :].min() > 0.5 and set(y[len(new) :]) == {3}
        times = np.unique(x[len(new) :], axis=0, return_counts=True)[1]
        assert times.max() - times.min() <= 1 and len(times) == min(count, 6)


@pytest.mark.parametrize("form", [0, 1])
def test_other_samples_are_drawn_each_time_and_the_same_by_the_same_seed(form):
    data = rehearse(old_buffer(), forms(X, Y)[form], share=0.4, seed=5)
    first, second = batches_of(data), batches_of(data)
    again = batches_of(rehearse(old_buffer(), forms(X, Y)[form], share=0.4, seed=5))
    same = [np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True)]
    other = [np.array_equal(a[0], b[0]) for a, b in zip(first, second, strict=True)]
    assert all(same) and not all(other)


@pytest.mark.parametrize("form", [0, 1])
def test_sample_weights_of_earlier_samples_are_one(form):
    weights = np.full(10, 0.25, np.float32)
    data = rehearse(old_buffer(), forms(X, Y[:, None], weights)[form])
    x, y, weight = batches_of(data)[0]
    assert y.shape == (8, 1) and weight.tolist() == [0.25] * 4 + [1.0] * 4


def test_arrays_come_shuffled_in_batches():
    data = rehearse(old_buffer(), X, Y, share=0.5, batch_size=4)
    for _ in range(2):
        batches = batches_of(data)
        assert [len(x) for x, _ in batches] == [8, 8, 4]
        news = np.concatenate([x[: len(x) // 2] for x, _ in batches])
        assert not np.array_equal(news, X) and np.array_equal(np.sort(news, axis=0), X)


@pytest.mark.parametrize("form", [0, 1])
def test_an_empty_buffer_adds_nothing(form):
    data = rehearse(old_buffer(0), forms(X, Y)[form])
    for (x, y), start in zip(batches_of(data), (0, 4, 8), strict=True):
        assert np.array_equal(x, X[start : start + 4]) and np.array_equal(y, Y[start : start + 4])


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"share": 0.995}, r"`share` must lie in \[0, 0.99\]. Received: share=0.995"),
        ({"batch_size": 0}, "`batch_size` must be an integer, at least 1"),
        ({"seed": -1}, "`seed` must be an integer, at least 0"),
        ({"x": X[:, :3]}, r"shape \(4,\).*Received: arrays of the shapes \(10, 3\) and \(10,\)"),
        ({"y": None}, r"Received: arrays of the shapes \(10, 4\) and \(\)"),
        ({"x": np.uint8(9 * X)}, "uint8 beside samples that are no integers"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        rehearse(**{"buffer": old_buffer(), "x": X, "y": Y, **settings})


@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize(
    "x, y, words",
    [
        (X, np.eye(4)[Y], r"shape \(4,\).*\((4|None), 4\) and \((4|None), 4\).*by argmax"),
        (X[:, :, None], Y, r"shape \(4,\).*\((4|None), 4, 1\)"),
        (np.uint8(9 * X), Y, "uint8 beside samples that are no integers"),
    ],
)
def test_batches_unlike_the_buffer_are_refused(form, x, y, words):
    with pytest.raises(ValueError, match=words):
        batches_of(rehearse(old_buffer(), forms(x, y)[form]))


def test_batches_without_end_are_rehearsed_too():
    class Endless(Batches):
        num_batches = None

        def __getitem__(self, index):
            return super().__getitem__(index % 3)

    data = rehearse(old_buffer(), Endless(X, Y))
    assert data.num_batches is None
    model = mlp(4, classes=4)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(data, epochs=2, steps_per_epoch=5, verbose=0)
    assert int(model.optimizer.iterations) == 10
    assert data[4][0].shape == (8, 4)


def test_a_model_that_rehearses_keeps_its_first_classes():
    """Two clusters, then two others: without rehearsal nothing of the first two is left."""
    draw = np.random.default_rng(0)
    centers = np.array([[0.1, 0.1], [0.1, 0.9], [0.9, 0.1], [0.9, 0.9]])
    y = np.repeat(range(4), 100)
    x = np.clip(centers[y] + 0.05 * draw.normal(size=(400, 2)), 0, 1)
    x = np.tile(x, 2).astype(np.float32)  # four features, as the small network has
    found = {}
    for remembers in (True, False):
        model = mlp(16, classes=4)
        model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
        buffer = RehearsalBuffer(300, (4,), classes=4)
        for part in (slice(0, 200), slice(200, 400)):
            share = 0.5 if remembers else 0.0
            model.fit(rehearse(buffer, x[part], y[part], share), epochs=8, verbose=0)
            buffer.add(x[part], y[part])
        right = model.predict(x, verbose=0).argmax(1) == y
        found[remembers] = right[:200].mean(), right[200:].mean()
    assert min(found[True]) > 0.95 and found[False][0] < 0.1
