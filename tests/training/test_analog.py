"""What phase-change memory makes of weights, by the formulas of its source."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest

import edgeax
from edgeax.training import analog
from edgeax.training.analog import deployed, noisy_weight, pcm_weight
from edgeax.transforms.noise import WeightNoise

layers = keras.layers

PIECE = Path(__file__).resolve().parents[2] / "demos" / "data" / "fashion_mnist_subset.npz"


def test_jlgh20_device_formulas_are_those_worked_out_by_hand():
    # at g = 1 and 0.5: 0.26348 + 1.965 - 1.1731, 0.26348 + 0.9825 - 0.293275
    assert np.allclose(analog.programming_sigma([0.0, 0.5, 1.0]), [0.26348, 0.952705, 1.05538])
    # ln 1 = 0: 0.0244 is clipped to 0.049; ln e**-3: 0.0465 + 0.0244; ln 1e-7: clipped to 0.1
    mean, spread = analog.drift_exponent([1.0, math.exp(-3.0), 0.0])
    assert np.allclose(mean, [0.049, 0.0709, 0.1])
    assert np.allclose(spread, [0.008, 0.0316, 0.045])
    # (t + 250 ns) / 500 ns is e at 250 ns * (2 e - 1)
    seconds = 250e-9 * (2 * math.e - 1)
    assert np.allclose(analog.read_sigma([1.0, 0.25, 0.0], seconds), [0.0088, 0.021668, 0.2])
    day = math.sqrt(math.log((86400 + 250e-9) / 500e-9))
    assert day == pytest.approx(5.08679, abs=1e-5)
    assert analog.read_sigma(1.0, 86400.0) == pytest.approx(0.0088 * day)


def spread_of(weight, count=40_000, **settings):
    """Mean and standard deviation of a weight beside one of magnitude 1."""
    weights = np.full(count, weight)
    weights[0] = 1.0
    found = pcm_weight(weights, **settings)[1:]
    return found.mean(), found.std()


def test_jlgh20_a_fresh_weight_has_the_errors_of_both_devices():
    """At 20 s there is no drift: programming and read noise of the device that is on; the other is
    at zero, where half of the programming noise is cut off.
    """
    mean, spread = spread_of(0.5, seconds=20.0, drift_compensation=False)
    read = min(0.0088 / 0.5**0.65, 0.2) * math.sqrt(math.log((20 + 250e-9) / 500e-9))
    one = 0.952705**2 + (12.5**2 + 0.952705**2) * read**2
    off = 0.26348 / math.sqrt(2 * math.pi)  # mean of a normal cut off at zero
    cut = 0.26348**2 / 2 - off**2
    wild = 0.2 * math.sqrt(math.log((20 + 250e-9) / 500e-9))  # read noise of the off device, cut
    assert mean == pytest.approx((12.5 - off) / 25, abs=0.003)
    assert math.sqrt(one + cut) / 25 < spread < math.sqrt(one + cut * (1 + 4 * wild)) / 25


def test_jlgh20_drift_is_a_power_of_time_and_is_compensated():
    year = 365 * 86400.0
    mean, _ = spread_of(1.0, seconds=year, drift_compensation=False)
    assert mean == pytest.approx((year / 20) ** -0.049, rel=0.02)  # about half is left
    mean, _ = spread_of(1.0, seconds=year)
    assert mean == pytest.approx(1.0, rel=0.02)


def test_a_seed_is_a_chip():
    weight = np.linspace(-1, 1, 50).reshape(5, 10)
    first = pcm_weight(weight, seed=3)
    assert first.shape == weight.shape and first.dtype == np.float32
    assert np.array_equal(first, pcm_weight(weight, seed=3))
    assert not np.array_equal(first, pcm_weight(weight, seed=4))
    assert not np.any(pcm_weight(np.zeros((2, 2))))
    doubled = pcm_weight(2.0 * weight, seed=3)  # weights are relative to the largest
    assert np.allclose(doubled, 2.0 * first, rtol=1e-6)


def test_noise_in_one_number():
    weight = np.linspace(-2.0, 1.0, 40_000)
    noise = noisy_weight(weight, 0.1, seed=1) - weight
    assert noise.std() == pytest.approx(0.2, rel=0.02)
    assert np.array_equal(noisy_weight(weight, 0.0), weight.astype(np.float32))


def test_a_copy_of_the_model_is_deployed_and_its_digital_parts_stay():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, bias_initializer="ones"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    before = model.get_weights()
    chip = deployed(model, seconds=3600.0, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    changed = [v.name for v, w in zip(chip.variables, before, strict=True) if np.any(v != w)]
    assert changed == ["kernel"] * 3
    again = deployed(edgeax.compress(model, [WeightNoise(clip_sigma=None)]), 3600.0, 1)
    for one, other in zip(chip.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(chip.layers[0].kernel, deployed(model, 3600.0, 2).layers[0].kernel)


def test_jlgh20_a_network_trained_with_noise_loses_less():
    keras.utils.set_random_seed(0)
    with np.load(PIECE) as piece:
        x, x_test = (piece[part].astype(np.float32) / 255.0 for part in ("x_train", "x_test"))
        y, y_test = piece["y_train"], piece["y_test"]
    plain = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )

    def trained(model, epochs):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(2e-3), loss)
        model.fit(x, y, epochs=epochs, batch_size=128, verbose=0)
        return model

    def percent(model):
        return 100.0 * np.mean(model(x_test).numpy().argmax(-1) == y_test)

    trained(plain, 8)
    lost = {}
    for name, model in (
        ("noise", edgeax.compress(plain, [WeightNoise()])),
        ("clean", plain),
    ):
        trained(model, 8)
        noisy = [percent(deployed(model, seed=seed, eta=0.038)) for seed in range(6)]
        lost[name] = percent(edgeax.strip(model)) - np.mean(noisy)
    assert lost["noise"] < 0.8 * lost["clean"], lost


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: pcm_weight(np.ones(2), seconds=1.0), "`seconds` must be at least 20"),
        (lambda: pcm_weight(np.array([np.nan])), "`weight` must be finite"),
        (lambda: noisy_weight(np.ones(2), -1.0), "`eta` must be at least 0"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
