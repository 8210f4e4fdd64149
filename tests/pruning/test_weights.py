import keras
import numpy as np
import pytest

import edgeax
from edgeax.pruning.weights import maskable, unmasked, weights_of
from tests.model import small_models
from tests.post_training import cases
from tests.pruning import nets


def test_a_plain_model_gets_masks_of_ones_at_the_chosen_kernels_and_stays_itself():
    model = small_models.convolutional()
    copy = maskable(model, "conv|head")
    assert [weight.name for weight in weights_of(copy)] == ["conv", "head"]
    assert all(weight.active.all() for weight in weights_of(copy))
    images = small_models.images(4)
    assert np.array_equal(copy(images), model(images))


def test_a_compressed_model_is_copied_with_its_masks_and_steps():
    model = nets.dense(4, 3)
    small = edgeax.compress(model, [edgeax.Prune(0.5), edgeax.Quantize("int8", axis=-1)])
    x, y = nets.data()
    small.fit(x, y, epochs=1, verbose=0)
    copy = maskable(small, ".*")
    assert np.array_equal(copy(x), small(x))
    before = nets.masks(small)["first"]
    for weight in weights_of(copy):
        assert weight.layer.chains[0].step == small.layers[0].chains[0].step > 0
        weight.set_mask(np.zeros(weight.shape))
    assert np.array_equal(nets.masks(small)["first"], before)
    assert before.any()


def test_a_subclassed_model_is_copied_too():
    model, samples = cases.subclassed()
    small = maskable(model, ".*")
    weights_of(small)[0].set_mask(np.zeros(weights_of(small)[0].shape))
    copy = maskable(small, ".*")
    assert np.array_equal(copy(samples), small(samples))
    assert not np.array_equal(copy(samples), model(samples))


def test_masks_and_values_are_in_canonical_layout():
    keras.utils.set_random_seed(0)
    layer = keras.layers.Conv2DTranspose(3, 2, name="up")
    model = keras.Sequential([keras.Input((4, 4, 5)), layer])
    weight = weights_of(maskable(model, ".*"))[0]
    assert weight.variable.shape == (2, 2, 3, 5) and weight.shape == (2, 2, 5, 3)
    assert np.array_equal(weight.raw, np.swapaxes(np.asarray(layer.kernel), 2, 3))
    weight.set_raw(2 * weight.raw)
    assert np.array_equal(weight.variable, 2 * np.asarray(layer.kernel))


@pytest.mark.parametrize("updates, seen", [("masked", 0.0), ("dense", 3.0)])
def test_what_is_masked_counts_as_zero_unless_it_is_trained(updates, seen):
    weight = weights_of(nets.masked(nets.dense(2, inputs=2), updates=updates))[0]
    weight.set_raw(np.full((2, 2), 3.0))
    weight.set_mask(np.array([[True, False], [True, True]]))
    assert weight.value.tolist() == [[3.0, seen], [3.0, 3.0]]
    assert weight.raw.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_unmasked_computes_the_same_and_puts_everything_back():
    small = nets.masked(nets.dense(4, 3))
    weights = weights_of(small)
    weights[0].set_mask(np.arange(24).reshape(6, 4) % 3 == 0)
    x, _ = nets.data()
    before, raw, mask = small(x).numpy(), weights[0].raw, weights[0].active
    with pytest.raises(RuntimeError), unmasked(weights):
        assert np.array_equal(small(x), before)
        assert weights[0].active.all()
        raise RuntimeError
    assert np.array_equal(weights[0].raw, raw)
    assert np.array_equal(weights[0].active, mask)


def test_a_model_without_masks_is_refused_and_its_layers_named():
    small = edgeax.compress(nets.dense(4, 3), [edgeax.Quantize("int8")])
    with pytest.raises(ValueError, match=r"`layers` must pick layers.*first.*edgeax.Prune"):
        weights_of(small)
