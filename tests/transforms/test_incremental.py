import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax import Compressed
from edgeax.formats.names import format_of
from edgeax.formats.power_of_two import PowerOfTwo
from edgeax.transforms import Incremental
from tests.transforms.bound import value_and_gradients, weight_chain


def test_zyg17_frozen_weights_never_change_whatever_the_optimizer_does():
    layer = Compressed(keras.layers.Dense(8), kernel=Incremental([2, 4, 6, 8]))
    model = keras.Sequential([layer])
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01)
    model.compile(optimizer, "mse")
    rng = np.random.default_rng(0)
    data, target = rng.normal(size=(2, 4, 8)).astype(np.float32)
    model.build(data.shape)
    incremental = layer.chains[0].transforms[0]
    former, values, fractions, raw = np.zeros((8, 8), bool), None, [], []
    for _ in range(10):
        model.train_on_batch(data, target)
        frozen = incremental.frozen.numpy()
        assert frozen[former].all()
        if values is not None:
            assert np.array_equal(incremental.values.numpy()[former], values[former])
        former, values = frozen, incremental.values.numpy()
        fractions.append(frozen.mean())
        raw.append(np.asarray(layer.layer.kernel))
    assert fractions == [0, 0, 0.5, 0.5, 0.75, 0.75, 0.875, 0.875, 1, 1]
    assert not np.array_equal(raw[-1], raw[-2])  # the variable itself goes on moving
    (_, _, encoded), *_ = layer.freeze_weights()
    assert encoded.format == PowerOfTwo(5)
    assert np.array_equal(encoded.decode(), values)


def test_zyg17_the_largest_go_first_and_to_powers_of_two():
    # s = 1: n1 = floor(log2(4 / 3)) = 0. 0.8 goes to 1, 0.7 to 1/2; half of four weights.
    weight = np.float32([[1.0, -0.7], [0.8, 0.1]])
    chain = weight_chain(Incremental([0, 1], [0.5, 1.0]), weight)
    value, gradient = value_and_gradients(chain, weight, np.ones_like(weight))
    assert np.array_equal(value, np.float32([[1.0, -0.7], [1.0, 0.1]]))
    assert gradient.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    chain.calls.assign(1)
    # The free ones have moved since; the frozen ones cannot, and the powers are those of s = 1.
    moved = np.float32([[9.0, -7.0], [9.0, 0.1]])
    value = chain.call(tf.constant(moved), training=True)
    assert np.array_equal(value, np.float32([[1.0, -1.0], [1.0, 0.125]]))


def test_at_once_rounds_everything_at_step_zero():
    weight = np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)
    chain = weight_chain(Incremental([100, 200], [0.5, 1.0]).at_once(), weight)
    assert chain.transforms[0].frozen.numpy().all()
    assert Incremental([100, 200], [0.5, 1.0]).settled_step == 201


@pytest.mark.parametrize("name", ["ternary", "binary", "lq2", "log4", "pow2_5", "bfp4"])
def test_all_at_once_is_the_format_itself(name):
    weight = np.random.default_rng(2).normal(size=(64, 8)).astype(np.float32)
    chain = weight_chain(Incremental([0], [1.0], name), weight)
    format = format_of(name)
    expected = format.decode(format.encode(weight, format.fit(weight)), format.fit(weight))
    np.testing.assert_array_equal(chain.call(tf.constant(weight)), expected)
    np.testing.assert_array_equal(chain.freeze(weight).decode(), expected)


def test_a_format_that_moves_its_own_values_is_refused():
    with pytest.raises(ValueError, match="`format` must leave its own values where they are"):
        Incremental([0], [1.0], "balanced2")
