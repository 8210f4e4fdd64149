import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.formats import Float32
from edgeax.transforms import Prune
from edgeax.transforms.noise import WeightNoise
from tests.transforms.bound import value_and_gradients, weight_chain

# Standard deviation 2 about the mean 0: squares 36 and eight of 0.5625 in nine.
WEIGHT = np.float32([[6.0, -0.75, -0.75], [-0.75, -0.75, -0.75], [-0.75, -0.75, -0.75]])
CLIPPED = np.minimum(WEIGHT, 2.0 * WEIGHT.std())
DRAWS = 600


def drawn(transform, weight=WEIGHT, count=DRAWS):
    chain = weight_chain(transform, weight)
    found = []
    for step in range(count):
        chain.calls.assign(step)
        found.append(chain.call(tf.constant(weight), training=True).numpy())
    return np.stack(found)


def test_jlgh20_noise_has_the_width_worked_out_by_hand():
    assert WEIGHT.std() == pytest.approx(2.1213203)  # sqrt((36 + 8 * 0.5625) / 9)
    found = drawn(WeightNoise(eta=0.1))
    width = 0.1 * 2.0 * 2.1213203  # of the largest weight after clipping
    close = 5 / np.sqrt(DRAWS)
    assert np.allclose(found.mean(axis=0), CLIPPED, atol=width * close)
    assert np.allclose(found.std(axis=0), width, rtol=close)
    values = ((found - CLIPPED) / width).ravel()
    assert np.mean(values**4) == pytest.approx(3.0, abs=0.6)  # normal
    assert WeightNoise().get_config() == {"eta": 0.038, "clip_sigma": 2.0, "seed": 0}


def test_jlgh20_outside_training_weights_are_clipped_and_have_no_noise():
    chain = weight_chain(WeightNoise(), WEIGHT)
    assert np.allclose(chain.call(tf.constant(WEIGHT)), CLIPPED)
    frozen = chain.freeze(WEIGHT)
    assert isinstance(frozen.format, Float32)
    assert np.array_equal(frozen.decode(), chain.call(tf.constant(WEIGHT)))
    plain = weight_chain(WeightNoise(clip_sigma=None), WEIGHT)
    assert np.array_equal(plain.call(tf.constant(WEIGHT)), WEIGHT)


def test_jlgh20_the_whole_gradient_goes_to_the_clean_weight():
    chain = weight_chain(WeightNoise(), WEIGHT)
    _, gradient = value_and_gradients(chain, WEIGHT, WEIGHT + 1, training=True)
    assert np.array_equal(gradient, WEIGHT + 1)  # also of the clipped one


def test_draws_are_repeated_and_differ_by_step_seed_and_kernel():
    first = drawn(WeightNoise(seed=1), count=2)
    assert np.array_equal(first, drawn(WeightNoise(seed=1), count=2))
    noise = first - CLIPPED
    others = (
        noise[1],
        drawn(WeightNoise(seed=2), count=1)[0] - CLIPPED,
        drawn(WeightNoise(seed=1), WEIGHT[::-1].copy(), count=1)[0] - CLIPPED[::-1],
    )
    for other in others:
        assert abs(np.corrcoef(noise[0].ravel(), other.ravel())[0, 1]) < 0.9
        assert not np.allclose(noise[0], other, atol=1e-3)


def test_it_trains_and_its_file_loads(tmp_path):
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    plain.layers[0].kernel.assign(WEIGHT)
    model = edgeax.compress(plain, [WeightNoise(0.1, seed=3)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.ones((4, 3), np.float32)
    model.fit(x, x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert np.allclose(edgeax.strip(model).layers[0].kernel, CLIPPED)


def test_it_follows_a_pruning_and_nothing_else():
    chain = edgeax.Chain([Prune(edgeax.ConstantSparsity(0.5, 0)), WeightNoise()])
    chain.bind("weight", WEIGHT.shape)
    chain.initialize(tf.constant(WEIGHT))
    frozen = chain.freeze(WEIGHT)
    assert np.sum(frozen.decode() == 0.0) == 4 and frozen.mask is not None
    edgeax.Chain([WeightNoise(), edgeax.Quantize("int8")])
    for before in (edgeax.Quantize("int8"), WeightNoise(), edgeax.Cluster(4)):
        with pytest.raises(ValueError, match="`WeightNoise` must come first"):
            edgeax.Chain([before, WeightNoise()])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"eta": -0.1}, "`eta` must be at least 0"),
        ({"eta": float("nan")}, "`eta` must be at least 0"),
        ({"clip_sigma": 0.0}, "`clip_sigma` must be above 0"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightNoise(**arguments)


def test_an_activation_is_refused():
    with pytest.raises(ValueError, match="chain of a weight"):
        WeightNoise().bind("activation", (None, 3))
