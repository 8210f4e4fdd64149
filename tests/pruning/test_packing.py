import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.model.channels import channel_groups
from edgeax.model.select_channels import permute_channels
from edgeax.pruning.packing import kept_l1, matrices_of, pack_blocks, pack_permutation
from edgeax.transforms.structures import Blocks
from tests.pruning import nets

layers = keras.layers


def scattered(rows=16, columns=12, seed=0):
    """A kernel whose large weights make whole blocks of 4 once rows and columns are put in order,
    as they are not.
    """
    generator = np.random.default_rng(seed)
    large = generator.permutation(12)[:6].reshape(-1)  # of 4 x 3 blocks
    grid = np.isin(np.arange(12).reshape(4, 3), large)
    sizes = np.where(grid.repeat(4, 0).repeat(4, 1), 1.0, 0.01)
    kernel = sizes * generator.uniform(0.5, 1.0, (16, 12)) * generator.choice([-1, 1], (16, 12))
    return kernel[generator.permutation(16)][:, generator.permutation(12)][:rows, :columns]


@pytest.mark.parametrize("shape", [(16, 12), (3, 3, 8, 12), (7, 10), (5, 1)])
@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.75])
def test_jld18_packing_keeps_at_least_what_the_given_order_keeps(shape, sparsity):
    kernel = np.random.default_rng(sum(shape)).normal(size=shape)
    rows, columns = pack_permutation(kernel, 4, sparsity)
    assert sorted(rows) == [*range(shape[-2])] and sorted(columns) == [*range(shape[-1])]
    before, after = (
        kept_l1(np.abs(k).reshape(-1, shape[-1]), 4, sparsity)
        for k in (kernel, kernel[..., rows, :][..., columns])
    )
    assert after >= before
    if shape == (16, 12):
        assert after > 1.03 * before


@pytest.mark.parametrize("seed", range(4))
def test_blocks_that_were_scattered_are_found_again(seed):
    kernel = scattered(seed=seed)
    rows, columns = pack_permutation(kernel, 4, 0.5)
    kept = kept_l1(np.abs(kernel[rows][:, columns]), 4, 0.5)
    large = np.abs(kernel)[np.abs(kernel) > 0.1].sum()
    assert kept_l1(np.abs(kernel), 4, 0.5) < 0.75 * large
    assert kept > 0.95 * large


def test_what_is_kept_is_what_prune_keeps():
    kernel = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)
    mask = Blocks(4, 4).mask(tf.abs(kernel), 0.5).numpy()
    assert kept_l1(np.abs(kernel), 4, 0.5) == pytest.approx(np.abs(kernel)[mask].sum(), rel=1e-6)


def residual():
    """Convolutions, a sum of two, a depthwise one, a normalization, and a Flatten."""
    keras.utils.set_random_seed(0)
    given = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(given)
    y = layers.Conv2D(8, 3, padding="same", name="inner")(x)
    y = layers.BatchNormalization(name="norm")(y)
    x = layers.Add(name="add")([x, y])
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(12, 2, activation="relu", name="wide")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    model = keras.Model(given, layers.Dense(3, name="head")(x))
    norm = model.get_layer("norm")
    for variable in norm.weights:
        variable.assign(np.random.default_rng(1).uniform(0.5, 1.5, variable.shape))
    return model


def kept_of(model, sparsity):
    return sum(
        kept_l1(np.abs(layer.kernel.numpy()).reshape(-1, layer.kernel.shape[-1]), 4, sparsity)
        for layer in model.layers
        if hasattr(layer, "kernel") and layer.name != "depthwise"
    )


def test_a_packed_model_computes_the_same_and_keeps_more():
    model = residual()
    packed = pack_blocks(model, 4)
    images = np.random.default_rng(2).normal(size=(5, 6, 6, 3)).astype(np.float32)
    wanted = model(images).numpy()
    assert np.allclose(packed(images), wanted, atol=1e-5 * np.abs(wanted).max())
    assert not np.array_equal(packed.get_layer("inner").kernel, model.get_layer("inner").kernel)
    assert kept_of(packed, 0.5) > kept_of(model, 0.5)


def test_orders_are_reckoned_on_the_kernels_that_the_model_then_has():
    model = residual()
    groups = [group for group in channel_groups(model) if not group.reason]
    generator = np.random.default_rng(3)
    orders = [generator.permutation(group.size) for group in groups]
    named = {group.name: order for group, order in zip(groups, orders, strict=True)}
    packed = permute_channels(model, named)
    for one, other in zip(matrices_of(model, groups), matrices_of(packed, groups), strict=True):
        assert np.array_equal(one.arranged(orders), other.values)


def test_a_packed_model_loses_less_when_its_blocks_go():
    model = nets.dense(16, 12, 4, inputs=8)
    model.layers[1].kernel.assign(scattered())
    x, _ = nets.data(50, 8)
    recipe = edgeax.Recipe([edgeax.Rule("second", kernel=edgeax.Prune(0.5, block=(4, 4)))])
    plain, packed = (
        edgeax.compress(one, recipe)(x).numpy() for one in (model, pack_blocks(model, 4))
    )
    wanted = model(x).numpy()
    assert np.abs(packed - wanted).mean() < 0.5 * np.abs(plain - wanted).mean()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`block` must be an integer, at least 1.*0"):
        pack_permutation(np.ones((4, 4)), 0)
    with pytest.raises(ValueError, match=r"`kernel` must have inputs and outputs.*\(4,\)"):
        pack_permutation(np.ones(4), 2)
    with pytest.raises(ValueError, match="`sparsity`"):
        pack_blocks(residual(), 4, 1.0)
