import itertools

import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import kmeans
from tests.rows import soaked
from tests.transforms.modes import compiled, graph, in_every_mode


def start(values, count, kind, seed=0, zero=False):
    ordered = tf.sort(tf.constant(values, tf.float32))
    return kmeans.initialize(ordered, count, kind, seed, zero).numpy()


def fitted(values, centroids, zero=False):
    ordered = tf.sort(tf.constant(values, tf.float32))
    return kmeans.lloyd(ordered, tf.constant(centroids, tf.float32), zero).numpy()


def error(values, centroids):
    """Sum of squared distances to the nearest centroid."""
    distances = np.subtract.outer(np.float64(values), np.float64(centroids))
    return float(np.square(distances).min(axis=1).sum())


def optimal_error(values, count):
    """The same for the best of all partitions into `count` intervals, tried one by one."""
    ordered = np.sort(np.float64(values))
    cuts = itertools.combinations(range(1, len(ordered)), count - 1)
    return min(
        sum(np.square(part - part.mean()).sum() for part in np.split(ordered, cut)) for cut in cuts
    )


@pytest.mark.parametrize(
    "values, count, zero, centroids",
    [
        ([3.0, -1.0, 0.1], 5, False, [-1.0, 0.0, 1.0, 2.0, 3.0]),
        ([-1.2, 2.8, 2.5], 5, True, [-1.2, 0.0, 0.8, 1.8, 2.8]),  # -0.2 lies nearest to zero
        ([1.0, 3.0], 2, True, [0.0, 3.0]),  # only positive values: the lowest one gives way
        ([2.0, 2.0, 2.0], 3, False, [2.0, 2.0, 2.0]),  # both ends are the same
        ([0.0, 0.0, 0.0], 2, True, [0.0, 0.0]),
    ],
)
def test_sh16_linear_centroids_lie_evenly_from_end_to_end(values, count, zero, centroids):
    found = start(values, count, "linear", zero=zero)
    assert found == pytest.approx(centroids, abs=1e-6)
    assert not zero or (found == 0.0).any()


def test_sh16_the_papers_example_starts_from_these_linear_centroids():
    # Figure 3: the smallest weight is -1.08, the largest 2.12.
    assert start([2.09, -1.08, 2.12, 0.0], 4, "linear") == pytest.approx(
        [-1.08, -1.08 + 3.2 / 3, -1.08 + 6.4 / 3, 2.12], abs=1e-6
    )


@pytest.mark.parametrize(
    "values, count, zero, centroids",
    [
        # 11 values in 5 shares; the middles lie at 0.1, 0.3, 0.5, 0.7, 0.9 of the way.
        (np.arange(11) ** 2, 5, False, [1, 9, 25, 49, 81]),
        # Pruned zeros are no quantile: 11 others, of which 5 are -4, -2, 1, 3, 5; 1 becomes 0.
        ([-5, -4, -3, -2, -1, *[0] * 20, 1, 2, 3, 4, 5, 6], 5, True, [-4, -2, 0, 3, 5]),
        ([*[0] * 20, 7, 8, 9], 3, True, [0, 8, 9]),
        ([0] * 6, 3, True, [0, 0, 0]),
        ([4.0, 4.0, 4.0], 2, False, [4, 4]),
    ],
)
def test_density_centroids_are_the_quantiles(values, count, zero, centroids):
    assert start(values, count, "density", zero=zero).tolist() == centroids


def test_plus_plus_draws_members_only_and_each_of_them_once():
    rng = np.random.default_rng(0)
    values = rng.choice([-3.0, -1.5, -1e-4, 2e-4, 0.5, 0.50001, 4.0, 1e4], size=200)
    for seed in range(4):
        drawn = start(values, 5, "kmeans++", seed)
        assert set(drawn) <= set(np.float32(values))
        assert len(set(drawn)) == 5
        # As many as there are: all of them.
        assert start(values, 8, "kmeans++", seed).tolist() == sorted(set(np.float32(values)))


def test_plus_plus_is_the_same_for_the_same_seed_only():
    values = np.random.default_rng(1).normal(size=300)
    first, again, other = (start(values, 6, "kmeans++", seed).tolist() for seed in (7, 7, 8))
    assert first == again != other


def test_plus_plus_draws_by_the_squared_distance():
    # From 0, the value 3 is drawn nine times as often as 1: 180 of 200, with a deviation of 4.2.
    values = tf.constant([0.0, 1.0, 3.0])
    run = graph(lambda seed: kmeans.initialize(values, 2, "kmeans++", seed, zero=True))
    drawn = [run(tf.constant(seed)).numpy()[1] for seed in range(200)]
    assert 163 <= drawn.count(3.0) <= 197
    assert drawn.count(1.0) == 200 - drawn.count(3.0)


def test_plus_plus_begins_at_zero_where_zero_is_pinned():
    drawn = start([*[0] * 50, -5, 1, 2, 2], 4, "kmeans++", zero=True)
    assert drawn.tolist() == [-5, 0, 1, 2]


@pytest.mark.parametrize("zero", [False, True])
def test_plus_plus_repeats_values_only_when_there_are_too_few(zero):
    drawn = start([5.0, 5.0, 5.0], 3, "kmeans++", zero=zero)
    assert set(drawn) == ({0.0, 5.0} if zero else {5.0})


@pytest.mark.parametrize("count", [4, 33, 256])
def test_a_value_belongs_to_the_nearest_centroid_and_halfway_to_the_lower(count):
    rng = np.random.default_rng(count)
    centroids = np.sort(rng.choice(np.arange(-999, 999), size=count, replace=False)) / 2.0
    centroids[2] = centroids[1]  # equal ones do no harm
    halfway = (centroids[1:] + centroids[:-1]) / 2
    values = np.concatenate([centroids, halfway, rng.normal(0, 400, size=997)]).reshape(-1, 2, 1)
    values = np.pad(values, [[0, 0], [0, 1], [0, 0]], constant_values=1e9).astype(np.float32)
    nearest = np.abs(np.subtract.outer(np.float64(values), centroids)).argmin(axis=-1)

    codes = kmeans.assign(tf.constant(values), tf.constant(centroids, tf.float32)).numpy()
    assert codes.shape == values.shape
    assert np.array_equal(centroids[codes], centroids[nearest])


@in_every_mode
@pytest.mark.parametrize("count", [16, 40])
def test_values_are_assigned_alike_in_every_mode(count, mode):
    rng = np.random.default_rng(2)
    values = tf.constant(rng.normal(size=(20, 3)).astype(np.float32))
    centroids = tf.constant(np.sort(rng.normal(size=count)).astype(np.float32))
    assert np.array_equal(mode(kmeans.assign)(values, centroids), kmeans.assign(values, centroids))


@in_every_mode
def test_an_entrys_gradient_is_the_sum_over_its_members(mode):
    codes = tf.constant([[0, 2], [2, 2], [0, 3]])

    @mode
    def run(table, upstream):
        with tf.GradientTape() as tape:
            tape.watch(table)
            values = kmeans.lookup(table, codes)
        return values, tape.gradient(values, table, upstream)

    values, gradient = run(
        tf.constant([1.0, 2.0, 3.0, 4.0]), tf.constant([[1.0, 10.0], [20.0, 30.0], [0.5, 7.0]])
    )
    assert values.numpy().tolist() == [[1.0, 3.0], [3.0, 3.0], [1.0, 4.0]]
    assert gradient.numpy().tolist() == [1.5, 0.0, 60.0, 7.0]


@pytest.mark.parametrize(
    "values, centroids, zero, expected",
    [
        ([0, 1, 2, 10, 11, 12], [0, 12], False, [1, 11]),
        # First {0}, {1 .. 12} with means 0 and 7.2, then {0, 1, 2}, {10, 11, 12}.
        ([0, 1, 2, 10, 11, 12], [0, 1], False, [1, 11]),
        ([0, 0, 10, 10], [0, 5, 10], False, [0, 5, 10]),  # nobody's centroid stays
        ([2, 2, 2], [2, 2], False, [2, 2]),
        ([1, 1, 2, 10, 20], [0, 10], True, [0, 15]),  # 1, 1 and 2 do not move the pinned zero
        ([-4, -2, 0, 0, 0, 1, 5], [-4, 0, 5], True, [-3, 0, 5]),
    ],
)
def test_lloyd_moves_centroids_as_worked_out_by_hand(values, centroids, zero, expected):
    assert fitted(values, centroids, zero).tolist() == expected


@in_every_mode
def test_the_same_centroids_are_found_in_every_mode(mode):
    rng = np.random.default_rng(6)
    values = rng.normal(size=90) * (rng.random(90) < 0.5)
    equal = tf.fill([5], 2.0)

    def run(ordered):
        starts = [
            kmeans.initialize(ordered, 5, kind, seed=3, zero=zero)
            for kind, zero in [("linear", False), ("density", True), ("kmeans++", True)]
        ]
        found = [kmeans.lloyd(ordered, starts[0], False), kmeans.lloyd(ordered, starts[1], True)]
        return [*starts, *found, kmeans.initialize(equal, 4, "linear", 0, False)]

    ordered = tf.sort(tf.constant(values, tf.float32))
    for found, expected in zip(mode(run)(ordered), run(ordered), strict=True):
        assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-6, abs=1e-7)


@in_every_mode
@pytest.mark.parametrize("kind, zero", [("linear", True), ("kmeans++", False)])
def test_fitting_is_lloyd_after_initialization_for_tensors_of_any_size(kind, zero, mode):
    for size in (40, 61):
        values = np.random.default_rng(size).normal(size=size)
        ordered = tf.sort(tf.constant(values, tf.float32))
        found = mode(lambda x: kmeans.fit(x, 4, kind, 5, zero))(ordered)
        assert found.shape == [4]
        assert found.numpy() == pytest.approx(
            fitted(values, start(values, 4, kind, 5, zero), zero), rel=1e-6
        )


@pytest.mark.parametrize("kind", kmeans.INITIALIZATIONS)
def test_lloyd_ends_where_every_centroid_is_its_members_mean(kind):
    values = np.random.default_rng(3).normal(size=500).astype(np.float32)
    centroids = fitted(values, start(values, 7, kind))
    nearest = np.abs(np.subtract.outer(values, centroids)).argmin(axis=1)
    means = [np.float64(values[nearest == index]).mean() for index in range(7)]
    assert centroids == pytest.approx(means, rel=1e-6)
    assert np.array_equal(fitted(values, centroids), centroids)
    assert np.array_equal(np.sort(centroids), centroids)


def test_the_mean_of_equal_values_is_that_value_to_the_last_bit():
    values = np.repeat(np.float32([0.1, 0.7]), [30_000, 70_000])
    assert np.array_equal(fitted(values, [0.0, 1.0]), np.float32([0.1, 0.7]))


@pytest.mark.parametrize("kind", kmeans.INITIALIZATIONS)
def test_llo82_never_beats_the_optimal_partition(kind):
    rng = np.random.default_rng(4)
    found_optimum = False
    for trial in range(8):
        values = rng.normal(size=9).astype(np.float32)
        before = start(values, 3, kind, seed=trial)
        after = error(values, fitted(values, before))
        best = optimal_error(values, 3)
        assert best <= after * (1 + 1e-6) + 1e-12
        assert after <= error(values, before) + 1e-6
        found_optimum |= after <= best * (1 + 1e-5) + 1e-9
    assert found_optimum


def test_an_iteration_is_no_pass_over_the_values():
    values = tf.sort(tf.constant(np.random.default_rng(5).normal(size=1000), tf.float32))
    run = graph(lambda x: kmeans.lloyd(x, x[::250], False))
    functions = run.get_concrete_function(values).graph.as_graph_def().library.function
    bodies = [function for function in functions if "while" in function.signature.name]
    operators = {node.op for function in bodies for node in function.node_def}
    assert operators
    assert not operators & {"UnsortedSegmentSum", "TopKV2", "UpperBound", "LowerBound"}


# Groups side by side.

ROWS = np.sort(np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32), axis=1)
ROWS[1, 10:20] = 0.0
ROWS[1].sort()
ROWS[2] = 0.0
ROWS[3] = np.abs(ROWS[3])
ROWS[3].sort()


@pytest.mark.parametrize(
    "kind, zero, mode",
    [
        *((kind, zero, graph) for kind in kmeans.INITIALIZATIONS for zero in (False, True)),
        *((kind, True, compiled) for kind in kmeans.INITIALIZATIONS),
        *(soaked(kind, False, compiled) for kind in kmeans.INITIALIZATIONS),
    ],
)
def test_every_group_gets_the_centroids_that_it_gets_alone(kind, zero, mode):
    found = mode(lambda rows: kmeans.fit(rows, 6, kind, 3, zero))(tf.constant(ROWS))
    alone = [kmeans.fit(tf.constant(row), 6, kind, 3, zero) for row in ROWS]
    assert np.allclose(found, alone, rtol=1e-5, atol=1e-6)
    assert np.array_equal(found, np.sort(found, axis=1))
    assert not zero or (np.asarray(found) == 0.0).any(axis=1).all()


def test_the_centroid_nearest_to_zero_is_left_out():
    centroids = tf.constant([[-2.0, 0.0, 1.0], [0.0, 1.0, 2.0], [-3.0, -1.0, 0.5]])
    left = kmeans.without_zero(centroids)
    assert np.asarray(left).tolist() == [[-2.0, 1.0], [1.0, 2.0], [-3.0, -1.0]]


@in_every_mode
@pytest.mark.parametrize("count", [2, 5, 32, 33, 70])
def test_each_value_takes_the_nearest_entry_of_its_own_table(mode, count):
    source = np.random.default_rng(count)
    tables = np.sort(source.normal(size=(4, count)).astype(np.float32), axis=1)
    values = source.normal(size=(4, 50)).astype(np.float32)
    codes = mode(kmeans.assign)(tf.constant(values), tf.constant(tables)).numpy()
    distances = np.abs(values[:, :, np.newaxis] - tables[:, np.newaxis])
    chosen = np.take_along_axis(distances, codes[:, :, np.newaxis], axis=2)[:, :, 0]
    assert chosen == pytest.approx(distances.min(axis=2), abs=1e-6)


def test_halfway_the_lower_entry_is_taken():
    tables = tf.constant([[0.0, 2.0, 4.0], [1.0, 2.0, 9.0]])
    values = tf.constant([[1.0, 3.0], [1.5, 5.5]])
    assert kmeans.assign(values, tables).numpy().tolist() == [[0, 1], [0, 1]]


@in_every_mode
def test_an_entry_gets_the_sum_of_its_members_gradients(mode):
    tables = tf.constant([[10.0, 20.0, 30.0], [1.0, 2.0, 3.0]])
    codes = tf.constant([[0, 2, 0, 2], [1, 1, 1, 0]])
    upstream = tf.constant([[1.0, 2.0, 4.0, 8.0], [16.0, 32.0, 64.0, 128.0]])

    @mode
    def run(tables):
        with tf.GradientTape() as tape:
            tape.watch(tables)
            values = kmeans.lookup_grouped(tables, codes)
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
    kmeans.check_different(np.float32(rows), fewest)
    message = rf"number_of_clusters={fewest + 1} for {fewest} different values.*at_most=True"
    with pytest.raises(ValueError, match=message):
        kmeans.check_different(np.float32(rows), fewest + 1)


def test_zeros_alone_pass():
    kmeans.check_different(np.zeros((2, 3), np.float32), 3)
