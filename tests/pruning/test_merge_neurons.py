"""Similar neurons merged without data."""

import keras
import numpy as np
import pytest

from edgeax.model.rewrite import fold_batch_norm
from edgeax.pruning.merge_neurons import (
    Merge,
    MergedNeurons,
    merge_neurons,
    mode_cutoff,
    saliency_curve,
)
from tests.pruning import channel_models

layers = keras.layers


def dense(seed=0, hidden=(6, 5)):
    """Returns a model of dense layers, and inputs for it."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((4,))])
    for place, size in enumerate(hidden):
        model.add(layers.Dense(size, name=f"hidden{place}"))
        model.add(layers.ReLU())
    model.add(layers.Dense(3, name="head"))
    model.compile("sgd", "mse")
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(rng.normal(size=variable.shape))
    return model, rng.normal(size=(20, 4)).astype(np.float32)


def duplicate(layer, source, targets, axis=-1):
    """Gives the neurons `targets` of a layer the weights of the neuron `source`."""
    kernel, bias = (np.array(part) for part in layer.get_weights())
    moved = np.moveaxis(kernel, axis, 0)
    moved[targets], bias[targets] = moved[source], bias[source]
    layer.set_weights([kernel, bias])


def outputs(model, inputs):
    return keras.tree.map_structure(np.asarray, model(inputs, training=False))


def test_saliencies_worked_out_by_hand():
    """Neurons at 0, 1 and 3, read by 2, 1 and 4.

    s = a_j**2 * d**2: 1 into 0 costs 1, 0 into 1 costs 4, 2 into 1 costs 16 * 4. Then 0, read by
    3, and 2 are 3 apart: 9 * 9 against 16 * 9.
    """
    curve = saliency_curve(np.float64([[0], [1], [3]]), np.float64([[2], [1], [4]]))
    assert curve == [Merge(1, 0, 1.0), Merge(0, 2, 81.0)]


def test_the_mean_is_over_the_outgoing_weights():
    curve = saliency_curve(np.float64([[0, 1], [2, 1]]), np.float64([[1, 3], [2, 2]]))
    assert curve == [Merge(1, 0, 4.0 * 4.0)]


def test_the_curve_equals_that_of_all_saliencies_taken_anew():
    rng = np.random.default_rng(0)
    incoming, outgoing = rng.normal(size=(9, 4)), rng.normal(size=(9, 3))
    curve = saliency_curve(incoming, outgoing)
    alive = [*range(9)]
    for merge in curve:
        table = {
            (i, j): np.mean(outgoing[j] ** 2) * np.sum((incoming[i] - incoming[j]) ** 2)
            for i in alive
            for j in alive
            if i != j
        }
        (into, removed), least = min(table.items(), key=lambda item: item[1])
        assert (merge.into, merge.removed) == (into, removed)
        assert merge.saliency == pytest.approx(least)
        outgoing[into] += outgoing[removed]
        alive.remove(removed)
    assert len(curve) == 8


@pytest.mark.parametrize(
    "saliencies, expected",
    [
        ([0, 0, 0, 5, 9], 3),  # the mode is 0
        ([1, 4.0, 4.1, 4.3, 9, 20], 2),  # the narrowest halves: 4.0 to 4.3, then 4.0 and 4.1
        ([2], 1),
        ([], 0),
        ([3, 1, 1, 1], 0),  # the first is above it already
    ],
)
def test_the_cutoff_is_the_mode_of_the_curve(saliencies, expected):
    assert mode_cutoff([Merge(0, 1, float(value)) for value in saliencies]) == expected


def test_sb15_duplicates_go_and_nothing_changes():
    model, inputs = dense()
    duplicate(model.get_layer("hidden0"), 1, [3, 4])
    duplicate(model.get_layer("hidden1"), 0, [2])
    found = merge_neurons(model, count={"hidden0": 2, "hidden1": 1})
    assert [merge.saliency for merge in found.merged["hidden0"]] == [0.0, 0.0]
    assert {m.removed for m in found.merged["hidden0"]} < {1, 3, 4}
    assert [merge.saliency for merge in found.merged["hidden1"]] == [0.0]
    np.testing.assert_allclose(outputs(found.model, inputs), outputs(model, inputs), atol=1e-4)
    assert found.model.get_layer("hidden0").units == 4
    assert found.model.get_layer("hidden1").units == 4
    assert found.parameters_after == found.model.count_params() < found.parameters_before
    assert found.model.compiled


def test_outgoing_weights_add_up():
    model, _ = dense(hidden=(3,))
    duplicate(model.get_layer("hidden0"), 0, [2])
    found = merge_neurons(model, count=1)
    (merge,) = found.merged["hidden0"]
    head = np.asarray(model.get_layer("head").kernel)
    kept = [n for n in range(3) if n != merge.removed]
    expected = head[kept]
    expected[kept.index(merge.into)] += head[merge.removed]
    np.testing.assert_allclose(found.model.get_layer("head").kernel, expected, rtol=1e-6)


def test_a_layer_is_merged_as_the_one_before_leaves_it():
    model, _ = dense(hidden=(8, 7))
    both = merge_neurons(model, count={"hidden0": 3, "hidden1": 3})
    first = merge_neurons(model, count={"hidden0": 3})
    second = merge_neurons(first.model, count={"hidden1": 3})
    for merge, other in zip(both.merged["hidden1"], second.merged["hidden1"], strict=True):
        assert (merge.removed, merge.into) == (other.removed, other.into)
        assert merge.saliency == pytest.approx(other.saliency)


def test_the_bias_counts():
    model, inputs = dense(hidden=(4,))
    layer = model.get_layer("hidden0")
    kernel, bias = (np.array(part) for part in layer.get_weights())
    kernel[:, 1], bias[1] = kernel[:, 0], bias[0] + 100.0
    layer.set_weights([kernel, bias])
    (merge,) = merge_neurons(model, count=1).merged["hidden0"]
    assert {merge.removed, merge.into} != {0, 1}


def test_without_a_count_the_mode_takes_the_duplicates_and_no_more():
    model, inputs = dense(hidden=(12,))
    duplicate(model.get_layer("hidden0"), 5, [0, 1, 2, 3, 4, 6])
    found = merge_neurons(model)
    assert len(found.merged["hidden0"]) == 6
    np.testing.assert_allclose(outputs(found.model, inputs), outputs(model, inputs), atol=1e-4)


def test_a_merge_costs_less_than_a_removal():
    wins = 0
    for seed in range(6):
        model, inputs = dense(seed, hidden=(16,))
        layer = model.get_layer("hidden0")
        kernel, bias = (np.array(part) for part in layer.get_weights())
        noise = np.random.default_rng(seed).normal(size=(4, 8))
        kernel[:, 8:], bias[8:] = kernel[:, :8] + 0.1 * noise, bias[:8]
        layer.set_weights([kernel, bias])
        found = merge_neurons(model, count=6)
        gone = [merge.removed for merge in found.merged["hidden0"]]
        head = model.get_layer("head")
        plain = keras.models.clone_model(model)
        plain.set_weights(model.get_weights())
        weights = np.asarray(head.kernel).copy()
        weights[gone] = 0.0
        plain.get_layer("head").kernel.assign(weights)
        wanted = outputs(model, inputs)
        errors = [np.mean((outputs(m, inputs) - wanted) ** 2) for m in (found.model, plain)]
        wins += errors[0] < errors[1]
    assert wins == 6


def test_convolutions_are_merged_if_asked_for():
    model, images = channel_models.chain(), channel_models.images_for_chain(6)
    duplicate(model.get_layer("one"), 0, [3])
    plain = merge_neurons(model, count={"three": 1})
    assert set(plain.merged) == {"three"} and "Conv2D" in plain.skipped["one"]
    found = merge_neurons(model, count={"one": 1}, convolutions=True)
    assert [merge.saliency for merge in found.merged["one"]] == [0.0]
    np.testing.assert_allclose(outputs(found.model, images), outputs(model, images), atol=1e-5)


def test_filters_behind_a_flattening_are_merged_position_by_position():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3, 3, 2)),
            layers.Conv2D(4, 2, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(3, name="head"),
        ]
    )
    duplicate(model.get_layer("conv"), 0, [2])
    images = np.random.default_rng(0).normal(size=(5, 3, 3, 2)).astype(np.float32)
    found = merge_neurons(model, count=1, convolutions=True)
    np.testing.assert_allclose(outputs(found.model, images), outputs(model, images), atol=1e-5)


def test_several_readers_all_take_over():
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    x = layers.Dense(6, activation="tanh", name="hidden")(given)
    model = keras.Model(given, [layers.Dense(2, name="a")(x), layers.Dense(3, name="b")(x)])
    duplicate(model.get_layer("hidden"), 1, [4])
    inputs = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    found = merge_neurons(model, count=1)
    for before, after in zip(outputs(model, inputs), outputs(found.model, inputs), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_normalization_keeps_filters_apart_until_it_is_folded():
    model = channel_models.trained()
    found = merge_neurons(model, count={"hidden": 2}, convolutions=True)
    assert "fold batch normalizations first" in found.skipped["inner"]
    folded = fold_batch_norm(model)
    merged = merge_neurons(folded, count={"inner": 2}, convolutions=True)
    assert merged.model.get_layer("inner").filters == 10


def test_it_prints_what_was_merged():
    model, _ = dense()
    text = str(merge_neurons(model, count=2))
    assert text.splitlines()[0].split() == ["layer", "neurons", "merged", "largest", "saliency"]
    assert "left as it was: head: " in text and "parameters: 83 -> " in text
    assert isinstance(merge_neurons(model, count=0), MergedNeurons)


@pytest.mark.parametrize(
    "count, message",
    [
        (5, r"`count` must be an integer in \[0, 4\] for 'hidden1'"),
        (-1, r"`count` must be an integer in \[0, 5\] for 'hidden0'"),
        (0.5, r"`count` must be an integer"),
        ({"head": 1}, "`count` must be for layers whose neurons can be merged.*'head'"),
    ],
)
def test_a_count_that_does_not_fit_is_refused(count, message):
    with pytest.raises(ValueError, match=message):
        merge_neurons(dense()[0], count)


def test_a_model_without_such_layers_is_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="only")])
    with pytest.raises(ValueError, match="`model` must have a layer whose neurons can be merged"):
        merge_neurons(model)
