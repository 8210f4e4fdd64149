import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.rewrapping import rewrapped
from edgeax.model.rewrite import paths_of_compressed
from edgeax.transforms.base import now
from tests.model import small_models
from tests.post_training import cases


def recipe():
    kernel = [edgeax.Prune(0.5), edgeax.Quantize("int8", axis=-1)]
    activation = edgeax.Quantize("int8")
    return edgeax.Recipe([edgeax.Rule(".*", kernel=kernel, input=activation, output=activation)])


def trained(model, samples):
    """Returns a compressed model with steps done and ranges seen."""
    small = edgeax.compress(model, recipe())
    small(samples, training=True)
    small(samples, training=True)
    return small


def with_cluster(members):
    return [members[0], edgeax.Cluster(3), *members[1:]]


def initialized(model):
    for layer in paths_of_compressed(model).values():
        layer.initialize()
    return model


MODELS = {
    "nested": lambda: (small_models.nested(), small_models.images(8)),
    "subclassed": cases.subclassed,
}


@pytest.mark.parametrize("kind", MODELS)
def test_without_a_change_the_copy_is_the_same_with_weights_of_its_own(kind):
    model, samples = MODELS[kind]()
    small = trained(model, samples)
    copy = rewrapped(small, paths_of_compressed(small), lambda members: members)
    assert np.array_equal(copy(samples), small(samples))
    assert [*paths_of_compressed(copy)] == [*paths_of_compressed(small)]
    for name, layer in paths_of_compressed(copy).items():
        old = paths_of_compressed(small)[name]
        assert [chain.step for chain in layer.chains] == [chain.step for chain in old.chains]
        for one, other in zip(layer.weights, old.weights, strict=True):
            assert one is not other and np.array_equal(one, other)
    before = small(samples).numpy()
    copy.set_weights([0 * weight for weight in copy.get_weights()])
    assert np.array_equal(small(samples), before)


@pytest.mark.parametrize("kind", MODELS)
def test_a_transform_that_comes_between_leaves_the_others_their_state(kind):
    model, samples = MODELS[kind]()
    small = trained(model, samples)
    picked = dict([[*paths_of_compressed(small).items()][-1]])
    copy = rewrapped(small, picked, with_cluster)
    for name, layer in paths_of_compressed(copy).items():
        old = paths_of_compressed(small)[name]
        for weight, old_weight in zip(layer.weight_chains, old.weight_chains, strict=True):
            names = [type(member).__name__ for member in weight.chain.transforms]
            added = ["Cluster"] if name in picked else []
            assert names == ["Prune", *added, "Quantize"]
            mask, old_mask = weight.chain.transforms[0].mask, old_weight.chain.transforms[0].mask
            assert np.array_equal(now(mask), now(old_mask)) and not now(mask).all()
            assert weight.chain.step == old_weight.chain.step == 2
        for chain, old_chain in zip(layer.chains[1:], old.chains[1:], strict=True):
            for one, other in zip(chain.weights, old_chain.weights, strict=True):
                assert np.array_equal(one, other)
    (name,) = picked
    weight = paths_of_compressed(copy)[name].weight_chains[-1]
    weight.chain.transforms[1].place([-0.5, 0.0, 0.5])
    assert np.unique(weight.chain.freeze(weight.value()).codes).tolist() == [0, 1, 2]


def test_kernels_that_are_named_one_by_one_get_it_each():
    inputs = keras.Input((6, 6, 2))
    layer = keras.layers.SeparableConv2D(3, 3, name="separable")
    model = keras.Model(inputs, layer(inputs))
    rule = edgeax.Rule(".*", kernel="int4", weights={"pointwise_kernel": "int8"})
    small = edgeax.compress(model, edgeax.Recipe([rule]))
    copy = rewrapped(small, paths_of_compressed(small), lambda given: [edgeax.Cluster(2), *given])
    chains = copy.get_layer("separable").weight_chains
    assert len(chains) == 2
    for weight in chains:
        cluster, quantize = weight.chain.transforms
        assert type(cluster) is edgeax.Cluster
        assert quantize.format == ("int8" if "pointwise" in weight.variable.name else "int4")


def test_a_kernel_without_transforms_gets_some():
    model = small_models.convolutional()
    small = edgeax.compress(model, edgeax.Recipe([edgeax.Rule(".*", output="int8")]))
    small(small_models.images(4), training=True)
    picked = {name: layer for name, layer in paths_of_compressed(small).items() if name == "head"}
    copy = initialized(rewrapped(small, picked, lambda given: [*given, edgeax.Cluster(2)]))
    (weight,) = copy.get_layer("head").weight_chains
    assert [type(member).__name__ for member in weight.chain.transforms] == ["Cluster"]
    assert np.unique(weight.transformed(False)).size == 2


def test_transforms_that_do_not_go_together_are_refused():
    small = edgeax.compress(small_models.convolutional(), [edgeax.Quantize("int8")])
    with pytest.raises(ValueError, match="`Cluster` must come first"):
        rewrapped(small, paths_of_compressed(small), lambda given: [*given, edgeax.Cluster(2)])
