import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import Codebook, Integer
from edgeax.transforms import Chain, Cluster, ConstantSparsity, Prune, Quantize
from edgeax.transforms.base import fresh
from tests.transforms.modes import compiled, eager, graph, in_every_mode

# Figure 3 of Deep Compression. Four clusters; which weight is in which stands in CODES.
WEIGHTS = np.float32(
    [
        [2.09, -0.98, 1.48, 0.09],
        [0.05, -0.14, -1.08, 2.12],
        [-0.91, 1.92, 0, -1.03],
        [1.87, 0, 1.53, 1.49],
    ]
)
GRADIENTS = np.float32(
    [
        [-0.03, -0.01, 0.03, 0.02],
        [-0.01, 0.01, -0.02, 0.12],
        [-0.01, 0.02, 0.04, 0.01],
        [-0.07, -0.02, 0.01, -0.02],
    ]
)
CODES = [[3, 0, 2, 1], [1, 1, 0, 3], [0, 3, 1, 0], [3, 1, 2, 2]]


def bound(*members, shape):
    chain = Chain(members)
    chain.bind("weight", shape)
    return chain


def begun(*members, weight):
    chain = bound(*members, shape=weight.shape)
    chain.initialize(tf.constant(weight))
    return chain


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.05, size=shape).astype(np.float32)


def training_step(chain, mode=eager):
    """One forward and backward pass: weight, upstream gradient -> value and all gradients."""

    @mode
    def step(weight, upstream):
        with tf.GradientTape() as tape:
            tape.watch(weight)
            value = chain.call(weight, training=True)
        to = [weight, *[variable.value for variable in chain.trainable_variables]]
        return value, tape.gradient(value, to, upstream)

    return step


def test_sh16_the_papers_weights_give_the_papers_centroids():
    # (2.09 + 2.12 + 1.92 + 1.87) / 4 = 2.00, (1.48 + 1.53 + 1.49) / 3 = 1.50,
    # (0.09 + 0.05 - 0.14 + 0 + 0) / 5 = 0.00, (-0.98 - 1.08 - 0.91 - 1.03) / 4 = -1.00
    centroids = np.float32([-1.0, 0.0, 1.5, 2.0])
    chain = begun(Cluster(4), weight=WEIGHTS)
    encoded = chain.freeze(WEIGHTS)
    assert encoded.codes.tolist() == CODES
    assert encoded.params["codebook"] == pytest.approx(centroids, abs=1e-6)
    assert chain.call(tf.constant(WEIGHTS)).numpy() == pytest.approx(centroids[CODES], abs=1e-6)


@in_every_mode
def test_sh16_a_centroid_gets_the_sum_of_its_members_gradients(mode):
    chain = begun(Cluster(4), weight=WEIGHTS)
    _, (to_weight, to_centroids) = training_step(chain, mode)(tf.constant(WEIGHTS), GRADIENTS)
    sums = [
        -0.01 - 0.02 - 0.01 + 0.01,  # -1.00: -0.03
        0.02 - 0.01 + 0.01 + 0.04 - 0.02,  # 0.00: 0.04
        0.03 + 0.01 - 0.02,  # 1.50: 0.02
        -0.03 + 0.12 + 0.02 - 0.07,  # 2.00: 0.04
    ]
    assert to_centroids.numpy() == pytest.approx(sums, abs=1e-7)
    assert np.array_equal(to_weight, GRADIENTS)  # the weights move too, and may change sides


def test_sh16_a_step_of_gradient_descent_gives_the_papers_fine_tuned_centroids():
    chain = begun(Cluster(4), weight=WEIGHTS)
    _, (_, to_centroids) = training_step(chain)(tf.constant(WEIGHTS), GRADIENTS)
    chain.transforms[0].centroids.assign_sub(to_centroids)
    # -1.00 + 0.03, 0.00 - 0.04, 1.50 - 0.02, 2.00 - 0.04
    tuned = chain.freeze(WEIGHTS).params["codebook"]
    assert tuned == pytest.approx([-0.97, -0.04, 1.48, 1.96], abs=1e-6)


def test_on_a_grid_a_centroids_gradient_is_scaled_by_each_channels_largest_weight():
    # Shared value = max|channel| * centroid: 4 and 2 here, with members (2 of channel 0) and 1.
    weight = np.float32([[4.0, -2.0], [4.0, 2.0], [-4.0, -2.0]])
    chain = begun(Cluster(2), Quantize("int8", axis=-1), weight=weight)
    upstream = np.float32([[0.5, 1.0], [0.25, 3.0], [7.0, 2.0]])
    _, (to_weight, to_centroids) = training_step(chain)(tf.constant(weight), upstream)
    below = 4 * 7.0 + 2 * (1.0 + 2.0)
    above = 4 * (0.5 + 0.25) + 2 * 3.0
    assert to_centroids.numpy() == pytest.approx([below, above])
    assert np.array_equal(to_weight, upstream)


@pytest.mark.parametrize("kind", ["linear", "density", "kmeans++"])
def test_a_weight_takes_at_most_as_many_values_as_there_are_clusters(kind):
    weight = normal(5, 4, 30)
    chain = begun(Cluster(7, cluster_centroids_init=kind), weight=weight)
    values = chain.call(tf.constant(weight)).numpy()
    assert len(np.unique(values)) == 7
    # And each weight takes the nearest of them.
    distances = np.abs(np.subtract.outer(weight, np.unique(values)))
    assert np.abs(weight - values) == pytest.approx(distances.min(axis=-1), abs=1e-7)


@pytest.mark.parametrize(
    "clusters, axis, mode", [(6, -1, eager), (6, -1, graph), (6, -1, compiled), (40, None, graph)]
)
def test_clustered_values_share_one_table_of_codes_of_the_grid(clusters, axis, mode):
    weight = normal(6, 5, 8) * np.float32([1, 1, 9, 0.1, 1, 1, 1, 1])
    chain = begun(Cluster(clusters), Quantize("int5", axis=axis), weight=weight)
    value, _ = training_step(chain, mode)(tf.constant(weight), weight)

    encoded = chain.freeze(weight)
    assert encoded.format == Codebook(clusters, value=Integer(5, axis=axis))
    assert encoded.params["codebook"].dtype == np.int8
    assert encoded.params["codebook"].shape == (clusters,)  # one for all channels
    assert np.abs(encoded.params["codebook"]).max() <= 15
    assert np.array_equal(encoded.params["scale"], Integer(5, axis=axis).fit(weight)["scale"])
    assert np.array_equal(encoded.decode(), value)


@in_every_mode
def test_without_a_grid_training_computes_with_what_freeze_stores(mode):
    weight = normal(9, 8)
    chain = bound(Prune(0.5), Cluster(5), shape=weight.shape)
    step = training_step(chain, mode)
    for _ in range(2):
        value, _ = step(tf.constant(weight), weight)
        assert np.array_equal(chain.freeze(weight).decode(), value)
    assert chain.freeze(weight).format == Codebook(5, value=None)


@pytest.mark.parametrize("axis", [None, -1])
@pytest.mark.parametrize("members", [[Cluster(2)], [Prune(0.25), Cluster(3)]])
def test_a_channel_of_zeros_stays_zero_though_the_table_may_hold_no_zero(members, axis):
    weight = np.float32([[1, 0, -3], [-2, 0, 1], [3, 0, 2]])
    if axis is None:
        weight = np.zeros_like(weight)
    chain = begun(*map(fresh, members), Quantize("int8", axis=axis), weight=weight)
    value, (_, to_centroids) = training_step(chain)(tf.constant(weight), np.ones_like(weight))
    encoded = chain.freeze(weight)
    assert not value.numpy()[:, 1].any()
    assert np.array_equal(encoded.decode(), value)
    assert (encoded.params["scale"] > 0).all()
    assert np.isfinite(to_centroids.numpy()).all()
    assert axis is None or value.numpy()[:, [0, 2]].any()


def test_after_pruning_one_centroid_is_zero_for_good():
    weight = normal(10, 10)
    chain = begun(Prune(0.6), Cluster(4), weight=weight)
    assert chain.transforms[1].centroids.shape == (3,)
    pruned = chain.transforms[0].call(tf.constant(weight), tf.constant(0)).numpy() == 0.0
    step = training_step(chain)
    for _ in range(3):
        value, (_, to_centroids) = step(tf.constant(weight), np.ones_like(weight))
        assert not value.numpy()[pruned].any()
        chain.transforms[1].centroids.assign_sub(1e-3 * to_centroids)
    assert 0.0 in chain.freeze(weight).params["codebook"]


def test_the_first_centroids_are_those_of_the_pruned_weight():
    # What is left of -9 .. 9 after pruning 12 of 19: -9, -8, -7, (6,) 7, 8, 9, and zero.
    weight = np.arange(-9, 10, dtype=np.float32).reshape(19, 1)
    chain = begun(Prune(12 / 19), Cluster(3), weight=weight)
    kept = chain.call(tf.constant(weight)).numpy()
    assert int(np.sum(kept == 0.0)) == 12
    # Of -6 and 6 the first goes: means of -9, -8, -7 and of 6, 7, 8, 9.
    assert np.unique(kept).tolist() == [-8.0, 0.0, 7.5]


def test_zeros_need_not_be_preserved():
    weight = normal(8, 6)
    chain = begun(Prune(0.5), Cluster(2, preserve_sparsity=False), weight=weight)
    value, _ = training_step(chain)(tf.constant(weight), weight)
    assert chain.transforms[1].centroids.shape == (2,)
    assert value.numpy().all()  # the zeros went to one of the two others
    assert np.array_equal(chain.freeze(weight).decode(), value)


def test_zeros_may_be_preserved_without_pruning():
    weight = normal(8, 6)
    weight[weight < 0] = 0.0
    chain = begun(Cluster(4, preserve_sparsity=True), weight=weight)
    assert not chain.call(tf.constant(weight)).numpy()[weight == 0.0].any()


@pytest.mark.parametrize(
    "on_grid, mode", [(True, eager), (True, graph), (True, compiled), (False, graph)]
)
def test_centroids_are_found_in_the_graph_at_their_step_from_the_weights_of_that_time(
    on_grid, mode
):
    grid = [Quantize("int8")] if on_grid else []
    chain = bound(Cluster(3, begin_step=2), *grid, shape=(4, 3))
    weights = [normal(4, 3, seed=seed) for seed in range(4)]
    chain.initialize(tf.constant(weights[0]))
    step = training_step(chain, mode)
    for index in (0, 1):
        value, (to_weight, to_centroids) = step(tf.constant(weights[index]), weights[index])
        assert np.array_equal(value, weights[index])  # nothing is rounded before
        assert np.array_equal(to_weight, weights[index])
        assert not to_centroids.numpy().any()
        assert np.array_equal(chain.freeze(weights[index]).decode(), weights[index])
        assert np.array_equal(chain.call(tf.constant(weights[index])), weights[index])
    value, _ = step(tf.constant(weights[2]), weights[2])
    assert len(np.unique(value)) == 3
    assert np.array_equal(chain.freeze(weights[2]).decode(), value)
    found = np.asarray(chain.transforms[0].centroids.value)
    from_the_start = begun(Cluster(3), *map(fresh, grid), weight=weights[2]).transforms[0]
    assert found == pytest.approx(np.asarray(from_the_start.centroids.value), rel=1e-6)
    step(tf.constant(weights[3]), weights[3])  # found once, then trained only
    assert np.array_equal(chain.transforms[0].centroids.value, found)


@pytest.mark.parametrize("mode", [graph, compiled])
@pytest.mark.parametrize("members", [[Cluster(4)], [Prune(0.5), Cluster(40), Quantize("int8")]])
def test_a_step_that_finds_no_centroids_does_not_look_for_them(members, mode):
    # Finding them sorts all weights and loops; it must stand behind a condition.
    chain = bound(*map(fresh, members), shape=(50, 4))
    run = mode(lambda weight: chain.call(weight, training=True))
    body = run.get_concrete_function(tf.TensorSpec((50, 4))).graph
    operators = [operation.type for operation in body.get_operations()]
    assert {"If", "StatelessIf"} & set(operators)
    assert not set(operators) & {"While", "StatelessWhile", "Cumsum"}
    assert operators.count("TopKV2") == 1  # the table of centroids is sorted, nothing else


def test_steps_do_not_retrace_and_repeat_themselves_to_the_last_bit():
    weight = normal(30, 20)
    chain = begun(Prune(0.5), Cluster(16), Quantize("int8", axis=-1), weight=weight)
    step = training_step(chain, graph)
    first = [result.numpy() for result in tf.nest.flatten(step(tf.constant(weight), weight))]
    for _ in range(3):
        again = tf.nest.flatten(step(tf.constant(weight), weight))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert step.experimental_get_tracing_count() == 1


def test_more_clusters_than_weights_are_refused():
    message = (
        r"`number_of_clusters` must not exceed.*number_of_clusters=13 .*\(3, 4\) \(12 values\)"
    )
    with pytest.raises(ValueError, match=message):
        bound(Cluster(13), shape=(3, 4))
    bound(Cluster(12), shape=(3, 4))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Cluster(1), r"`number_of_clusters` must lie in \[2, 256\].*=1\."),
        (lambda: Cluster(257), r"`number_of_clusters` must lie in \[2, 256\].*=257"),
        (lambda: Cluster(4, "kmeans"), r"`cluster_centroids_init` must be one of.*'kmeans'\."),
        (lambda: Cluster(4, begin_step=-3), "`begin_step` must be at least 0.*begin_step=-3"),
        (
            lambda: Chain([Quantize("int8"), Cluster(4)]),
            "`Cluster` must come first in a chain or right after Prune.*Quantize before Cluster",
        ),
        (lambda: Chain([Cluster(8), Cluster(4)]), "`Cluster` must come first.*Cluster before"),
        (lambda: Chain([Cluster(4)]).bind("activation", ()), "`Cluster` must stand in the chain"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "cluster",
    [Cluster(16), Cluster(3, "density", True, 7), Cluster(9, "kmeans++", False, seed=11)],
)
def test_settings_survive_json(cluster):
    text = json.dumps(keras.saving.serialize_keras_object(cluster))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert isinstance(again, Cluster)
    assert again.get_config() == cluster.get_config()


def test_a_schedule_that_prunes_later_keeps_its_zeros_through_the_found_centroids():
    weight = normal(10, 6)
    chain = begun(Prune(ConstantSparsity(0.5, 2)), Cluster(4), Quantize("int4"), weight=weight)
    step = training_step(chain)
    for expected in (0, 0, 30, 30):
        value, _ = step(tf.constant(weight), weight)
        assert int(np.sum(value == 0.0)) >= expected
        assert np.array_equal(chain.freeze(weight).decode(), value)


@pytest.mark.parametrize("values", [[[0.5]], [[0.5], [-1.0]], [[0.5, -1.0], [0.25, 0.125]]])
@pytest.mark.parametrize("on_grid", [False, True])
def test_with_at_most_a_small_weight_gets_as_many_clusters_as_values(values, on_grid):
    weight = np.float32(values)
    members = [Cluster(16, at_most=True)] + ([Quantize("int8")] if on_grid else [])
    chain = Chain(members)
    chain.bind("weight", weight.shape)
    chain.initialize(tf.constant(weight))
    seen = chain.call(tf.constant(weight)).numpy()
    spread = 1 / 254 if weight.size < 3 else 0.07  # k-means does not part the two that are close
    assert np.abs(seen - weight).max() <= spread
    frozen = chain.freeze(weight)
    assert np.array_equal(frozen.decode(), seen)
    assert len(frozen.params["codebook"]) == max(2, weight.size)
