import keras
import ml_dtypes
import numpy as np
import pytest

from edgeax.formats import S2FP8, EncodedTensor, Minifloat, arrays
from edgeax.formats.names import format_of
from tests.formats.in_graph import (
    assert_every_code_returns,
    assert_graph_rounds_as_numpy,
    assert_noise_is_unbiased,
)

FORMAT = S2FP8()


def snr(values, x):
    return 10 * np.log10(np.mean(x**2) / np.mean((values.astype(np.float64) - x) ** 2))


def test_cbg20_mean_logarithm_is_0_and_the_largest_15():
    x = np.random.default_rng(0).normal(0, 1e-6, 5000).astype(np.float32)
    x[:50] = 0  # zeros say nothing about the distribution
    params = FORMAT.fit(x)
    logs = np.log2(np.abs(x[50:]).astype(np.float64))
    squeezed = params["alpha"] * logs + params["beta"]
    assert squeezed.mean() == pytest.approx(0, abs=1e-4)
    assert squeezed.max() == pytest.approx(15, abs=1e-4)


def test_cbg20_small_values_keep_their_precision_where_fp8_flushes_them():
    x = np.random.default_rng(1).normal(0, 1e-6, 5000).astype(np.float32)
    values = FORMAT.decode(FORMAT.encode(x, FORMAT.fit(x)), FORMAT.fit(x))
    assert not Minifloat(5, 2).rounded(x, {}, arrays).any()
    assert snr(values, x) > 20


def test_a_value_is_the_papers_formula():
    x = np.random.default_rng(2).lognormal(-3, 2, 20000).astype(np.float32)
    x[::2] *= -1
    params = FORMAT.fit(x)
    alpha, beta = params["alpha"].astype(np.float64), params["beta"].astype(np.float64)
    y = 2**beta * np.abs(x.astype(np.float64)) ** alpha
    theirs = y.astype(ml_dtypes.float8_e5m2)
    expected = np.sign(x) * (2**-beta * theirs.astype(np.float64)) ** (1 / alpha)
    values = FORMAT.decode(FORMAT.encode(x, params), params)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    codes = theirs.view(np.uint8) | np.where(x < 0, 128, 0)
    np.testing.assert_array_equal(FORMAT.encode(x, params), codes)


@pytest.mark.parametrize("alpha, beta", [(1.0, 0.0), (3.7, 41.0), (0.4, -2.0), (900.0, 5000.0)])
def test_every_code_returns(alpha, beta):
    codes = np.concatenate([np.arange(124), np.arange(129, 252)]).astype(np.uint8)
    params = {"alpha": np.float32(alpha), "beta": np.float32(beta)}
    assert_every_code_returns(FORMAT, params, codes)
    if alpha == 1 and beta == 0:
        theirs = codes.view(ml_dtypes.float8_e5m2).astype(np.float32)
        np.testing.assert_array_equal(FORMAT.decode(codes, params), theirs)


def test_codes_of_infinities_are_rejected():
    with pytest.raises(ValueError, match="finite FP8 numbers.*Received: 124"):
        FORMAT.decode(np.uint8([252]), FORMAT.fit(np.float32([1.0])))


def test_equal_magnitudes_are_kept_and_zeros_stay():
    x = np.float32([0.3, -0.3, 0.3, 0.0])
    params = FORMAT.fit(x)
    assert params["alpha"] == 1
    np.testing.assert_allclose(FORMAT.decode(FORMAT.encode(x, params), params), x, rtol=1e-6)
    nothing = np.zeros(5, np.float32)
    assert not FORMAT.decode(FORMAT.encode(nothing, FORMAT.fit(nothing)), FORMAT.fit(nothing)).any()


def test_the_ends_of_a_range_give_plain_fp8_of_that_range():
    params = FORMAT.fit(np.float32([-1.0, 3.0]))
    x = np.float32([3.0, -1.0, 0.001, 1e-6, 0.0])
    values = FORMAT.decode(FORMAT.encode(x, params), params)
    np.testing.assert_allclose(values, x, rtol=0.126)


def test_the_graph_rounds_as_numpy_does():
    assert_graph_rounds_as_numpy(FORMAT)


def test_random_rounding_is_unbiased():
    params = {"alpha": np.float32(2), "beta": np.float32(1)}
    assert_noise_is_unbiased(FORMAT, [1.1, -0.3, 30, 1e-4], params, 0.03)


def test_a_batch_of_unknown_size_is_rounded_with_known_params():
    import tensorflow as tf

    params = FORMAT.fit(np.float32([-1.0, 3.0]))
    run = tf.function(
        lambda x: FORMAT.rounded(x, params, keras.ops),
        input_signature=[tf.TensorSpec([None, 3], tf.float32)],
    )
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    decoded = FORMAT.decode(FORMAT.encode(x, params), params)
    np.testing.assert_array_equal(run(x).numpy(), decoded)


def test_batch_norm_folds_into_a_scale():
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    before = EncodedTensor(FORMAT.encode(x, FORMAT.fit(x)), FORMAT, FORMAT.fit(x))
    gain = np.float32([2, -0.3, 0])
    np.testing.assert_array_equal(before.scaled(gain).decode(), before.decode() * gain)


def test_a_name_is_a_format():
    assert format_of("s2fp8") == FORMAT
