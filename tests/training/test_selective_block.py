"""SelectiveBlock: what a skipped block leaves alone, what it makes, and where it can be used."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.selection_gate import SelectionGate
from edgeax.training.selective_block import SelectiveBlock
from edgeax.training.skip_aware import SkipAware
from tests.training.selective_models import blocks_of, dense_block, network

layers = keras.layers
X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2]


def state_of(block):
    return {v.path: v.numpy() for v in block.block.variables}


class PerStep(keras.callbacks.Callback):
    """Notes after each step which blocks ran, and what they hold."""

    def __init__(self):
        super().__init__()
        self.kept, self.states = [], []

    def on_train_begin(self, logs=None):
        self.states.append([state_of(block) for block in blocks_of(self.model)])

    def on_train_batch_end(self, batch, logs=None):
        self.kept.append([float(block.kept.numpy()) for block in blocks_of(self.model)])
        self.states.append([state_of(block) for block in blocks_of(self.model)])


def train(model, optimizer=None, steps=20, **settings):
    optimizer = optimizer or SkipAware(keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.1))
    model.compile(optimizer, "mse", **settings)
    record = PerStep()
    model.fit(repeated(steps), verbose=0, callbacks=[record])
    return record


def repeated(steps):
    """Returns an epoch of steps with the same batch."""
    return tf.data.Dataset.from_tensors((X, Y)).repeat(steps)


def unchanged(before, after):
    return all(np.array_equal(before[path], after[path]) for path in before)


@pytest.mark.parametrize(
    "gate, settings",
    [
        ("gate", {}),
        ("gate", {"jit_compile": True}),
        ("gate", {"run_eagerly": True}),
        (0.5, {"jit_compile": True}),
        (0.5, {"run_eagerly": True}),
    ],
)
def test_wjc19_a_skipped_block_is_its_input(gate, settings):
    """Nothing of it changes: weights, in spite of momentum and decay, statistics, counts."""
    model = network(SelectionGate(seed=1) if gate == "gate" else gate, blocks=2)
    record = train(model, **settings)
    ran = np.array(record.kept)
    assert ran.shape == (20, 2) and 8 < ran.sum() < 32 and len(np.unique(ran, axis=0)) > 2
    for step, kept in enumerate(ran):
        for i, one in enumerate(kept):
            before, after = record.states[step][i], record.states[step + 1][i]
            assert unchanged(before, after) == (one == 0.0)
            if one:
                assert not any(np.array_equal(before[path], after[path]) for path in before)
    counts = [block.block.get_layer("count").count.numpy() for block in blocks_of(model)]
    assert counts == ran.sum(axis=0).tolist()


def test_wjc19_a_step_hands_on_the_input_or_what_the_block_makes():
    block = SelectiveBlock(dense_block(), 0.5, seed=3)
    outcomes = set()
    for _ in range(12):
        made = block(X, training=True).numpy()
        ran = float(block.kept.numpy())
        outcomes.add(ran)
        if not ran:
            assert np.array_equal(made, X)
        else:
            inner = block.block
            normed = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + 1e-3)
            expected = X + normed @ inner.get_layer("dense").kernel.numpy()
            assert made == pytest.approx(expected, abs=1e-5)
    assert outcomes == {0.0, 1.0}


def test_all_blocks_run_as_the_plain_network_does():
    model = network(1.0, blocks=2)
    keras.utils.set_random_seed(0)
    plain_given = keras.Input((4,))
    x = model.get_layer("first")(plain_given)
    for block in blocks_of(model):
        x = block.block(x)
    plain = keras.models.clone_model(keras.Model(plain_given, model.get_layer("head")(x)))
    plain.set_weights(
        [w.numpy() for w in keras.Model(plain_given, model.get_layer("head")(x)).weights]
    )
    train(model)
    plain.compile(keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.1), "mse")
    plain.fit(repeated(20), verbose=0)
    assert model.predict(X, verbose=0) == pytest.approx(plain.predict(X, verbose=0), abs=1e-5)


def test_inference_weighs_the_block_by_its_probability():
    block = SelectiveBlock(dense_block(), 0.25)
    made = block(X).numpy()
    assert made == pytest.approx(0.25 * block.block(X).numpy() + 0.75 * X, abs=1e-6)
    assert np.array_equal(made, block(X).numpy())
    one = block(X[:1]).numpy()
    assert one == pytest.approx(made[:1], abs=1e-6)


class Added(layers.Layer):
    """`x + dense(x)` as a layer of its own: nobody sees what ends it."""

    def build(self, shape):
        self.dense = layers.Dense(shape[-1])
        self.dense.build(shape)

    def call(self, x):
        return x + self.dense(x)


@pytest.mark.parametrize("make", [dense_block, Added])
@pytest.mark.parametrize("settings", [{}, {"jit_compile": True}])
def test_the_decision_gets_the_gradient_of_what_running_changed(make, settings):
    layer = SelectiveBlock(make())
    layer.build([(None, 4), (None, 1)])
    weights = tf.random.stateless_normal(X.shape, [1, 2])

    @tf.function(**settings)
    def gradient_and_change(keep):
        x = tf.constant(X)
        with tf.GradientTape() as tape:
            tape.watch(keep)
            outputs = layer([x, keep], training=True)
            total = tf.reduce_sum(weights * outputs)
        return tape.gradient(total, keep, unconnected_gradients="zero"), outputs - x

    gradient, change = gradient_and_change(tf.ones((8, 1)))
    assert np.abs(change).max() > 0.1
    whole = np.sum(weights * change)
    assert gradient.numpy() == pytest.approx(np.full((8, 1), whole / 8), abs=1e-4)
    gradient, change = gradient_and_change(tf.zeros((8, 1)))
    assert not np.any(gradient) and not np.any(change)  # what running would have made is not known


@pytest.mark.parametrize("inference", ["expected", "threshold"])
def test_a_saved_model_computes_the_same_and_trains_on(tmp_path, inference):
    model = network(SelectionGate(inference=inference, seed=1), blocks=2)
    train(model, steps=6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = model.predict(X, verbose=0)
    assert np.array_equal(loaded.predict(X, verbose=0), expected)
    assert len([layer for layer in loaded.layers if isinstance(layer, SelectionGate)]) == 1
    assert isinstance(loaded.optimizer, SkipAware)
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    for one in (model, loaded):  # the decisions go on where they were
        one.fit(repeated(10), verbose=0)
    assert loaded.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0), abs=1e-6)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    assert copy.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0), abs=1e-6)


def test_a_fixed_probability_goes_round_in_a_sequential_model(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), SelectiveBlock(dense_block(), 0.5, seed=2), layers.Dense(1)]
    )
    model.compile(SkipAware(keras.optimizers.Adam()), "mse")
    model.fit(X, Y, epochs=4, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].probability == 0.5 and loaded.layers[0].seed == 2
    assert np.array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_blocks_of_convolutions_and_single_layers_can_be_skipped():
    class Plus(layers.Layer):
        def build(self, shape):
            self.conv = layers.Conv2D(shape[-1], 3, padding="same")
            self.conv.build(shape)

        def call(self, x):
            return x + self.conv(x)

    sequential = keras.Sequential([Plus(), layers.Dropout(0.5)])
    given = keras.Input((6, 6, 2))
    gate = SelectionGate(seed=3)
    x = SelectiveBlock(Plus(), gate)(given)
    x = SelectiveBlock(sequential, gate)(x)
    model = keras.Model(given, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))
    model.compile(SkipAware(keras.optimizers.SGD(0.1)), "mse")
    images = np.random.default_rng(0).normal(size=(16, 6, 6, 2)).astype(np.float32)
    history = model.fit(images, images[:, 0, 0, :1], epochs=8, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_losses_inside_count_when_the_block_runs():
    given = keras.Input((4,))
    inner = layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.5))(given)
    block = SelectiveBlock(keras.Model(given, layers.Add()([given, inner])), 0.5, seed=3)
    outcomes = set()
    for _ in range(8):
        block(X, training=True)
        ran = float(block.kept.numpy())
        outcomes.add(ran)
        assert bool(block.losses and float(sum(block.losses)) > 0) == bool(ran)
    assert outcomes == {0.0, 1.0}


def test_a_block_in_a_skipped_block_is_skipped():
    inner = SelectiveBlock(dense_block(), 0.999, name="inner")
    model = keras.Sequential([keras.Input((4,)), SelectiveBlock(inner, 0.5, seed=1, name="outer")])
    model.compile(SkipAware(keras.optimizers.SGD(0.05, momentum=0.9)), "mse")
    record = PerStep()
    model.fit(X, X, epochs=12, batch_size=8, verbose=0, callbacks=[record])
    assert {one for (one,) in record.kept} == {0.0, 1.0}
    for step, (ran,) in enumerate(record.kept):
        assert unchanged(record.states[step][0], record.states[step + 1][0]) == (not ran)


def test_a_compressed_block_computes_with_its_grid():
    plain = dense_block()
    block = edgeax.compress(plain, ["int2"])
    layer = SelectiveBlock(block, 0.5, seed=1)
    model = keras.Sequential([keras.Input((4,)), layer])
    record = train(model)
    ran = [one for (one,) in record.kept]
    assert {*ran} == {0.0, 1.0}
    for step, one in enumerate(ran):
        assert unchanged(record.states[step][0], record.states[step + 1][0]) == (not one)
    assert layer(X).numpy() == pytest.approx(0.5 * block(X).numpy() + 0.5 * X, abs=1e-6)


def test_a_model_with_such_blocks_can_be_compressed(tmp_path):
    model = edgeax.compress(network(SelectionGate(seed=1), blocks=2), ["int8"])
    model.compile(SkipAware(keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.1)), "mse")
    blocks = blocks_of(model)
    assert all(isinstance(one.block.get_layer("dense"), edgeax.Compressed) for one in blocks)
    states, skipped = [[state_of(block) for block in blocks]], set()

    def compare(batch, logs):
        states.append([state_of(block) for block in blocks])
        for block, old, new in zip(blocks, *states[-2:], strict=True):
            skipped.add(float(block.kept.numpy()) == 0.0)
            assert unchanged(old, new) == (float(block.kept.numpy()) == 0.0)

    note = keras.callbacks.LambdaCallback(on_train_batch_end=compare)
    model.fit(repeated(8), verbose=0, callbacks=[note])
    assert skipped == {True, False}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_mixed_precision_keeps_the_type_of_the_input():
    policy = keras.dtype_policies.DTypePolicy("mixed_bfloat16")
    given = keras.Input((4,))
    inner = keras.Model(given, layers.Add()([given, layers.Dense(4, dtype="float32")(given)]))
    layer = SelectiveBlock(inner, 0.5, seed=1, dtype=policy)
    kinds = {layer(X, training=True).dtype for _ in range(8)}
    assert kinds == {tf.bfloat16}


def test_steps_in_one_execution_are_decided_on_their_own():
    model, other = network(0.5, blocks=2), network(0.5, blocks=2)
    other.set_weights(model.get_weights())
    train(model)
    other.compile(
        SkipAware(keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=0.1)),
        "mse",
        steps_per_execution=10,
    )
    other.fit(repeated(20), verbose=0)
    assert other.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0), abs=1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SelectiveBlock(lambda x: x), "`block` must be a layer or a model"),
        (lambda: SelectiveBlock(dense_block(), 0.0), "`gate` must be above 0 and at most 1"),
        (lambda: SelectiveBlock(dense_block(), "half"), "`gate` must be a SelectionGate"),
        (lambda: SelectiveBlock(dense_block(), 0.5, seed=-1), "`seed`"),
        (
            lambda: SelectiveBlock(layers.Dense(5), 0.5, name="wide")(X),
            r"'wide' must make what it gets.*\(8, 4\) becomes \(8, 5\)",
        ),
        (
            lambda: SelectiveBlock(layers.Conv2D(2, 3), SelectionGate())(keras.Input((6, 6, 2))),
            r"\(None, 6, 6, 2\) becomes \(None, 4, 4, 2\)",
        ),
        (lambda: SelectiveBlock(dense_block(), SelectionGate())(X), "must be called on a keras.In"),
        (
            lambda: keras.Sequential(
                [keras.Input((4,)), SelectiveBlock(dense_block(), SelectionGate())]
            ),
            "a Sequential model, which would not train the gate",
        ),
    ],
)
def test_what_cannot_be_skipped_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
