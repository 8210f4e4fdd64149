import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import grouped_kmeans, kmeans
from tests.transforms.modes import compiled, graph, in_every_mode

ROWS = np.sort(np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32), axis=1)
ROWS[1, 10:20] = 0.0
ROWS[1].sort()
ROWS[2] = 0.0
ROWS[3] = np.abs(ROWS[3])
ROWS[3].sort()


@pytest.mark.parametrize("kind", kmeans.INITIALIZATIONS)
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("mode", [graph, compiled])
def test_every_group_gets_the_centroids_that_it_gets_alone(kind, zero, mode):
    found = mode(lambda rows: grouped_kmeans.fit(rows, 6, kind, 3, zero))(tf.constant(ROWS))
    alone = [kmeans.fit(tf.constant(row), 6, kind, 3, zero) for row in ROWS]
    assert np.allclose(found, alone, rtol=1e-5, atol=1e-6)
    assert np.array_equal(found, np.sort(found, axis=1))
    assert not zero or (np.asarray(found) == 0.0).any(axis=1).all()


def test_one_group_is_what_kmeans_makes_of_it():
    found = grouped_kmeans.fit(tf.constant(ROWS[:1]), 4, "density", 0, False)
    assert np.array_equal(found[0], kmeans.fit(tf.constant(ROWS[0]), 4, "density", 0, False))


def test_the_centroid_nearest_to_zero_is_left_out():
    centroids = tf.constant([[-2.0, 0.0, 1.0], [0.0, 1.0, 2.0], [-3.0, -1.0, 0.5]])
    left = grouped_kmeans.without_zero(centroids)
    assert np.asarray(left).tolist() == [[-2.0, 1.0], [1.0, 2.0], [-3.0, -1.0]]


@in_every_mode
@pytest.mark.parametrize("count", [2, 5, 32, 33, 70])
def test_each_value_takes_the_nearest_entry_of_its_own_table(mode, count):
    source = np.random.default_rng(count)
    tables = np.sort(source.normal(size=(4, count)).astype(np.float32), axis=1)
    values = source.normal(size=(4, 50)).astype(np.float32)
    codes = mode(grouped_kmeans.assign)(tf.constant(values), tf.constant(tables)).numpy()
    distances = np.abs(values[:, :, np.newaxis] - tables[:, np.newaxis])
    chosen = np.take_along_axis(distances, codes[:, :, np.newaxis], axis=2)[:, :, 0]
    assert chosen == pytest.approx(distances.min(axis=2), abs=1e-6)


def test_halfway_the_lower_entry_is_taken():
    tables = tf.constant([[0.0, 2.0, 4.0], [1.0, 2.0, 9.0]])
    values = tf.constant([[1.0, 3.0], [1.5, 5.5]])
    assert grouped_kmeans.assign(values, tables).numpy().tolist() == [[0, 1], [0, 1]]


@in_every_mode
def test_an_entry_gets_the_sum_of_its_members_gradients(mode):
    tables = tf.constant([[10.0, 20.0, 30.0], [1.0, 2.0, 3.0]])
    codes = tf.constant([[0, 2, 0, 2], [1, 1, 1, 0]])
    upstream = tf.constant([[1.0, 2.0, 4.0, 8.0], [16.0, 32.0, 64.0, 128.0]])

    @mode
    def run(tables):
        with tf.GradientTape() as tape:
            tape.watch(tables)
            values = grouped_kmeans.lookup(tables, codes)
        return values, tape.gradient(values, tables, upstream)

    values, gradient = run(tables)
    assert values.numpy().tolist() == [[10, 30, 10, 30], [2, 2, 2, 1]]
    assert gradient.numpy().tolist() == [[5, 0, 10], [128, 112, 0]]


@pytest.mark.parametrize(
    "rows, fewest",
    [
        ([[1, 2, 3], [1, 1, 2]], 2),
        ([[0, 0, 0], [1, 1, 2]], 2),  # a group of zeros needs no entry but zero
        ([[4, 4, 4]], 1),
        ([[0, -1, 0]], 2),
    ],
)
def test_a_group_of_fewer_different_values_than_centroids_is_refused(rows, fewest):
    grouped_kmeans.check_different(np.float32(rows), fewest)
    message = rf"number_of_clusters={fewest + 1} for {fewest} different values.*at_most=True"
    with pytest.raises(ValueError, match=message):
        grouped_kmeans.check_different(np.float32(rows), fewest + 1)


def test_zeros_alone_pass():
    grouped_kmeans.check_different(np.zeros((2, 3), np.float32), 3)
