import numpy as np
import pytest

from edgeax.formats import Integer
from edgeax.transforms import LearnedStep
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain


def test_jlw21_the_step_gets_the_gradient_worked_out_by_hand():
    # 3 bits: codes -4..3. With step 1: 0.4 -> 0, 1.6 -> 2, 9 -> 3 (Qp), -9 -> -4 (-Qn).
    weight = np.float32([[0.4, 1.6], [9.0, -9.0]])
    upstream = np.float32([[1.0, 10.0], [100.0, 1000.0]])
    chain = weight_chain(LearnedStep(3), weight)
    chain.transforms[0].step_size.assign(1.0)
    step = chain.transforms[0].step_size
    value, to_weight, to_step = value_and_gradients(chain, weight, upstream, [step])
    assert value.tolist() == [[0.0, 2.0], [3.0, -4.0]]
    assert to_weight.tolist() == [[1.0, 10.0], [0.0, 0.0]]
    by_hand = 1.0 * (0 - 0.4) + 10.0 * (2 - 1.6) + 100.0 * 3 - 1000.0 * 4
    assert to_step == pytest.approx(by_hand / np.sqrt(4 * 3), rel=1e-6)


def test_jlw21_the_step_starts_at_twice_the_mean_magnitude_over_the_root_of_the_top_code():
    weight = np.float32([[1.0, -20.0], [3.0, 40.0]])
    chain = weight_chain(LearnedStep(4), weight)
    assert chain.transforms[0].step_size.numpy() == pytest.approx(2 * 16.0 / np.sqrt(7))
    chain = weight_chain(LearnedStep(4, axis=-1), weight)
    expected = [2 * 2.0 / np.sqrt(7), 2 * 30.0 / np.sqrt(7)]
    assert chain.transforms[0].step_size.numpy() == pytest.approx(expected)


def test_each_channel_of_a_weight_moves_its_own_step():
    weight, upstream = np.float32([[9.0, 0.4]]), np.float32([[1.0, 1.0]])
    chain = weight_chain(LearnedStep(3, axis=-1), weight)
    chain.transforms[0].step_size.assign([1.0, 1.0])
    _, _, to_step = value_and_gradients(chain, weight, upstream, [chain.transforms[0].step_size])
    assert to_step == pytest.approx(np.array([3.0, -0.4]) / np.sqrt(1 * 3))


@pytest.mark.parametrize("nonnegative, low, high", [(False, -8, 7), (True, 0, 15)])
def test_an_activation_has_the_codes_of_its_sign(nonnegative, low, high):
    batch = np.float32([[-100.0, 0.26], [100.0, 1.0]])
    chain = activation_chain(LearnedStep(4, nonnegative=nonnegative), batch)
    chain.transforms[0].step_size.assign(0.5)
    assert chain.transforms[0].extremes == (0.5 * low, 0.5 * high)
    value, to_batch, to_step = value_and_gradients(
        chain, batch, np.ones_like(batch), [chain.transforms[0].step_size]
    )
    assert value.tolist() == [[0.5 * low, 0.5], [0.5 * high, 1.0]]
    assert to_batch.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    # N counts the values of one sample: 2.
    assert to_step == pytest.approx((low + high + 0.48) / np.sqrt(2 * high), rel=1e-5)


def test_only_weights_of_8_bits_leave_the_lowest_code_out():
    assert LearnedStep(8).number_format == Integer(8)
    assert LearnedStep(4).number_format == Integer(4, narrow=False)


def test_training_makes_the_step_fit():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(64, 64)).astype(np.float32)
    chain = weight_chain(LearnedStep(4), weight)
    step = chain.transforms[0].step_size
    step.assign(2.0)
    errors = []
    for _ in range(200):
        value = chain.call(weight).numpy()
        errors.append(np.mean((value - weight) ** 2))
        _, _, gradient = value_and_gradients(chain, weight, 2 * (value - weight), [step])
        step.assign(step.numpy() - 0.01 * gradient)
    assert errors[-1] < errors[0] / 10
    # 16 levels: 0.335 standard deviations is the best step of a Gaussian.
    assert step.numpy() == pytest.approx(0.335, rel=0.05)
