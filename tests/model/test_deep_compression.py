import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.deep_compression import deep_compression

STEPS = 20


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(24, activation="relu", name="hidden"),
            keras.layers.Dense(3, name="logits"),
        ]
    )


def trained(recipe, steps):
    """Returns a network after so many steps of one batch each."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(8 * steps, 12)).astype("float32")
    y = generator.integers(0, 3, 8 * steps)
    model = edgeax.compress(network(), recipe)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    return model


def kernel(model, name="hidden"):
    return np.asarray(edgeax.strip(model).get_layer(name).kernel)


def test_sh16_prunes_then_clusters_then_trains_on():
    recipe = deep_compression(STEPS, 0.75, 8)
    pruned, clustered = (kernel(trained(recipe, steps)) for steps in (9, STEPS))
    assert np.mean(pruned == 0.0) == np.mean(clustered == 0.0) == 0.75
    assert len(np.unique(pruned)) > 8 >= len(np.unique(clustered))


def test_clusters_are_codes_of_one_int8_grid_for_each_kernel():
    prune, cluster, quantize = deep_compression(STEPS, 0.5, 16).rules[-1].slots["kernel"]
    assert (quantize.number_format.bits, quantize.number_format.axis) == (8, None)
    assert prune.settled_step < cluster.begin_step == 12


def test_layers_by_regular_expressions_the_last_that_matches_counts():
    recipe = deep_compression(STEPS, {".*": 0.5, "logits": 0.0}, {".*": 4, "logits": 6})
    model = trained(recipe, STEPS)
    assert np.mean(kernel(model) == 0.0) == pytest.approx(0.5)
    assert len(np.unique(kernel(model))) <= 4 < len(np.unique(kernel(model, "logits"))) <= 6
    assert np.mean(kernel(model, "logits") == 0.0) < 0.5


def test_layers_that_nothing_matches_are_only_rounded():
    found = kernel(trained(deep_compression(STEPS, {"logits": 0.5}), STEPS))
    assert len(np.unique(found)) > 16
    codes = found / (np.abs(found).max() / 127.0)
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)


def test_it_is_data():
    recipe = deep_compression(STEPS, {"hidden": 0.9})
    assert edgeax.Recipe.from_json(recipe.to_json()).to_json() == recipe.to_json()
    assert recipe.name == "deep_compression"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5,), r"`steps` must be an integer, at least 10. Received: steps=5"),
        ((STEPS, 1.0), r"`sparsity` must lie in \[0, 1\). Received: sparsity=1.0"),
        ((STEPS, {"a": "x"}), r"`sparsity` must lie in"),
        ((STEPS, 0.5, 1), r"`number_of_clusters` must lie in \[2, 256\]"),
        ((STEPS, {"a": 0.5}, {"b": 4}), r"must have the regular expressions of `sparsity`"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        deep_compression(*arguments)
