"""Holds a format's rounding in the graph to its codes, on values that break arithmetic."""

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import arrays
from tests.transforms.modes import compiled, eager, graph


def hard_tensors():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(6, 8)).astype(np.float32)
    extreme = normal.copy()
    extreme[0] = [0.0, -0.0, 1e-40, -1e-40, 3e38, -3e38, 1e-30, -1.1754944e-38]
    yield normal
    yield extreme
    yield np.round(normal * 8) / 16  # many ties
    yield (normal * 10.0 ** rng.uniform(-30, 30, (6, 8))).astype(np.float32)
    yield normal * np.float32(1e-38)
    yield np.full((6, 8), 0.3, np.float32)
    yield np.full((6, 8), -0.5, np.float32)
    yield np.zeros((6, 8), np.float32)


def assert_graph_rounds_as_numpy(format, same_bits=False):
    """Every way of running Keras finds numpy's params, and gives what the codes decode to."""

    def in_keras(x):
        params = format.found(x, keras.ops)
        return params, format.rounded(x, params, keras.ops)

    one = np.float32([[-0.7]])
    for mode in (eager, graph, compiled):
        run = mode(in_keras)
        for x in [*hard_tensors(), one] if mode is graph else hard_tensors():
            expected = format.fit(x)
            decoded = format.decode(format.encode(x, expected), expected)
            with np.errstate(over="ignore"):
                rounded = np.asarray(format.rounded(x, expected, arrays))
            params, values = run(tf.constant(x))
            assert params.keys() == expected.keys()
            for name, value in params.items():
                np.testing.assert_array_equal(np.asarray(value), expected[name])
                assert np.asarray(value).dtype == expected[name].dtype
            assert values.shape == x.shape and values.dtype == "float32"
            np.testing.assert_array_equal(rounded, decoded)
            np.testing.assert_array_equal(values.numpy(), decoded)
            if same_bits:
                assert np.array_equal(values.numpy().view(np.int32), decoded.view(np.int32))


def assert_noise_is_unbiased(format, x, params, relative=0.01):
    """Rounding 20,000 times at random gives `x` on average, and only neighbors of it."""
    many = np.tile(np.asarray(x, np.float32), (20000, 1))
    noise = np.random.default_rng(1).random(many.shape, dtype=np.float32)
    values = np.asarray(format.rounded(many, params, arrays, noise))
    in_graph = format.rounded(tf.constant(many), params, keras.ops, tf.constant(noise))
    np.testing.assert_array_equal(in_graph.numpy(), values)
    assert all(np.unique(column).size <= 2 for column in values.T)
    np.testing.assert_allclose(values.mean(axis=0, dtype=np.float64), x, rtol=relative)


def assert_every_code_returns(format, params, codes):
    """Decoding and encoding again gives the same values, and the same codes but for zeros."""
    values = format.decode(codes, params)
    again = format.encode(values, params)
    np.testing.assert_array_equal(format.decode(again, params), values)
    np.testing.assert_array_equal(again[values != 0], codes[values != 0])
