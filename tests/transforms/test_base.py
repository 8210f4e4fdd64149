import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import (
    Chain,
    Cluster,
    ConstantSparsity,
    PolynomialDecay,
    Prune,
    Quantize,
    Transform,
)
from edgeax.transforms.base import fresh
from edgeax.transforms.structures import Blocks
from tests.transforms.modes import compiled, graph, in_every_mode


class Recorder(Transform):
    """Remembers at which steps it was called, and whether its state could change."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = []

    def call(self, tensor, step, renew=None):
        self.seen.append((int(step), None if renew is None else bool(renew)))
        return tensor


def bound(*members, shape, uses=1):
    chain = Chain(members, uses)
    chain.bind("weight", shape)
    return chain


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.05, size=shape).astype(np.float32)


DECAY = PolynomialDecay(0.25, 0.75, 0, 4, frequency=2)
CHAINS = {
    "prune": [Prune(DECAY)],
    "prune 4 inputs, int4 per channel": [Prune(DECAY, block=(1, 4)), Quantize("int4", axis=-1)],
    "prune 2x3, int2": [Prune(DECAY, block=(2, 3)), Quantize("int2")],
    "prune, cluster": [Prune(DECAY), Cluster(6, "density")],
    "prune 4 inputs, cluster, int8 per channel": [
        Prune(DECAY, block=(1, 4)),
        Cluster(16),
        Quantize("int8", axis=-1),
    ],
    "prune 4 channels, cluster late, int3": [
        Prune(DECAY, block=(4, 1)),
        Cluster(5, "kmeans++", begin_step=2),
        Quantize("int3"),
    ],
    "cluster, int8 per channel": [Cluster(40), Quantize("int8", axis=-1)],
}


def chain_called(name, shape):
    return bound(*map(fresh, CHAINS[name]), shape=shape)


@pytest.mark.parametrize(
    "name, mode",
    [*((name, graph) for name in CHAINS), ("prune 4 channels, cluster late, int3", compiled)],
)
def test_what_came_before_is_preserved_while_an_optimizer_trains(name, mode):
    weight = keras.Variable(normal(3, 3, 6, 9))
    target = tf.constant(normal(3, 3, 6, 9, seed=1))
    chain = chain_called(name, weight.shape)
    chain.initialize(weight.value)
    variables = [weight, *chain.trainable_variables]
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(variables)

    @mode
    def step():
        with tf.GradientTape() as tape:
            value = chain.call(weight.value, training=True)
            loss = tf.reduce_sum(tf.square(value - target))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        return value, gradients[0]

    pruning = isinstance(chain.transforms[0], Prune)
    for _ in range(6):
        value, gradient = step()
        if pruning:
            pruned = ~np.asarray(chain.transforms[0].mask.value)
            assert not value.numpy()[pruned].any()  # a pruned zero stays zero ...
            assert not gradient.numpy()[pruned].any()  # ... and does not learn
    if pruning:
        assert pruned.mean() > 0.7
    encoded = chain.freeze(np.asarray(weight.value))
    assert np.array_equal(encoded.decode(), chain.call(weight.value))
    assert np.array_equal(encoded.decode(), mode(chain.call)(weight.value))


def test_a_chain_counts_training_steps_only():
    recorder = Recorder()
    chain = bound(recorder, shape=(2,))
    for training in (True, False, True, True, False):
        chain.call(tf.ones([2]), training)
    assert recorder.seen == [(0, True), (1, None), (1, True), (2, True), (3, None)]


def test_a_weight_used_twice_per_pass_advances_one_step_in_two_calls():
    recorder = Recorder()
    chain = bound(recorder, shape=(2,), uses=2)
    for _ in range(5):
        chain.call(tf.ones([2]), training=True)
    # State may change at the first of two uses only, so that both see the same weight.
    assert recorder.seen == [(0, True), (0, False), (1, True), (1, False), (2, True)]


@in_every_mode
def test_both_uses_of_a_weight_see_the_same_mask(mode):
    chain = bound(Prune(ConstantSparsity(0.5, 0, frequency=1)), shape=(4,), uses=2)
    run = mode(lambda weight: chain.call(weight, training=True))
    rising, falling = tf.constant([1.0, 2.0, 3.0, 4.0]), tf.constant([4.0, 3.0, 2.0, 1.0])
    values = [run(weight).numpy().tolist() for weight in (rising, falling, falling, rising)]
    assert values == [[0, 0, 3, 4], [0, 0, 2, 1], [4, 3, 0, 0], [1, 2, 0, 0]]
    assert int(chain.calls.value) == 4


def test_an_empty_chain_changes_nothing():
    chain, weight = bound(shape=(3, 2)), normal(3, 2)
    assert np.array_equal(chain.call(tf.constant(weight), training=True), weight)
    assert np.array_equal(chain.freeze(weight).decode(), weight)


def test_a_chain_called_as_a_layer_builds_itself_for_a_weight():
    chain = Chain([Prune(0.5), Quantize("int8")])
    assert chain(tf.constant([[1.0, 254.0, -3.0, 2.0]]), training=True).numpy().tolist() == [
        [0.0, 254.0, -4.0, 0.0]  # scale 2, -1.5 goes to the even -2
    ]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Chain(["int8"]), "`transforms` must hold edgeax transforms.*'int8'"),
        (lambda: Chain([Chain([])]), "`transforms` must hold edgeax transforms.*Chain"),
        (lambda: Chain([keras.layers.ReLU()]), "`transforms` must hold edgeax transforms.*ReLU"),
        (lambda: Chain([], uses=0), "`uses` must be at least 1.*uses=0"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", CHAINS)
def test_chains_survive_json(name):
    chain = Chain([fresh(member) for member in CHAINS[name]], uses=3)
    text = json.dumps(keras.saving.serialize_keras_object(chain))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert isinstance(again, Chain)
    assert again.uses == 3
    assert json.dumps(again.get_config()) == json.dumps(chain.get_config())


def test_a_fresh_transform_has_the_settings_and_no_state():
    chain = bound(Prune(0.5, block=(1, 2)), Cluster(3), shape=(4, 2))
    chain.initialize(tf.constant(normal(4, 2)))
    for member in chain.transforms:
        copy = fresh(member)
        assert copy.get_config() == member.get_config()
        assert not copy.built and not copy.weights
    assert not fresh(chain.transforms[1]).has_zero  # the chain tells it, not its settings


@keras.saving.register_keras_serializable("edgeax_tests")
class Weighted(keras.layers.Layer):
    """A weight behind a chain, and a chain behind the product."""

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], 8))
        self.weight_chain = Chain(map(fresh, CHAINS["prune 4 inputs, cluster, int8 per channel"]))
        self.weight_chain.bind("weight", self.kernel.shape)
        self.output_chain = Chain([Quantize("int8", range="min_max")])
        self.output_chain.bind("activation", ())

    def call(self, inputs, training=False):
        kernel = self.weight_chain.call(keras.ops.cast(self.kernel.value, "float32"), training)
        product = tf.matmul(keras.ops.cast(inputs, "float32"), kernel)
        return self.output_chain.call(product, training)


def model_of_one_layer():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((12,)), Weighted()])
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    return model


def test_state_is_saved_and_training_goes_on_from_it(tmp_path):
    batch, target = normal(16, 12), np.ones((16, 8), np.float32)
    model = model_of_one_layer()
    for _ in range(3):
        model.train_on_batch(batch, target)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[-1].weight_chain.calls.value == 3
    for steps in (0, 2):
        for _ in range(steps):
            model.train_on_batch(batch, target)
            again.train_on_batch(batch, target)
        for expected, restored in zip(model.weights, again.weights, strict=True):
            assert np.array_equal(expected.value, restored.value), expected.path
        assert np.array_equal(model(batch), again(batch))


def test_state_and_values_stay_float32_under_mixed_precision():
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = model_of_one_layer()
    finally:
        keras.mixed_precision.set_global_policy(policy)
    layer = model.layers[-1]
    layer.weight_chain.initialize(layer.kernel.value)
    output = model(normal(16, 12), training=True)
    assert output.dtype == tf.float32
    states = [*layer.weight_chain.weights, *layer.output_chain.weights]
    assert {state.value.dtype.name for state in states} == {"float32", "int32", "bool"}
    encoded = layer.weight_chain.freeze(np.asarray(layer.kernel.value))
    assert np.array_equal(encoded.decode(), layer.weight_chain.call(layer.kernel.value))


def test_at_once_is_the_full_effect_without_training():
    late = [
        Prune(PolynomialDecay(0.0, 0.5, 3, 9), block=(1, 2)),
        Cluster(4, begin_step=10),
        Quantize("int4", axis=-1, begin_step=5),
    ]
    assert [member.settled_step for member in late] == [10, 11, 0]
    now = [member.at_once() for member in late]
    assert [member.settled_step for member in now] == [0, 0, 0]
    prune, cluster, quantize = now
    assert prune.schedule.last_sparsity == 0.5 and prune.structure == Blocks(1, 2)
    assert cluster.get_config() == {**late[1].get_config(), "begin_step": 0}
    assert quantize.get_config() == {**late[2].get_config(), "begin_step": 0}
