"""Distilled samples: their features have the remembered statistics, and what is refused."""

import sys

import keras
import numpy as np
import pytest

from edgeax.post_training.distilled_samples import distillation_loss, distilled_samples
from tests.model import small_models

layers = keras.layers


def trained(seed=0):
    """A model whose batch normalizations remember data that is far from noise."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 2)),
            layers.Conv2D(4, 3, name="one"),
            layers.BatchNormalization(momentum=0.0, name="norm"),
            layers.ReLU(),
            layers.Conv2D(4, 3, name="two"),
            layers.BatchNormalization(momentum=0.0, name="again"),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    noise = small_models.images(64, 12)
    smooth = noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2)
    model((smooth / smooth.std()).astype(np.float32), training=True)
    return model


def loss_by_hand(model, samples):
    """The loss, from the definition: per sample, channel by channel."""
    one, norm, relu, two, again = model.layers[:5]
    first = np.asarray(one(samples))
    second = np.asarray(two(relu(norm(first))))
    total = 0.0
    for feature, layer in ((first, norm), (second, again)):
        mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
        for sample in feature:
            gaps = (sample.mean((0, 1)) - mean) ** 2
            gaps += (sample.std((0, 1)) - np.sqrt(variance + 1e-3)) ** 2
            total += gaps.sum() / len(samples)
    return total


def test_cyd20_the_loss_is_the_one_of_the_definition():
    model, given = trained(), small_models.images(5, 12)
    assert distillation_loss(model, given) == pytest.approx(loss_by_hand(model, given), rel=1e-4)


def test_cyd20_the_loss_falls_tenfold():
    model = trained()
    weights = model.get_weights()
    noise = np.random.default_rng(0).normal(size=(16, 12, 12, 2)).astype(np.float32)
    samples = distilled_samples(model, count=16, steps=200, batch_size=16)
    assert samples.shape == (16, 12, 12, 2) and samples.dtype == np.float32
    assert distillation_loss(model, samples) < 0.1 * distillation_loss(model, noise)
    # The term of the input holds for each sample; the noise is a hundredth off, without it three.
    off = samples.mean((1, 2)) ** 2 + (samples.std((1, 2)) - 1.0) ** 2
    assert off.mean() < 1e-3
    assert all(map(np.array_equal, weights, model.get_weights()))


def test_the_seed_decides():
    model = trained()
    one, same, other = (
        distilled_samples(model, count=3, seed=seed, steps=3, batch_size=2) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1
    assert np.abs(one[0] - one[2]).max() > 0.1  # batches differ, too
    assert len(one) == 3


def test_samples_of_images_stay_in_their_range():
    model = trained()
    samples = distilled_samples(model, count=4, steps=30, input_range=(0.0, 1.0))
    assert samples.min() >= 0.0 and samples.max() <= 1.0
    assert abs(samples.mean() - 0.5) < 0.3 and samples.std() > 0.1


def test_inputs_have_the_mean_and_deviation_that_are_given():
    samples = distilled_samples(
        rescaled(), count=8, steps=60, input_mean=[100.0, -50.0], input_deviation=[20.0, 5.0]
    )
    np.testing.assert_allclose(samples.mean((0, 1, 2)), [100.0, -50.0], atol=4.0)
    np.testing.assert_allclose(samples.std((0, 1, 2)), [20.0, 5.0], rtol=0.3)


def rescaled():
    """`trained` for inputs of another mean and deviation."""
    plain, given = trained(), keras.Input((12, 12, 2))
    shift = layers.Normalization(mean=[100.0, -50.0], variance=[400.0, 25.0])
    return keras.Model(given, plain(shift(given)))


def test_nested_models_and_dense_features_with_batch_statistics():
    given = keras.Input((6, 6, 2))
    x = layers.Flatten()(small_models.block("inner")(layers.Conv2D(4, 1)(given)))
    x = layers.BatchNormalization(name="flat")(layers.Dense(5)(x))
    model = keras.Model(given, layers.Dense(2)(x))
    noise = small_models.images(32)
    samples = distilled_samples(model, count=32, steps=100)
    assert distillation_loss(model, samples) < 0.5 * distillation_loss(model, noise)


def test_several_inputs_give_a_list():
    one, two = keras.Input((4,), name="one"), keras.Input((5, 3), name="two", dtype="float16")
    x = layers.Concatenate()([one, layers.Flatten()(two)])
    model = keras.Model({"one": one, "two": two}, layers.BatchNormalization()(layers.Dense(2)(x)))
    samples = distilled_samples(model, count=5, steps=2, batch_size=3)
    assert [array.shape for array in samples] == [(5, 4), (5, 5, 3)]
    assert [str(array.dtype) for array in samples] == ["float32", "float16"]


def test_a_loss_that_stays_lowers_the_rate(monkeypatch):
    module = sys.modules[distilled_samples.__module__]  # a room may name the function like it
    monkeypatch.setattr(module, "_PATIENCE", 0)
    monkeypatch.setattr(module, "_LEAST_GAIN", 1.0)  # nothing counts as better
    model = trained()
    still = distilled_samples(model, count=2, steps=30)
    monkeypatch.setattr(module, "_LEAST_RATE", 0.5)
    moving = distilled_samples(model, count=2, steps=30)
    noise = np.random.default_rng(0).normal(size=still.shape)
    # A step of Adam is about as long as its rate: 0.5 + 0.05 + 0.005 + ...
    assert 0.45 < np.abs(still - noise).max() < 0.6 < np.abs(moving - noise).max()


def without_norm():
    return keras.Sequential([keras.Input((2,)), layers.Dense(2)], name="bare")


def of_words():
    given = keras.Input((4,), dtype="int32")
    return keras.Model(given, layers.BatchNormalization()(layers.Embedding(5, 3)(given)))


@pytest.mark.parametrize(
    "model, arguments, message",
    [
        (without_norm, {}, "must have a batch normalization.*'bare'.*Pass typical inputs"),
        (of_words, {}, "float inputs of known sizes.*type int32"),
        (lambda: small_models.block("any"), {}, r"float inputs of known sizes.*None, None"),
        (trained, {"count": 0}, "`count` must be at least 1. Received: count=0"),
        (trained, {"steps": 0}, "`steps` must be at least 1"),
        (trained, {"batch_size": 0}, "`batch_size` must be at least 1"),
        (trained, {"input_range": (1.0, 1.0)}, r"`input_range` must be.*\(1.0, 1.0\)"),
        (trained, {"input_mean": np.nan}, "`input_mean` must be finite"),
        (trained, {"input_deviation": 0.0}, "`input_deviation` must be finite and above 0"),
        (trained, {"input_mean": [1.0, 2.0, 3.0]}, r"`input_mean` must be a number.*\(2,\)"),
    ],
)
def test_what_cannot_be_is_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        distilled_samples(model(), **arguments)
