import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.pruning.api import prune
from edgeax.pruning.growth import GrowAndPrune, grow
from edgeax.pruning.weights import weights_of
from tests.pruning import nets


def gradients_of_the_twin(small, x, y):
    """The gradients at the kernels of a plain model with the same zeros."""
    twin = edgeax.strip(small)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((twin(x) - y) ** 2)
    found = tape.gradient(loss, [layer.kernel.value for layer in twin.layers])
    return [gradient.numpy() for gradient in found]


def start(seed=0):
    x, y = nets.data(outputs=4)
    return prune(nets.dense(10, 4, seed=seed), 0.8), x, y


def test_dyj17_those_of_the_largest_gradient_grow():
    small, x, y = start()
    grown = grow(small, x, y, share=0.25, batch_size=16)
    before = nets.masks(small)
    for (name, mask), gradient in zip(
        nets.masks(grown).items(), gradients_of_the_twin(small, x, y), strict=True
    ):
        dormant = np.abs(gradient[~before[name]])
        threshold = np.sort(dormant)[-round(0.25 * dormant.size)]
        assert np.array_equal(mask & ~before[name], (np.abs(gradient) >= threshold) & ~before[name])
        assert (mask | ~before[name]).all()


def test_of_all_together_the_largest_grow():
    small, x, y = start()
    grown = grow(small, x, y, share=0.25, scope="global")
    before, after = (
        np.concatenate([m.ravel() for m in nets.masks(s).values()]) for s in (small, grown)
    )
    sizes = np.concatenate([np.abs(g).ravel() for g in gradients_of_the_twin(small, x, y)])
    threshold = np.sort(sizes[~before])[-20]
    assert np.array_equal(after & ~before, (sizes >= threshold) & ~before)


def test_they_begin_against_their_gradient_and_lower_the_loss():
    small, x, y = start()
    gradient = gradients_of_the_twin(small, x, y)[0]
    grown = grow(small, x, y, share=0.25, strength=0.05)
    old, new = weights_of(small)[0], weights_of(grown)[0]
    came = new.active & ~old.active
    ratio = new.raw[came] / gradient[came]
    assert np.allclose(ratio, ratio[0], rtol=1e-4) and ratio[0] < 0
    mean = np.abs(old.raw[old.active]).mean()
    assert np.abs(new.raw[came]).mean() == pytest.approx(0.05 * mean, rel=1e-4)
    assert np.array_equal(new.raw[~came], old.raw[~came])
    assert nets.loss_of(grown, x, y) < nets.loss_of(small, x, y)


def test_a_network_grows_from_a_seed_and_is_pruned_again():
    small, x, y = start()
    counts = []

    class Counting(GrowAndPrune):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            counts.append(sum(np.count_nonzero(m) for m in nets.masks(self.model).values()))

    callback = Counting(x, y, grow_at=(0, 1), prune_at=(2,), share=0.5, sparsity=0.7)
    small.fit(x, y, epochs=4, verbose=0, callbacks=[callback])
    # 20 of 100; of the dormant ones half comes back: 48 and 32, then 24 and 16.
    assert counts == [20 + 40, 60 + 20, 30, 30]
    kernel = np.abs(weights_of(small)[0].raw)
    assert np.isfinite(kernel).all()


def test_bad_arguments_are_refused():
    small, x, y = start()
    with pytest.raises(ValueError, match=r"`share` must lie in \(0, 1\].*share=0"):
        grow(small, x, y, share=0)
    with pytest.raises(ValueError, match="`strength` must be above 0.*strength=-1"):
        GrowAndPrune(x, y, strength=-1)
    with pytest.raises(ValueError, match="`labels` must be given for criterion 'grow'"):
        grow(small, x)
    with pytest.raises(ValueError, match="`batch_size` must be an integer, at least 1.*0"):
        grow(small, x, y, batch_size=0)
    for epochs in (0, "02", (-1,), (0.5,)):
        with pytest.raises(ValueError, match="`grow_at` must be a list of epochs.*grow_at="):
            GrowAndPrune(x, y, epochs)
    with pytest.raises(ValueError, match="`prune_at` must be a list of epochs.*prune_at=3"):
        GrowAndPrune(x, y, prune_at=3)


@pytest.mark.parametrize("make", [lambda m: m, nets.masked], ids=["plain", "masks of ones"])
def test_where_nothing_is_masked_there_is_nothing_to_grow_and_it_is_said(make):
    x, y = nets.data(outputs=4)
    model = make(nets.dense(10, 4))
    with pytest.raises(ValueError, match=r"`model` must mask weights.*'first', 'second'.*Prune it"):
        grow(model, x, y)


def test_fit_refuses_to_grow_what_is_not_pruned_before_it_trains():
    x, y = nets.data(outputs=4)
    model = nets.masked(nets.dense(10, 4))
    model.compile("sgd", "mse")
    before = nets.kernels(model)["first"]
    with pytest.raises(ValueError, match="`model` must mask weights for some to grow"):
        model.fit(x, y, verbose=0, callbacks=[GrowAndPrune(x, y, (0,), (1,))])
    assert np.array_equal(nets.kernels(model)["first"], before)
    model.fit(x, y, verbose=0, callbacks=[GrowAndPrune(x, y, (0,), (0,), sparsity=0.5)])
    assert np.count_nonzero(~nets.masks(model)["first"]) == 30


def test_only_the_chosen_layers_grow():
    small, x, y = start()
    grown = grow(small, x, y, share=0.5, layers="@last")
    assert np.array_equal(nets.masks(grown)["first"], nets.masks(small)["first"])
    assert np.count_nonzero(nets.masks(grown)["second"]) == 8 + 16
