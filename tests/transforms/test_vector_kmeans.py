import itertools

import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats.vector_codebook import nearest
from edgeax.transforms import vector_kmeans
from tests.transforms.modes import compiled, graph, in_every_mode


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def error(vectors, centroids):
    distances = np.sum((vectors[:, :, None] - centroids[:, None]) ** 2, axis=-1)
    return np.sum(distances.min(axis=-1), axis=-1)


@in_every_mode
@pytest.mark.parametrize("tables", [1, 3])
def test_each_vector_is_assigned_to_what_numpy_assigns_it_to(mode, tables):
    vectors, codewords = normal(tables, 200, 4), normal(tables, 9, 4, seed=1)
    codewords[:, 5] = codewords[:, 2]  # in a tie the first
    found = mode(vector_kmeans.assign)(tf.constant(vectors), tf.constant(codewords)).numpy()
    expected = [nearest(v, c) for v, c in zip(vectors, codewords, strict=True)]
    assert np.array_equal(found, expected)
    assert not np.any(found == 5)


def test_many_vectors_are_compared_in_parts(monkeypatch):
    vectors, codewords = tf.constant(normal(2, 50, 3)), tf.constant(normal(2, 9, 3, seed=1))
    whole = vector_kmeans.assign(vectors, codewords)
    monkeypatch.setattr(vector_kmeans, "_MOST_SCORES", 200)
    assert np.array_equal(vector_kmeans.assign(vectors, codewords), whole)


def best_partition(vectors, count):
    """The least squared error of any partition."""
    best = np.inf
    for members in itertools.product(range(count), repeat=len(vectors)):
        parts = [vectors[np.equal(members, part)] for part in range(count)]
        best = min(best, sum(((p - p.mean(0)) ** 2).sum() for p in parts if len(p)))
    return best


def test_it_finds_the_best_partition_of_groups_and_never_beats_it():
    rng = np.random.default_rng(0)
    groups = np.float32([[0, 0], [4, 0], [0, 4]])[[0, 1, 2, 0, 1, 2, 0, 1]]
    apart = (groups + 0.2 * rng.normal(size=(8, 2))).astype(np.float32)
    best = best_partition(apart, 3)
    ends = [vector_kmeans.fit(tf.constant(apart[None]), 3, seed).numpy() for seed in range(8)]
    assert min(error(apart[None], end)[0] for end in ends) == pytest.approx(best, rel=1e-5)
    mixed = normal(8, 2, seed=3)
    for seed in range(4):
        found = vector_kmeans.fit(tf.constant(mixed[None]), 3, seed).numpy()
        assert error(mixed[None], found)[0] >= best_partition(mixed, 3) - 1e-5


def test_centroids_are_the_means_of_their_members():
    vectors = normal(2, 60, 3)
    found = vector_kmeans.fit(tf.constant(vectors), 5, seed=1).numpy()
    assert found.shape == (2, 5, 3)
    for table in range(2):
        members = nearest(vectors[table], found[table])
        for centroid in range(5):
            mean = vectors[table][members == centroid].mean(axis=0)
            assert found[table, centroid] == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("mode", [graph, compiled])
def test_graphs_find_the_same_centroids(mode):
    vectors = tf.constant(normal(3, 80, 2))
    eager = vector_kmeans.fit(vectors, 6, seed=2).numpy()
    found = mode(lambda x: vector_kmeans.fit(x, 6, seed=2))(vectors).numpy()
    assert found == pytest.approx(eager, abs=1e-6)


def test_the_seed_decides():
    vectors = tf.constant(normal(1, 300, 2))
    one, again, other = (vector_kmeans.fit(vectors, 8, seed).numpy() for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_tables_do_not_disturb_each_other():
    vectors = normal(2, 50, 3)
    both = vector_kmeans.fit(tf.constant(np.stack([vectors[0]] * 2)), 4, seed=0).numpy()
    for table in both:
        assert error(vectors[:1], table[None]) < error(vectors[:1], np.zeros((1, 4, 3)))


@pytest.mark.parametrize("count", [1, 3])
def test_equal_vectors_have_equal_centroids(count):
    vectors = np.full((2, 10, 3), 0.3, np.float32)
    found = vector_kmeans.fit(tf.constant(vectors), count, seed=0).numpy()
    assert np.array_equal(found, np.full((2, count, 3), 0.3, np.float32))


def test_few_different_vectors_are_all_found():
    vectors = np.repeat(normal(1, 3, 2), 20, axis=1)
    found = vector_kmeans.fit(tf.constant(vectors), 5, seed=0).numpy()
    assert error(vectors, found)[0] == pytest.approx(0.0, abs=1e-9)
