import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.formats import Codebook, Integer
from edgeax.formats.codebooks import Codebooks
from edgeax.transforms import Chain, Cluster, ConstantSparsity, Mask, Prune, Quantize
from edgeax.transforms.base import fresh
from tests.rows import kept, soaked
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
        (lambda: Cluster(4, scope="block"), "`scope` must be one of.*scope='block'"),
        (lambda: Cluster(4, scope=0), "`scope` must be one of.*scope=0"),
        (lambda: Cluster(4, assign_every=-1), "`assign_every` must be an integer, at least 0.*=-1"),
        (lambda: Cluster(4, assign_every=0.5), "`assign_every` must be an integer.*=0.5"),
        (lambda: Cluster(4, penalty=-0.1), "`penalty` must be at least 0 and finite.*=-0.1"),
        (lambda: Cluster(4, penalty=float("nan")), "`penalty` must be at least 0 and finite.*nan"),
        (lambda: Cluster(4, penalty=True), "`penalty` must be at least 0 and finite.*True"),
        (lambda: Cluster(4, penalty="1"), "`penalty` must be at least 0 and finite.*'1'"),
        (
            lambda: Chain([Cluster(4), Quantize("int16")]),
            "`format` must have at most 8 bits after Cluster.*16 bits",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "cluster",
    [
        Cluster(16),
        Cluster(3, "density", True, 7),
        Cluster(9, "kmeans++", False, seed=11),
        Cluster(4, scope="kernel", assign_every=0, penalty=0.5),
        Cluster(4, scope=12, assign_every=7),
    ],
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


# Scopes.

SHAPE = (3, 3, 2, 4)  # 18 inputs, 4 channels; kernels of 9 weights
SCOPES = ["layer", "channel", "kernel", 6]


def groups_of(scope, shape=SHAPE):
    """Returns which table each weight has, worked out index by index."""
    groups = np.zeros(shape, int)
    for place in np.ndindex(shape):
        if scope == "channel":
            groups[place] = place[-1]
        elif scope == "kernel":
            groups[place] = place[-2] * shape[-1] + place[-1]
        elif scope != "layer":
            groups[place] = np.ravel_multi_index(place[:-1], shape[:-1]) // scope
    return groups


@pytest.mark.parametrize(
    "scope, mode", [*((scope, graph) for scope in SCOPES), ("kernel", eager), (6, compiled)]
)
def test_of_any_scope_a_centroid_gets_the_sum_of_its_groups_members_gradients(scope, mode):
    weight, upstream, groups = normal(*SHAPE), normal(*SHAPE, seed=1), groups_of(scope)
    chain = begun(Cluster(3, scope=scope), weight=weight)
    centroids = np.asarray(chain.transforms[0].centroids.value).reshape(-1, 3)
    assert len(centroids) == groups.max() + 1
    value, (to_weight, to_centroids) = training_step(chain, mode)(tf.constant(weight), upstream)
    sums = np.zeros(centroids.shape)
    for place in np.ndindex(SHAPE):
        table = centroids[groups[place]]
        nearest = np.argmin(np.abs(table - weight[place]))
        assert value[place] == table[nearest]
        sums[groups[place], nearest] += upstream[place]
    assert to_centroids.numpy().reshape(sums.shape) == pytest.approx(sums, abs=1e-6)
    assert np.array_equal(to_weight, upstream)


@pytest.mark.parametrize(
    "scope, every, mode",
    [
        *((scope, every, graph) for scope in SCOPES for every in (1, 2)),
        ("layer", 0, compiled),
        ("channel", 1, compiled),
        ("kernel", 2, compiled),
        (6, 0, compiled),
    ],
)
def test_of_any_scope_training_computes_with_what_freeze_stores(scope, every, mode):
    weight = normal(*SHAPE) * np.float32([1, 9, 0.1, 1])
    cluster = Cluster(4, scope=scope, assign_every=every, at_most=True)
    chain = begun(Prune(0.25), cluster, Quantize("int5", axis=-1), weight=weight)
    step = training_step(chain, mode)
    for seed in range(4):
        weight = weight + normal(*SHAPE, seed=9 + seed)
        value, (_, to_centroids) = step(tf.constant(weight), normal(*SHAPE, seed=seed))
        encoded = chain.freeze(weight)
        assert np.array_equal(encoded.decode(), value)
        assert np.array_equal(chain.call(tf.constant(weight)), value)
        chain.transforms[1].centroids.assign_sub(2.0 * to_centroids)
    pruned = np.where(chain.transforms[0].mask.value, weight, 0.0)
    assert np.array_equal(encoded.params["scale"], Integer(5, axis=-1).fit(pruned)["scale"])
    book = encoded.params["codebook"]
    assert book.dtype == np.int8 and np.abs(book).max() <= 15
    assert np.array_equal(np.sort(book, axis=0), book)
    if scope == "layer":
        assert encoded.format == Codebook(4, value=Integer(5, axis=-1))
    else:
        assert encoded.format == Codebooks(4, scope, Integer(5, axis=-1))
        assert book.shape == {"channel": (4, 1, 4), "kernel": (4, 2, 4), 6: (4, 3)}[scope]


@pytest.mark.parametrize("scope", SCOPES)
def test_of_any_scope_each_group_takes_its_own_few_values(scope):
    weight, groups = normal(*SHAPE), groups_of(scope)
    values = np.asarray(begun(Cluster(3, scope=scope), weight=weight).call(tf.constant(weight)))
    for group in np.unique(groups):
        assert len(np.unique(values[groups == group])) == 3
    alone = {
        group: begun(Cluster(3), weight=weight[groups == group]).call(
            tf.constant(weight[groups == group])
        )
        for group in np.unique(groups)
    }
    for group, wanted in alone.items():
        assert values[groups == group] == pytest.approx(wanted.numpy(), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_granularity_the_finer_the_scope_the_smaller_the_error(seed):
    weight = normal(*SHAPE, seed=seed)

    def error(scope):
        chain = begun(Cluster(3, "density", scope=scope), weight=weight)
        return float(np.sum(np.square(chain.call(tf.constant(weight)) - weight)))

    assert error("kernel") <= error("channel") <= error("layer")
    assert error(6) <= error("layer")


@pytest.mark.parametrize("scope", SCOPES)
def test_of_any_scope_pruned_weights_stay_zero(scope):
    weight = normal(*SHAPE)
    chain = begun(Prune(0.6), Cluster(3, scope=scope, at_most=True), weight=weight)
    assert chain.transforms[1].centroids.shape[-1] == 2
    pruned = ~np.asarray(chain.transforms[0].mask.value)
    step = training_step(chain)
    for _ in range(3):
        value, (_, to_centroids) = step(tf.constant(weight), np.ones_like(weight))
        assert not value.numpy()[pruned].any()
        chain.transforms[1].centroids.assign_sub(1e-3 * to_centroids)
    book = chain.freeze(weight).params["codebook"]
    assert (book == 0.0).any(axis=0).all()


@pytest.mark.parametrize(
    "scope, kind, mode",
    [("channel", "density", graph), ("kernel", "kmeans++", compiled), (6, "linear", compiled)],
)
def test_tables_of_any_scope_are_found_in_the_graph_at_their_step(scope, kind, mode):
    chain = bound(Cluster(3, kind, begin_step=1, scope=scope), Quantize("int8"), shape=SHAPE)
    step = training_step(chain, mode)
    first, second = normal(*SHAPE), normal(*SHAPE, seed=1)
    assert np.array_equal(step(tf.constant(first), first)[0], first)
    value, _ = step(tf.constant(second), second)
    at_once = begun(Cluster(3, kind, scope=scope), Quantize("int8"), weight=second)
    assert value.numpy() == pytest.approx(at_once.call(tf.constant(second)).numpy(), abs=1e-6)


def test_a_depthwise_kernel_has_a_table_for_each_channel():
    weight = normal(3, 3, 5)
    chain = Chain([Cluster(3, scope="kernel")])
    chain.transforms[0].input_axes = ()
    chain.bind("weight", weight.shape)
    chain.initialize(tf.constant(weight))
    frozen = chain.freeze(weight)
    assert frozen.params["codebook"].shape == (3, 1, 5)
    assert np.array_equal(frozen.decode(), chain.call(tf.constant(weight)))


@pytest.mark.parametrize(
    "cluster, shape, message",
    [
        (Cluster(4, scope="kernel"), (8, 4), "`scope` must not be 'kernel'.*without spatial axes"),
        (
            Cluster(10, scope="kernel"),
            SHAPE,
            r"must not exceed.*=10 .*\(9 values in each of 8 groups\).*at_most=True",
        ),
        (Cluster(4, scope=5), (8, 4), "`scope` must divide.*scope=5 for 8 inputs"),
        (Cluster(9, scope="channel"), (8, 4), r"=9 .*\(8 values in each of 4 groups\)"),
        (Cluster(2), (0, 4), r"must stand at a weight that has values.*\(0, 4\)"),
        (Cluster(2, at_most=True, scope="channel"), (3, 0), "weight that has values"),
    ],
)
def test_weights_that_a_scope_does_not_suit_are_refused(cluster, shape, message):
    with pytest.raises(ValueError, match=message):
        bound(cluster, shape=shape)


def test_with_at_most_a_small_kernel_gets_as_many_clusters_as_weights():
    chain = begun(Cluster(16, at_most=True, scope="kernel"), weight=normal(*SHAPE))
    assert chain.transforms[0].centroids.shape == (8, 9)
    assert chain.transforms[0].clusters == 9


# What the values must be.


@pytest.mark.parametrize("scope", ["layer", "channel"])
def test_more_clusters_than_different_weights_are_refused_unless_at_most(scope):
    weight = np.float32([[1, 5], [1, 6], [2, 7], [2, 7]])
    different = 2 if scope == "channel" else 5
    chain = bound(Cluster(different + 1 if scope == "layer" else 3, scope=scope), shape=(4, 2))
    with pytest.raises(ValueError, match=rf"for {different} different values.*at_most=True"):
        chain.initialize(tf.constant(weight))
    assert not int(chain.transforms[0].found.value)
    begun(Cluster(different, scope=scope), weight=weight)
    chain = begun(Cluster(4, scope=scope, at_most=True), weight=weight)
    assert chain.call(tf.constant(weight)).numpy() == pytest.approx(weight, abs=0.51)
    assert np.array_equal(chain.freeze(weight).decode(), chain.call(tf.constant(weight)))


def test_equal_weights_are_refused_unless_at_most():
    weight = np.full((3, 2), 0.7, np.float32)
    with pytest.raises(ValueError, match="number_of_clusters=2 for 1 different values"):
        begun(Cluster(2), weight=weight)
    chain = begun(Cluster(2, at_most=True), weight=weight)
    assert np.array_equal(chain.call(tf.constant(weight)), weight)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    weight = normal(4, 3)
    weight[1, 1] = bad
    chain = bound(Cluster(3), shape=(4, 3))
    with pytest.raises(ValueError, match="`weight` must be finite"):
        chain.initialize(tf.constant(weight))
    assert not int(chain.transforms[0].found.value)


@in_every_mode
def test_centroids_are_not_found_in_a_weight_that_is_not_finite(mode):
    weight = normal(4, 3)
    broken = weight.copy()
    broken[0, 0] = np.nan
    chain = bound(Cluster(3, begin_step=1), shape=(4, 3))
    step = training_step(chain, mode)
    for value in (weight, broken):
        step(tf.constant(value), value)
        assert not int(chain.transforms[0].found.value)
    assert len(np.unique(step(tf.constant(weight), weight)[0])) == 3


# Assignments that are kept.


STEPS = [(1, [1, 2, 3]), (2, [2]), (3, [3]), (0, [])]


@pytest.mark.parametrize(
    "every, new_at, mode",
    [
        *((*steps, mode) for steps in STEPS for mode in (eager, graph)),
        (*STEPS[1], compiled),
        *(soaked(*steps, compiled) for steps in (STEPS[0], *STEPS[2:])),
    ],
)
def test_weights_change_sides_only_every_few_steps(mode, every, new_at):
    weight = np.float32([[-1.0, 1.0], [-3.0, 3.0]])
    chain = begun(Cluster(2, assign_every=every), weight=weight)
    step = training_step(chain, mode)
    signs = np.sign(weight)
    for number in range(4):
        current = weight * (-1) ** number  # each weight changes sides at every step
        if number in new_at or number == 0:
            signs = np.sign(current)
        value, _ = step(tf.constant(current), weight)
        assert np.array_equal(value, 2.0 * signs)
        assert np.array_equal(chain.freeze(current).decode(), value)
        assert np.array_equal(chain.call(tf.constant(current)), value)


@in_every_mode
def test_kept_assignments_follow_a_centroid_past_another(mode):
    weight = np.float32([[-1.0, -1.0, 1.0, 1.0]])
    chain = begun(Cluster(2, assign_every=0), weight=weight)
    step = training_step(chain, mode)
    step(tf.constant(weight), weight)
    chain.transforms[0].centroids.assign([5.0, 4.0])  # that of the first two is now above
    value, (_, to_centroids) = step(tf.constant(weight), np.float32([[1, 2, 4, 8]]))
    assert value.numpy().tolist() == [[5, 5, 4, 4]]
    assert to_centroids.numpy().tolist() == [3, 12]
    frozen = chain.freeze(weight)
    assert frozen.params["codebook"].tolist() == [4, 5]
    assert frozen.codes.tolist() == [[1, 1, 0, 0]]


@pytest.mark.parametrize(
    "every, mode",
    [(0, eager), (0, graph), (0, compiled), (100, eager), (100, graph), soaked(100, compiled)],
)
def test_a_mask_that_changes_after_the_assignment_keeps_its_zeros(mode, every):
    weight = np.float32([[-3.0, 2.0], [2.5, 3.0]])
    chain = begun(Mask(), Cluster(3, assign_every=every), weight=weight)
    step = training_step(chain, mode)
    assert step(tf.constant(weight), weight)[0].numpy().all()
    mask = np.array([[True, False], [False, True]])
    chain.transforms[0].mask.assign(mask)
    value, (to_weight, _) = step(tf.constant(weight), weight)
    assert np.array_equal(value.numpy() != 0.0, mask)
    assert not to_weight.numpy()[~mask].any()
    assert np.array_equal(chain.freeze(weight).decode(), value)


# Tables from outside.


@pytest.mark.parametrize(
    "scope, mode", [*((scope, graph) for scope in SCOPES), ("channel", compiled)]
)
def test_placed_centroids_and_codes_are_what_is_computed_with(scope, mode):
    weight, groups = normal(*SHAPE), groups_of(scope)
    chain = bound(Cluster(4, scope=scope, assign_every=0), shape=SHAPE)
    cluster = chain.transforms[0]
    source = np.random.default_rng(3)
    tables = source.normal(size=(cluster.groups, cluster.clusters)).astype(np.float32)
    codes = source.integers(0, 4, SHAPE)
    cluster.place(tables, codes)
    value, _ = training_step(chain, mode)(tf.constant(weight), weight)
    assert np.array_equal(value, tables[groups, codes])
    assert np.array_equal(chain.freeze(weight).decode(), value)
    assert np.array_equal(chain.call(tf.constant(weight)), value)


@pytest.mark.parametrize("every", [1, 0])
def test_without_codes_the_nearest_placed_centroid_is_taken(every):
    weight = normal(4, 3)
    chain = begun(Cluster(3, assign_every=every), weight=weight)
    step = training_step(chain)
    step(tf.constant(weight), weight)
    table = np.float32([0.05, -0.06, 0.001])
    chain.transforms[0].place(table)
    wanted = table[np.abs(np.subtract.outer(weight, table)).argmin(axis=-1)]
    assert np.array_equal(chain.call(tf.constant(weight)), wanted)
    assert np.array_equal(step(tf.constant(weight), weight)[0], wanted)
    assert np.array_equal(chain.freeze(weight).decode(), wanted)


def test_on_a_grid_placed_centroids_are_parts_of_each_channels_largest_magnitude():
    weight = np.float32([[4.0, 2.0], [-1.0, 0.5], [0.1, -2.0]])
    chain = begun(Cluster(3), Quantize("int4", axis=-1), weight=weight)
    chain.transforms[0].place([1.0, -1.0, 1 / 7])
    encoded = chain.freeze(weight)
    assert encoded.params["codebook"].tolist() == [-7, 1, 7]
    # 4 and 2 are the largest magnitudes: values 4, 4 / 7 and 2, 2 / 7.
    assert encoded.decode() == pytest.approx(
        np.float32([[4, 2], [-4 / 7, 2 / 7], [4 / 7, -2]]) * [[1, 1], [-1, 1], [1, 1]], abs=1e-6
    )


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("grid", [[], [Quantize("int8", axis=-1)]])
def test_placing_what_k_means_finds_in_these_units_changes_nothing(scope, grid):
    weight = normal(*SHAPE)
    chain = begun(Prune(0.3), Cluster(4, scope=scope), *map(fresh, grid), weight=weight)
    pruned = np.asarray(chain.transforms[0].call(tf.constant(weight), tf.constant(0)))
    before = np.asarray(chain.call(tf.constant(weight)))
    cluster = chain.transforms[1]
    rows = cluster.in_units(pruned)
    assert rows.shape == (cluster.groups, 72 // cluster.groups)
    cluster.place(np.asarray(cluster.found_in(tf.constant(rows)))[:, ::-1])
    assert np.array_equal(chain.call(tf.constant(weight)), before)


def test_placed_codes_mean_the_given_order_also_where_zero_stands_in_the_middle():
    weight = normal(3, 2)
    chain = begun(Cluster(3, preserve_sparsity=True, assign_every=0), weight=weight)
    codes = np.array([[0, 1], [2, 1], [0, 2]])
    chain.transforms[0].place([-5.0, 0.0, 7.0], codes)
    assert chain.call(tf.constant(weight)).numpy().tolist() == [[-5, 0], [7, 0], [-5, 7]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([1.0, 2.0],), r"`centroids` must have shape \(1, 3\), or \(3,\)"),
        (([1.0, np.nan, 2.0],), "`centroids` must be finite"),
        (([1.0, 2.0, 3.0],), "must hold a 0 in each table"),
        (([1.0, 0.0, 3.0], [[0, 1]]), r"`codes` must be integers of the shape.*\(3, 2\)"),
        (([1.0, 0.0, 3.0], np.full((3, 2), 3)), r"`codes` must lie in \[0, 2\].*max=3"),
    ],
)
def test_what_cannot_be_placed_is_refused_before_anything_changes(arguments, message):
    weight = normal(3, 2)
    chain = begun(Prune(1 / 6), Cluster(3, assign_every=0), weight=weight)
    before = chain.get_weights()
    with pytest.raises(ValueError, match=message):
        chain.transforms[1].place(*arguments)
    assert all(np.array_equal(a, b) for a, b in zip(before, chain.get_weights(), strict=True))


def test_codes_that_would_not_be_kept_are_refused():
    cluster = begun(Cluster(3), weight=normal(3, 2)).transforms[0]
    with pytest.raises(ValueError, match="`codes` must be None where assign_every=1"):
        cluster.place([1.0, 2.0, 3.0], np.zeros((3, 2), int))
    with pytest.raises(ValueError, match="`place` must be called.*layer is built"):
        Cluster(3).place([1.0, 2.0, 3.0])


# The penalty.


@in_every_mode
def test_yyz20_the_penalty_is_the_squared_distance_from_the_centroids(mode):
    weight = np.float32([[1.0, 2.0], [5.0, 6.0]])  # centroids 1.5 and 5.5
    chain = begun(Cluster(2, penalty=0.25), weight=weight)

    @mode
    def step(weight):
        with tf.GradientTape() as tape:
            tape.watch(weight)
            chain.call(weight, training=True)
            (term,) = chain.losses
        to = [weight, chain.transforms[0].centroids.value]
        return term, tape.gradient(term, to)

    term, (to_weight, to_centroids) = step(tf.constant(weight))
    assert float(term) == pytest.approx(0.25 * 4 * 0.5**2)
    assert to_weight.numpy() == pytest.approx(0.5 * np.float32([[-0.5, 0.5], [-0.5, 0.5]]))
    assert to_centroids is None  # weights are drawn to centroids, not these to weights


def test_there_is_no_penalty_before_the_centroids_nor_outside_training():
    weight = normal(4, 3)
    chain = bound(Cluster(2, penalty=1.0, begin_step=1), shape=(4, 3))
    losses = []
    for training in (True, False, True):
        chain._clear_losses()
        chain.call(tf.constant(weight), training=training)
        losses.append([float(loss) for loss in chain.losses])
    assert losses[:2] == [[0.0], []] and losses[2][0] > 0.0


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("on_grid", [False, True])
def test_yyz20_weights_converge_to_their_centroids_where_nothing_else_pulls(scope, on_grid):
    grid = [Quantize("int8", axis=-1)] if on_grid else []
    chain = bound(Prune(0.25), Cluster(3, scope=scope, penalty=0.5), *grid, shape=SHAPE)
    weight = keras.Variable(normal(*SHAPE))
    chain.initialize(weight.value)
    pruned = ~np.asarray(chain.transforms[0].mask.value)
    start = np.asarray(weight.value)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            value = chain.call(weight.value, training=True)
            (loss,) = chain.losses
        weight.assign_sub(0.3 * tape.gradient(loss, weight.value))
        return value

    values = [step().numpy() for _ in range(40)]
    end = np.asarray(weight.value)
    assert np.array_equal(values[-1], values[-9])
    assert np.array_equal(end[pruned], start[pruned])
    # On a grid those stay where they are that its scales are made of.
    largest = np.abs(start * ~pruned).max(axis=(0, 1, 2))
    kept = np.abs(start) > (1 - 0.5 / 127) * largest if on_grid else pruned
    drawn = ~pruned & ~kept
    assert drawn.sum() >= 50
    assert end[drawn] == pytest.approx(values[-1][drawn], abs=1e-5)
    assert np.array_equal(end[kept], start[kept])

    def error(weight):
        """Of clustering anew."""
        weight = np.where(pruned, np.float32(0.0), weight)
        again = begun(Mask(), Cluster(3, scope=scope, at_most=True), weight=weight)
        return float(np.sum(np.square(again.call(tf.constant(weight)) - weight)))

    assert error(end) < (0.5 if on_grid else 0.3) * error(start)


# In a model.

RECIPES = {
    "channel": Cluster(2, scope="channel"),
    "kernel": Cluster(3, scope="kernel", at_most=True, assign_every=2),
    "sub-vector": Cluster(4, scope=2, assign_every=0, penalty=1e-3),
    "layer": Cluster(6, assign_every=3, penalty=1e-3),
}
IMAGES = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype(np.float32)


def tiny(name):
    """Returns a compressed model; its dense layer has no spatial axes."""
    keras.utils.set_random_seed(0)
    given = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(given)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.Dense(3, name="head")(keras.layers.Flatten()(x))
    dense = RECIPES["channel" if name == "kernel" else name]
    kernels = {"conv|depthwise": RECIPES[name], "head": dense}
    grid = Quantize("int8", axis=-1)
    rules = [edgeax.Rule(where, kernel=[part, grid]) for where, part in kernels.items()]
    recipe = edgeax.Recipe([*rules, edgeax.Rule(".*", input="int8", output="int8")])
    recipe = edgeax.Recipe.from_json(recipe.to_json())
    if name == "sub-vector":  # a depthwise kernel has 9 inputs
        recipe.rules.append(edgeax.Rule("depthwise", kernel=[Cluster(4, scope=3), grid]))
    model = edgeax.compress(keras.Model(given, x), recipe)
    model.compile("adam", "mse", jit_compile=name == "channel", steps_per_execution=2)
    return model


def trained(name):
    model = tiny(name)
    targets = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    model.fit(IMAGES, targets, batch_size=2, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module", params=kept(RECIPES, "channel", "sub-vector", "layer"))
def fitted(request):
    return trained(request.param)


def frozen(model):
    wrapped = [layer for layer in model.layers if hasattr(layer, "freeze_weights")]
    return [encoded for layer in wrapped for _, _, encoded in layer.freeze_weights()]


def test_a_trained_model_survives_a_file(fitted, tmp_path):
    fitted.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(again.predict(IMAGES, verbose=0), fitted.predict(IMAGES, verbose=0))
    for ours, theirs in zip(frozen(fitted), frozen(again), strict=True):
        assert ours.format == theirs.format
        assert np.array_equal(ours.codes, theirs.codes)


def test_a_trained_model_computes_with_what_it_stores(fitted):
    plain = edgeax.strip(fitted)
    for layer in ("conv", "depthwise", "head"):
        kernel = np.asarray(plain.get_layer(layer).kernel)
        assert kernel.any()
        for encoded in fitted.get_layer(layer).freeze_weights():
            assert np.array_equal(encoded[1].from_canonical(encoded[2].decode()), kernel)


def test_an_exported_file_computes_what_the_model_does(fitted, tmp_path):
    receipt = edgeax.export(fitted, tmp_path / "model.tflite", IMAGES, measure=False)
    assert {kernel.how for kernel in receipt.kernels} <= {"int8", "packed", "sparse"}
    assert len(receipt.kernels) == 3
    assert not [kernel for kernel in receipt.kernels if kernel.snr_db is not None]
    wanted = fitted.predict(IMAGES, verbose=0)
    outputs = edgeax.Interpreter(tmp_path / "model.tflite").run(IMAGES)
    step = np.ptp(fitted.get_layer("head").quantizer("output").extremes) / 255
    assert np.abs(outputs - wanted).max() <= 1.01 * step
