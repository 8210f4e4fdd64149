"""KURE: the fourth moment of kernels, and what it is drawn to."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.kurtosis import KURE, Kurtosis, kurtosis, rounding_error_of_uniform

layers = keras.layers


@pytest.mark.parametrize(
    "draw, expected",
    [
        (lambda g, n: g.uniform(-3.0, 5.0, n), 1.8),
        (lambda g, n: g.normal(2.0, 0.1, n), 3.0),
        (lambda g, n: g.laplace(0.0, 7.0, n), 6.0),
    ],
)
def test_scb20_kurtosis_is_that_of_the_distribution(draw, expected):
    sample = draw(np.random.default_rng(0), 4_000_000).astype(np.float32)
    assert float(kurtosis(tf.constant(sample))) == pytest.approx(expected, rel=0.01)


def test_scb20_the_deviation_is_the_unbiased_one():
    # mean 2; squares 4, 1, 1, 4; variance 10 / 3; fourth powers 16, 1, 1, 16, mean 8.5
    weight = tf.constant([0.0, 1.0, 3.0, 4.0])
    assert float(kurtosis(weight)) == pytest.approx(8.5 / (10.0 / 3.0) ** 2)  # 0.765
    assert float(Kurtosis(2.0)(weight)) == pytest.approx(2.0 * (0.765 - 1.8) ** 2)


def test_weights_that_are_all_equal_get_no_gradient_and_no_nan():
    for weight in (tf.ones((2, 2)), tf.zeros((1,))):
        with tf.GradientTape() as tape:
            tape.watch(weight)
            term = Kurtosis()(weight)
        assert float(term) == pytest.approx(1.8**2)
        assert not np.any(tape.gradient(term, weight))


def two_kernels():
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(2, use_bias=False), layers.Dense(2, use_bias=False)]
    )
    model.layers[0].kernel.assign([[0.0, 1.0], [3.0, 4.0]])  # kurtosis 0.765
    model.layers[1].kernel.assign([[0.0, 0.0], [0.0, 4.0]])  # mean 1: 84 / 4 / 4**2 = 1.3125
    return model


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("avg", (1.035**2 + 0.4875**2) / 2),
        ("sum", 1.035**2 + 0.4875**2),
        ("max", 1.035**2),
    ],
)
def test_scb20_modes_are_those_worked_out_by_hand(mode, expected):
    model = two_kernels()
    model.compile(keras.optimizers.SGD(0.0), lambda y, x: 0.0 * keras.ops.sum(x, axis=-1))
    history = model.fit(
        np.ones((1, 2)), np.ones((1, 2)), verbose=0, callbacks=[KURE(3.0, mode=mode)]
    )
    assert history.history["loss"][0] == pytest.approx(3.0 * expected, rel=1e-5)


def mean_squared_error_of_uniform(bits, step):
    """Brute force: the error up to the clip edge is that of rounding, beyond it the way to it."""
    weight = (np.arange(2_000_000) + 0.5) / 2_000_000  # one half of [-1, 1]
    edge = 2 ** (bits - 1) * step
    levels = step * (np.floor(weight / step) + 0.5)
    return np.mean(np.where(weight < edge, weight - levels, weight - edge) ** 2)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("part", [0.6, 0.9, 1.0])
def test_scb20_lemma_is_the_error_of_rounding_a_uniform_weight(bits, part):
    step = part / 2 ** (bits - 1)
    expected = mean_squared_error_of_uniform(bits, step)
    assert rounding_error_of_uniform(bits, step) == pytest.approx(expected, rel=1e-4)
    assert rounding_error_of_uniform(bits, 5 * step, 5.0) == pytest.approx(25 * expected, rel=1e-4)


def test_scb20_lemma_at_the_step_that_just_reaches_the_end():
    assert rounding_error_of_uniform(4, 1 / 8) == pytest.approx((1 / 8) ** 2 / 12)
    steps = np.linspace(0.1, 0.125, 25001)
    best = steps[np.argmin([rounding_error_of_uniform(4, step) for step in steps])]
    assert best == pytest.approx(1 / 8.5, rel=1e-3)  # there the derivative is 0


def test_normal_kernels_become_uniform_in_fit():
    keras.utils.set_random_seed(0)
    kernel = np.random.default_rng(0).normal(0.0, 0.1, (40, 40))
    model = keras.Sequential([keras.Input((40,)), layers.Dense(40, use_bias=False)])
    model.layers[0].kernel.assign(kernel)
    assert float(kurtosis(model.layers[0].kernel)) == pytest.approx(3.0, abs=0.3)
    model.compile(keras.optimizers.Adam(1e-3), lambda y, x: 0.0 * keras.ops.sum(x, axis=-1))
    x = np.zeros((200, 40))
    model.fit(x, x, batch_size=1, epochs=2, verbose=0, callbacks=[KURE()])
    assert float(kurtosis(model.layers[0].kernel)) == pytest.approx(1.8, abs=0.02)
    # It is the shape that changed: the weights are still those of before.
    assert np.corrcoef(kernel.ravel(), model.layers[0].kernel.numpy().ravel())[0, 1] > 0.95


def test_the_regularizer_stays_with_the_weight_through_wrapping_and_a_file(tmp_path):
    plain = keras.Sequential([keras.Input((2,)), layers.Dense(2, kernel_regularizer=Kurtosis(0.1))])
    plain.layers[0].kernel.assign([[0.0, 1.0], [3.0, 4.0]])
    compressed = edgeax.compress(plain, ["int3"])
    compressed.save(tmp_path / "model.keras")
    for model in (plain, compressed, keras.models.load_model(tmp_path / "model.keras")):
        (loss,) = model.losses
        assert float(loss) == pytest.approx(0.1 * 1.035**2, rel=1e-5)


@pytest.mark.parametrize("item", [Kurtosis(0.1, 2.5), KURE(0.1, 2.5, "max", 3)])
def test_the_settings_go_round(item):
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Kurtosis(-1.0), "`strength` must be at least 0"),
        (lambda: Kurtosis(target=0.5), "`target` must be at least 1"),
        (lambda: KURE(float("inf")), "`strength` must be.*finite"),
        (lambda: KURE(mode="mean"), "`mode` must be one of.*'mean'"),
        (lambda: rounding_error_of_uniform(4, 0.2), "`step` must be in"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
