"""What every format that rounds in a training step is held to: the graph computes as numpy does."""

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, arrays


def tensors(shape=(4, 3, 4)):
    """Returns tensors of one shape, named: random ones and the awkward ones."""
    size = int(np.prod(shape))
    rng = np.random.default_rng(7)
    extreme = [0, -0.0, 1e-42, -1e-42, 1e38, -1e38, 1e-30, -1e-30, 0.5, 1.5, 2.5, -0.5]
    made = {
        "normal": rng.normal(0, 0.3, size),
        "positive": rng.exponential(2, size),
        "zeros": np.zeros(size),
        "equal": np.full(size, 0.7),
        "opposite": np.resize([0.5, -0.5], size),
        "extreme": np.resize(extreme, size),
    }
    return {name: np.reshape(x, shape).astype(np.float32) for name, x in made.items()}


def assert_graph_equals_numpy(format, jit):
    """Checks `found` and `rounded`, with and without noise, in one traced function."""
    noise = np.random.default_rng(8).random((4, 3, 4), np.float32)

    @tf.function(jit_compile=jit)
    def computed(x, params):
        nearest = format.rounded(x, params, keras.ops)
        random = format.rounded(x, params, keras.ops, tf.constant(noise))
        return format.found(x, keras.ops), nearest, random

    for name, x in tensors().items():
        params = format.fit(x)
        graph_params = {key: tf.constant(value) for key, value in params.items()}
        in_graph, nearest, random = computed(tf.constant(x), graph_params)
        assert sorted(in_graph) == sorted(params)
        for key, value in params.items():
            assert value.dtype == np.float32 and np.isfinite(value).all(), (name, key)
            # Sums come in another order there.
            near = 1e-6 * float(np.max(np.abs(x)))
            np.testing.assert_allclose(in_graph[key], value, 1e-6, near, err_msg=f"{name} {key}")
        expected = format.rounded(x, params, arrays)
        assert expected.dtype == np.float32
        np.testing.assert_array_equal(nearest, expected, err_msg=name)
        np.testing.assert_array_equal(random, format.rounded(x, params, arrays, noise), name)


def assert_codes_stand_for_the_rounded_values(format):
    """Checks `decode(encode(x))` against `rounded(x)`, for one value too, and folded gains."""
    one = np.float32([[-2.0]])
    for name, x in {**tensors(), "one": one}.items():
        params = format.fit(x)
        codes = format.encode(x, params)
        assert codes.shape == x.shape
        expected = format.rounded(x, params, arrays)
        np.testing.assert_array_equal(format.decode(codes, params), expected, err_msg=name)
    again = type(format).from_config(format.get_config())
    assert again == format


def assert_a_gain_per_channel_multiplies(format):
    """Checks that batch norm can be folded into codes, and that channels can be taken out."""
    x = tensors()["normal"]
    params = format.fit(x)
    encoded = EncodedTensor(format.encode(x, params), format, params)
    values = encoded.decode()
    gain = np.float32([2, -0.5, 0, 1])
    np.testing.assert_array_equal(encoded.scaled(gain).decode(), values * gain)
    part = slice(1, 3)
    np.testing.assert_array_equal(encoded.channels(part).decode(), values[..., part])
    scaled_part = encoded.scaled(gain).channels(part)
    np.testing.assert_array_equal(scaled_part.decode(), (values * gain)[..., part])


def mean_of_stochastic(format, value, params, draws=40000):
    """Returns the mean of `draws` stochastic roundings of one value, and the values that occur."""
    noise = np.random.default_rng(3).random((draws, 1), np.float32)
    found = format.rounded(np.full(noise.shape, value, np.float32), params, arrays, noise)
    return float(np.mean(found, dtype=np.float64)), np.unique(found).tolist()


def assert_activations_of_any_batch_size_are_rounded(format):
    """Checks an activation in the range [-1, 3], its batch size unknown when traced."""
    ends = np.float32([-1, 3])
    x = np.random.default_rng(9).uniform(-1, 3, (5, 4)).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, 4)), tf.TensorSpec((None, 4))])
    def rounded(x, noise):
        params = format.found(tf.stack([-1.0, 3.0]), keras.ops)
        return (
            format.rounded(x, params, keras.ops),
            format.rounded(x, params, keras.ops, noise),
        )

    nearest, random = rounded(x, np.zeros_like(x))
    assert nearest.shape == random.shape == x.shape
    np.testing.assert_array_equal(nearest, format.rounded(x, format.fit(ends), arrays))
    assert np.isfinite(random).all()
