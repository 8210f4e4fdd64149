import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats import FixedPoint, HybridBlockFloat
from edgeax.transforms import QuantizeGradient
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain


def test_gagn15_a_fixed_point_gradient_is_right_on_average():
    # Steps of 1/4 in [-2, 1.75]: 0.3 becomes 1/4 or 1/2, on average itself; 5 saturates.
    x = np.zeros((2, 20_000), np.float32)
    upstream = np.stack([np.full(20_000, 0.3), np.full(20_000, 5.0)]).astype(np.float32)
    chain = weight_chain(QuantizeGradient(FixedPoint(2, 2)), x)
    value, gradient = value_and_gradients(chain, x, upstream)
    assert np.array_equal(value, x)
    assert set(np.unique(gradient[0])) == {0.25, 0.5}
    assert np.mean(gradient[0]) == pytest.approx(0.3, abs=0.004)
    assert np.all(gradient[1] == 1.75)


def test_dtjf18_each_sample_has_an_exponent_of_its_own():
    # Steps 2**(ceil(log2(max)) - 2): 1/4 for the first sample, 64 times as much for the second.
    upstream = np.float32([[1.0, 0.3, -0.1], [64.0, 19.2, -6.4]])
    chain = activation_chain(QuantizeGradient(HybridBlockFloat(2), rounding="nearest"))
    _, gradient = value_and_gradients(chain, np.zeros((2, 3), np.float32), upstream)
    assert gradient.tolist() == [[0.75, 0.25, 0.0], [48.0, 16.0, 0.0]]


@pytest.mark.parametrize("name", ["int8", "fp8_e5m2", "bfp8", "log4", "binary", "s2fp8"])
def test_every_name_of_a_format_rounds_a_gradient_to_its_values(name):
    made = edgeax.transform_of(f"gradient_{name}", "output")
    assert isinstance(made, QuantizeGradient) and made.format == name
    upstream = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    chain = activation_chain(QuantizeGradient(name, rounding="nearest"))
    _, gradient = value_and_gradients(chain, np.zeros((4, 50), np.float32), upstream)
    format = edgeax.formats.Integer(8) if name == "int8" else made.number_format
    expected = format.decode(format.encode(upstream, format.fit(upstream)), format.fit(upstream))
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_a_gradient_that_is_not_finite_passes_for_loss_scaling_to_see():
    upstream = np.float32([[1.0, np.inf, np.nan]])
    chain = activation_chain(QuantizeGradient("int8"))
    _, gradient = value_and_gradients(chain, np.zeros((1, 3), np.float32), upstream)
    np.testing.assert_array_equal(gradient, upstream)


def test_a_model_trains_with_weights_activations_and_gradients_in_formats_by_word():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)]
    )
    rule = edgeax.Rule(
        ".*",
        kernel=["fp8_e4m3", "gradient_fp8_e5m2"],
        input="int8",
        output=["fp8_e4m3", "gradient_fp8_e5m2"],
    )
    small = edgeax.compress(model, edgeax.Recipe([rule]))
    small.compile(keras.optimizers.Adam(0.01), "mse")
    x = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    y = np.sum(x, axis=1, keepdims=True)
    first = small.evaluate(x, y, verbose=0)
    small.fit(x, y, epochs=15, verbose=0)
    assert small.evaluate(x, y, verbose=0) < first / 4


def test_settings_survive_and_bad_ones_are_refused():
    made = QuantizeGradient(FixedPoint(2, 6), rounding="nearest", seed=3)
    again = QuantizeGradient.from_config(made.get_config())
    assert (again.number_format, again.rounding, again.seed) == (FixedPoint(2, 6), "nearest", 3)
    with pytest.raises(ValueError, match="`rounding` must be one of"):
        QuantizeGradient("int8", rounding="down")
    with pytest.raises(ValueError, match="Did you mean one of"):
        edgeax.transform_of("gradient_flaot8", "output")
    with pytest.raises(ValueError, match="must come last in a chain"):
        edgeax.transforms.Chain([QuantizeGradient("int8"), edgeax.Quantize("int8")])
