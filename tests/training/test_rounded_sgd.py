import keras
import numpy as np
import pytest

from edgeax.formats import FixedPoint
from edgeax.optimizers import RoundedSGD


def stepped(optimizer, weight, gradients):
    """Returns the weight after some gradients, and the optimizer's momentum."""
    variable = keras.Variable(np.float32(weight))
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([np.float32(gradient)], [variable])
    return variable.numpy(), optimizer.momentums[0].numpy()


def test_wcb18_three_sums_are_rounded_each():
    # Steps of 1/4, halves to even. 0.3 + 0.5 * 1 = 0.8 -> 0.75; 0.5 * 0 + 0.75; 1 - 0.5 * 0.75 =
    # 0.625 -> 0.5. Then 0.3 + 0.25 = 0.55 -> 0.5; 0.375 + 0.5 = 0.875 -> 1; 0.5 - 0.5 = 0.
    made = RoundedSGD(0.5, 0.5, 0.5, FixedPoint(4, 2), "nearest")
    weight, momentum = stepped(made, [1.0], [[0.3], [0.3]])
    assert (weight.tolist(), momentum.tolist()) == ([0.0], [1.0])


def test_wcb18_small_updates_count_on_average_by_stochastic_rounding_only():
    # 1-6-9 has steps of 2**-9 above 1: updates of an eighth of one.
    ones, gradients = np.ones(4000), [np.full(4000, -(2.0**-12))] * 64
    nearest, _ = stepped(RoundedSGD(1.0, rounding="nearest"), ones, gradients)
    assert np.all(nearest == 1.0)
    drawn, _ = stepped(RoundedSGD(1.0), ones, gradients)
    assert np.mean(drawn) == pytest.approx(1 + 64 * 2.0**-12, abs=3e-4)
    assert np.array_equal(drawn * 2**9, np.round(drawn * 2**9))


def test_yzk19_momentum_has_8_bits_too():
    weights = np.random.default_rng(0).normal(size=(6, 3))
    made = RoundedSGD(0.1, 0.9, format="swalp8")
    weight, momentum = stepped(made, weights, [weights] * 3)
    for values in (weight, momentum):
        steps = values / 2.0 ** (np.floor(np.log2(np.abs(values).max(0))) - 6)
        assert np.array_equal(steps, np.round(steps)) and np.abs(steps).max() <= 128


def test_what_is_not_finite_stays_that():
    weight, _ = stepped(RoundedSGD(1.0), [1.0, 1.0], [[np.nan, 0.5]])
    assert np.isnan(weight[0]) and weight[1] == 0.5


def test_it_is_saved_and_its_settings_are_checked():
    made = RoundedSGD(0.1, 0.9, 1e-4, FixedPoint(2, 14), seed=3, loss_scale_factor=8.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert again.get_config() == made.get_config() and again.format == FixedPoint(2, 14)
    with pytest.raises(ValueError, match=r"`momentum` must lie in \[0, 1\)"):
        RoundedSGD(momentum=1.0)
    with pytest.raises(ValueError, match="`l2` must be at least 0 and finite.*nan"):
        RoundedSGD(l2=float("nan"))
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        RoundedSGD(seed=0.5)
    with pytest.raises(ValueError, match="`rounding` must be one of"):
        RoundedSGD(rounding="up")


def test_a_run_that_is_resumed_is_the_same(tmp_path):
    x = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)

    def trained(save):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile(RoundedSGD(0.1, 0.9), "mse")
        model.fit(x, x[:, :2], batch_size=8, shuffle=False, verbose=0)
        if save:
            model.save(tmp_path / "model.keras")
            model = keras.saving.load_model(tmp_path / "model.keras")
        model.fit(x, x[:, :2], batch_size=8, shuffle=False, verbose=0)
        return model.get_weights()

    for one, other in zip(trained(False), trained(True), strict=True):
        np.testing.assert_array_equal(one, other)
