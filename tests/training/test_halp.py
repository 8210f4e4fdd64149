"""HALP: its update by hand, and how far 8 bits come with and without it."""

import keras
import numpy as np
import pytest

from edgeax.callbacks import SVRG
from edgeax.formats import FixedPoint
from edgeax.optimizers import HALP, RoundedSGD
from tests.training import least_squares
from tests.training.optimizer_checks import check_serialization


def test_dslz18_an_update_and_a_new_center_worked_out_by_hand():
    weights = [keras.Variable(np.float32([1.0, -1.0])), keras.Variable(np.float32([[0.5]]))]
    halp = HALP(0.5, strong_convexity=2.5, bits=3)  # codes -3 to 3
    # |(3, 0, 4)| = 5, so s = 5 / (2.5 * 3) = 2 / 3.
    halp.recenter(weights, [np.float32([3.0, 0.0]), np.float32([[4.0]])])
    # A gradient of whole steps over the rate leaves nothing to round: -1, +2; and -30 saturates.
    s = 2 / 3
    halp.apply([np.float32([s / 0.5, -2 * s / 0.5]), np.float32([[30 * s / 0.5]])], weights)
    np.testing.assert_allclose(weights[0].numpy(), [1.0 - s, -1.0 + 2 * s], rtol=1e-6)
    np.testing.assert_allclose(weights[1].numpy(), [[0.5 - 3 * s]], rtol=1e-6)
    assert [code.numpy().tolist() for code in halp.codes] == [[-1, 2], [[-3]]]
    assert {keras.backend.standardize_dtype(code.dtype) for code in halp.codes} == {"int8"}
    halp.apply([np.float32([-s / 0.5, 0.0]), np.float32([[0.0]])], weights)  # z goes on from there
    np.testing.assert_allclose(weights[0].numpy(), [1.0, -1.0 + 2 * s], rtol=1e-6)
    halp.recenter(weights, [np.float32([0.3, 0.0]), np.float32([[0.4]])])
    np.testing.assert_allclose(halp.step.numpy(), 0.5 / 7.5, rtol=1e-6)
    np.testing.assert_allclose(halp.centers[0].numpy(), [1.0, -1.0 + 2 * s], rtol=1e-6)
    assert not halp.codes[1].numpy().any()


def test_rounding_is_right_on_average():
    weight = keras.Variable(np.zeros(20000, np.float32))
    halp = HALP(1.0, bits=8)
    gradient = np.full(20000, 127 / 20000**0.5, np.float32)  # a norm of 127: steps of 1
    halp.recenter([weight], [gradient])
    halp.apply([np.full(20000, 0.3, np.float32)], [weight])
    assert {*np.unique(np.round(weight.numpy(), 6))} == {-1.0, 0.0}
    assert weight.numpy().mean() == pytest.approx(-0.3, abs=0.015)


class Norms(keras.callbacks.Callback):
    """Notes the norm of the whole gradient after each epoch."""

    def __init__(self, data):
        super().__init__()
        self.data, self.norms = data, []

    def on_epoch_end(self, epoch, logs=None):
        weights = np.float64(self.model.get_weights()[0])
        self.norms.append(
            np.linalg.norm(least_squares.gradient(*map(np.float64, self.data), weights))
        )


def test_dslz18_converges_linearly_below_the_floors_of_8_bits():
    data = least_squares.problem()
    mu, steepest = least_squares.convexity(data[0])
    rate = 0.1 / steepest

    def norms(optimizer, *callbacks):
        keras.utils.set_random_seed(0)
        seen = Norms(data)
        model = least_squares.model(optimizer, steps_per_execution=8)
        least_squares.fit(model, data, *callbacks, seen, epochs=36, shuffle=True)
        return np.array(seen.norms)

    def low():  # 8 bits over [-1, 1)
        return RoundedSGD(rate, format=FixedPoint(1, 7))

    halp = norms(HALP(rate, mu, bits=8), SVRG(data, refresh_epochs=4))
    sgd, svrg = norms(low()), norms(low(), SVRG(data, refresh_epochs=4))
    at_anchors = np.log10(halp[3::4])
    assert halp[-1] < 1e-5
    assert min(sgd[-16:].min(), svrg[-16:].min()) > 1e-3
    # Linear: each anchor takes off about as many digits as the others, until float32 ends it.
    above = at_anchors[at_anchors > -5]
    assert len(above) >= 6
    steps = np.diff(above)
    assert steps.max() < -0.3


def test_weights_without_a_center_do_not_move_silently():
    data = least_squares.problem()
    with pytest.raises(ValueError, match="`HALP` must be given a center"):
        least_squares.fit(least_squares.model(HALP(0.1)), data)


def test_it_serializes():
    check_serialization(HALP(0.3, 0.01, 6, seed=3, global_clipnorm=1.0))
    assert HALP(bits=12).largest_code == 2047


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"bits": 1}, "bits=1"),
        ({"bits": 17}, "bits=17"),
        ({"strong_convexity": 0.0}, "strong_convexity"),
        ({"weight_decay": 0.1}, "kernel_regularizer"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        HALP(**settings)
