import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats.levels import LevelFormat
from edgeax.formats.scales import largest_magnitude, nonzero
from edgeax.transforms import Chain, Quantize
from edgeax.transforms.formatted import noise_like


@dataclasses.dataclass(frozen=True)
class Thirds(LevelFormat):
    """-1, -1/4, 0, 1/4 and 1 times the largest magnitude."""

    bits = 3

    @property
    def table(self):
        return np.float32([0, 0.25, 1, -0.25, -1])

    def found(self, x, ops):
        return {"scale": nonzero(largest_magnitude(x, None, ops), ops)}

    def per_channel(self):
        return self


def test_a_weight_goes_to_the_levels_and_its_gradient_straight_through():
    chain = Chain([Quantize(Thirds())])
    chain.bind("weight", (4,))
    weight = tf.constant([2.0, -0.3, 0.1, 1.1])
    with tf.GradientTape() as tape:
        tape.watch(weight)
        values = chain.call(weight, training=True)
        loss = tf.reduce_sum(values * [1.0, 2.0, 3.0, 4.0])
    assert values.numpy().tolist() == [2.0, -0.5, 0.0, 0.5]
    assert tape.gradient(loss, weight).numpy().tolist() == [1, 2, 3, 4]
    assert chain.freeze(weight.numpy()).decode().tolist() == values.numpy().tolist()


def test_an_activation_takes_its_scale_from_the_range_and_passes_no_gradient_outside():
    chain = Chain([Quantize(Thirds(), range=(-2.0, 4.0))])
    chain.bind("activation", (None, 3))
    x = tf.constant([[5.0, -3.0, 1.5]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        values = chain.call(x, training=True)
    assert values.numpy().tolist() == [[4.0, -4.0, 1.0]]
    assert tape.gradient(values, x).numpy().tolist() == [[0, 0, 1]]


def test_stochastic_rounding_happens_in_training_only_and_differs_by_step():
    chain = Chain([Quantize(Thirds(), rounding="stochastic", seed=3)])
    chain.bind("weight", (1000,))
    weight = tf.constant(np.linspace(-1, 1, 1000, dtype=np.float32))
    first, second = (chain.call(weight, training=True).numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(
        chain.call(weight).numpy(), Thirds().decode(*_encoded(weight.numpy()))
    )


def _encoded(x):
    params = Thirds().fit(x)
    return Thirds().encode(x, params), params


def test_noise_is_the_same_at_every_repeat_of_a_step():
    like = tf.zeros([100])
    runs = [noise_like(like, 1, tf.constant(step)).numpy() for step in (5, 5, 6)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    assert runs[0].min() >= 0 and runs[0].max() < 1


@pytest.mark.parametrize("name", ["int4", "int16"])
def test_stochastic_integers_are_unbiased(name):
    chain = Chain([Quantize(name, rounding="stochastic")])
    chain.bind("weight", (20001,))
    weight = np.full(20001, 0.3, np.float32)
    weight[0] = 1.0
    values = chain.call(tf.constant(weight), training=True).numpy()[1:]
    assert abs(float(values.mean(dtype=np.float64)) - 0.3) < 0.003


def test_a_format_survives_json_within_quantize():
    from edgeax.formats import Integer

    again = Quantize.from_config(Quantize(Integer(5, axis=-1)).get_config())
    assert again.number_format == Integer(5, axis=-1)
