import keras
import numpy as np
import pytest

import edgeax
from edgeax.sharing.weights import by_table, clustered_copy, named_in_errors, weights_of
from edgeax.transforms.cluster import Cluster
from tests.model import small_models
from tests.pruning import nets


def names_of(weight):
    return [type(member).__name__ for member in weight.chain.transforms]


def test_a_plain_model_gets_clusters_at_the_chosen_kernels_and_stays_itself():
    model = small_models.convolutional()
    before = model.get_weights()
    copy, weights = clustered_copy(model, Cluster(4), "conv|head")
    assert [weight.name for weight in weights] == ["conv", "head"]
    assert all(names_of(weight) == ["Cluster"] for weight in weights)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert np.array_equal(weights[0].value, model.get_layer("conv").kernel)


def test_in_a_compressed_model_it_comes_after_a_pruning_and_replaces_another_cluster():
    model = nets.dense(8, 3)
    kernel = [edgeax.Prune(0.5), edgeax.Cluster(5), edgeax.Quantize("int8", axis=-1)]
    small = edgeax.compress(model, edgeax.Recipe([edgeax.Rule("first", kernel=kernel)]))
    copy, weights = clustered_copy(small, Cluster(3, assign_every=0), "first")
    assert [weight.name for weight in weights] == ["first"]
    assert names_of(weights[0]) == ["Prune", "Cluster", "Quantize"]
    assert weights[0].cluster.number_of_clusters == 3
    assert copy.compiled


def test_only_layers_of_a_compressed_model_that_are_compressed_can_be_picked():
    small = edgeax.compress(nets.dense(8, 3), edgeax.Recipe([edgeax.Rule("first", kernel="int8")]))
    with pytest.raises(ValueError, match=r"`layers` must pick.*\['first'\].*layers='second'"):
        clustered_copy(small, Cluster(3), "second")


def test_values_come_as_the_pruning_leaves_them_in_units_of_the_grid():
    small = edgeax.compress(nets.dense(4, 3), [edgeax.Prune(0.5), edgeax.Quantize("int8", axis=-1)])
    weight = clustered_copy(small, Cluster(3), "first")[1][0]
    mask = np.asarray(weight.chain.transforms[0].mask)
    assert np.array_equal(weight.value == 0, ~mask)
    assert np.array_equal(weight.value[mask], np.asarray(weight.variable)[mask])
    units = weight.value / np.abs(weight.value).max(axis=0)
    assert np.allclose(weight.rows, units.reshape(1, -1))


def test_an_error_counts_as_much_in_units_of_the_grid_as_in_weights():
    small = edgeax.compress(nets.dense(4, 3), [edgeax.Quantize("int8", axis=-1)])
    weight = clustered_copy(small, Cluster(3, scope="channel"), "first")[1][0]
    rng = np.random.default_rng(0)
    importance, moved = rng.random(weight.value.shape), rng.normal(size=weight.value.shape)
    scale = np.abs(weight.value).max(axis=0)
    rows = weight.cluster.division.grouped(moved / scale)
    found = np.sum(weight.in_rows(importance) * rows**2)
    assert found == pytest.approx(np.sum(importance * moved**2), rel=1e-5)


def test_weights_of_a_network_share_a_table_and_others_have_their_own():
    model = nets.dense(8, 5, 3)
    _, weights = clustered_copy(model, Cluster(4, scope="network"))
    assert [len(group) for group in by_table(weights)] == [3]
    _, weights = clustered_copy(model, Cluster(4))
    assert [len(group) for group in by_table(weights)] == [1, 1, 1]


def test_all_kernels_of_a_layer_are_found():
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, keras.layers.LSTM(3, name="memory")(inputs))
    _, weights = clustered_copy(model, Cluster(4))
    assert [weight.name for weight in weights] == ["memory", "memory/recurrent_kernel"]


def test_a_subclassed_compressed_model_is_copied_too():
    from tests.post_training import cases

    model, samples = cases.subclassed()
    small = edgeax.compress(model, [edgeax.Prune(0.5)])
    copy, weights = clustered_copy(small, Cluster(3))
    assert all(names_of(weight) == ["Prune", "Cluster"] for weight in weights)
    assert copy(samples).shape == small(samples).shape
    assert len(weights_of(copy)) == len(weights)


def test_errors_name_the_layer():
    with pytest.raises(ValueError, match="too few. It is the kernel of 'conv'"):
        with named_in_errors("conv"):
            raise ValueError("too few.")
