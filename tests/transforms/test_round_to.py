import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import FixedPoint, HybridBlockFloat
from edgeax.transforms import Chain, RoundTo
from tests.transforms.bound import activation_chain, value_and_gradients


def test_each_batch_finds_its_own_exponents_and_every_gradient_passes():
    x = np.float32([[1.0, 0.3, -0.1], [64.0, 19.2, -6.4]])
    chain = activation_chain(RoundTo(HybridBlockFloat(2)))
    value, gradient = value_and_gradients(chain, x, np.full((2, 3), 5.0, np.float32))
    # Steps 1/4 and 16; 1 and 64 are clipped to a step below the power of two.
    assert value.tolist() == [[0.75, 0.25, 0.0], [48.0, 16.0, 0.0]]
    assert np.all(gradient == 5.0)


@pytest.mark.parametrize("name", ["bfloat16", "fp16", "int8", "swalp8", "dfp16", "fp8_e5m2"])
def test_values_lie_on_the_format_of_any_name(name):
    x = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    value = activation_chain(RoundTo(name)).call(tf.constant(x)).numpy()
    again = activation_chain(RoundTo(name)).call(tf.constant(value)).numpy()
    assert not np.array_equal(value, x)
    np.testing.assert_allclose(value, x, atol=0.3)
    np.testing.assert_allclose(again, value, rtol=2e-3)


def test_stochastic_rounding_is_right_on_average_and_for_training_only():
    x = np.full((1, 20_000), 0.3, np.float32)
    chain = activation_chain(RoundTo(FixedPoint(2, 2), rounding="stochastic"))
    drawn = chain.call(tf.constant(x), training=True).numpy()
    assert set(np.unique(drawn)) == {0.25, 0.5} and np.mean(drawn) == pytest.approx(0.3, abs=0.004)
    assert not np.array_equal(chain.call(tf.constant(x), training=True).numpy(), drawn)
    assert np.all(chain.call(tf.constant(x)).numpy() == 0.25)


def test_what_is_not_finite_stays_for_whoever_checks():
    x = np.float32([[1.0, np.inf, np.nan]])
    value = activation_chain(RoundTo("bfp8")).call(tf.constant(x)).numpy()
    np.testing.assert_array_equal(value, x)


def test_it_is_saved_and_not_for_weights():
    again = RoundTo.from_config(RoundTo(FixedPoint(2, 6), "stochastic", 3).get_config())
    assert (again.format, again.rounding, again.seed) == (FixedPoint(2, 6), "stochastic", 3)
    with pytest.raises(ValueError, match="`RoundTo` must stand at an input or output"):
        Chain([RoundTo("bfloat16")]).bind("weight", (2, 2))
