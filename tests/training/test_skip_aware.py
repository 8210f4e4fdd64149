"""SkipAware: a skipped block's weights and what the optimizer keeps of them stay."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.model.loss_scaling import loss_scaled
from edgeax.training.optimizer_state import slots_of
from edgeax.training.skip_aware import SkipAware, mark_skipped_with

OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.1, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.1, momentum=0.5, weight_decay=0.1),
    "lion": lambda: keras.optimizers.Lion(0.1, weight_decay=0.1),
    "clipped": lambda: keras.optimizers.Adam(0.1, global_clipnorm=1.0),
    "adafactor": lambda: keras.optimizers.Adafactor(0.1),
}
KEPT = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]


def variables():
    free, skipped = (keras.Variable(np.ones((2, 3), np.float32)) for _ in range(2))
    kept = keras.Variable(np.float32(1.0), trainable=False)
    mark_skipped_with(kept, [skipped])
    return free, skipped, kept


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_skipped_variable_stays_and_the_others_go_on_as_without_it(name, in_graph):
    free, skipped, kept = variables()
    optimizer, alone = SkipAware(OPTIMIZERS[name]()), OPTIMIZERS[name]()
    twin, twin_skipped, _ = variables()
    optimizer.build([free, skipped])
    alone.build([twin, twin_skipped])
    gradient = tf.constant([[0.5, -1.0, 0.25]] * 2)

    def step(flag):
        kept.assign(flag)
        optimizer.apply([gradient, gradient * flag], [free, skipped])

    step_in_graph = tf.function(step)
    for flag in KEPT:
        before = [v.numpy() for v in (skipped, *slots_of(optimizer, skipped))]
        (step_in_graph if in_graph else step)(tf.constant(flag))
        after = [v.numpy() for v in (skipped, *slots_of(optimizer, skipped))]
        same = [np.array_equal(old, new) for old, new in zip(before, after, strict=True)]
        assert all(same) if not flag else not same[0]
        alone.apply([gradient, gradient * flag], [twin, twin_skipped])
    assert free.numpy() == pytest.approx(twin.numpy(), abs=1e-6)
    if name not in ("rmsprop", "adafactor"):
        assert not np.allclose(skipped.numpy(), twin_skipped.numpy(), atol=1e-4)
    assert int(optimizer.iterations.numpy()) == len(KEPT)


def test_with_nothing_skipped_it_is_the_optimizer_it_wraps():
    free, skipped, _ = variables()
    twins = variables()[:2]
    optimizer, alone = SkipAware(OPTIMIZERS["adamw"]()), OPTIMIZERS["adamw"]()
    gradient = tf.constant([[0.5, -1.0, 0.25]] * 2)
    for _ in range(5):
        optimizer.apply_gradients([(gradient, free), (gradient, skipped)])
        alone.apply_gradients([(gradient, v) for v in twins])
    assert np.array_equal(free.numpy(), twins[0].numpy())
    assert np.array_equal(skipped.numpy(), twins[1].numpy())


def test_variables_left_out_of_weight_decay_stay_out():
    free, skipped, _ = variables()
    inner = keras.optimizers.SGD(0.1, weight_decay=0.5)
    inner.exclude_from_weight_decay(var_list=[skipped])
    SkipAware(inner).apply([tf.zeros((2, 3))] * 2, [free, skipped])
    assert free.numpy() == pytest.approx(0.95) and skipped.numpy() == pytest.approx(1.0)


def test_a_loss_scale_goes_around_it():
    free, skipped, kept = variables()
    optimizer = keras.optimizers.LossScaleOptimizer(SkipAware(OPTIMIZERS["momentum"]()))
    gradient = tf.constant([[0.5, -1.0, 0.25]] * 2)
    for flag in KEPT:
        kept.assign(flag)
        before = skipped.numpy()
        optimizer.apply([gradient * 32768.0] * 2, [free, skipped])
        assert np.array_equal(before, skipped.numpy()) == (not flag)
    assert len(slots_of(optimizer, skipped)) == 1


def test_a_static_loss_scale_is_that_of_the_wrapped_optimizer():
    found = []
    for optimizer in (keras.optimizers.SGD(0.5), SkipAware(keras.optimizers.SGD(0.5))):
        scaled = loss_scaled(optimizer, 128.0)
        weight = keras.Variable(np.float32([1.0, 2.0]))
        scaled.build([weight])
        assert float(scaled.scale_loss(1.0)) == 128.0
        scaled.apply([keras.ops.convert_to_tensor(np.float32([128.0, 256.0]))], [weight])
        found.append(weight.numpy().tolist())
        assert loss_scaled(scaled, "dynamic") is scaled  # scales the loss already
    assert found[0] == found[1] == [0.5, 1.0]


def test_the_learning_rate_is_that_of_the_wrapped_optimizer():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.5)
    assert float(SkipAware(keras.optimizers.SGD(schedule)).learning_rate) == 0.5
    optimizer = SkipAware(keras.optimizers.SGD(0.5))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    rates = keras.callbacks.LearningRateScheduler(lambda epoch: 0.25 / (1 + epoch))
    x = np.ones((4, 2), np.float32)
    model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[rates])
    assert float(optimizer.inner_optimizer.learning_rate.numpy()) == 0.125


def test_it_goes_on_from_a_file_as_if_it_had_not_stopped(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(SkipAware(keras.optimizers.Adam(0.1)), "mse")
    x = np.float32([[1, 2], [3, 5]])
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, SkipAware)
    for one in (model, loaded):
        one.fit(x, x[:, :1], epochs=2, verbose=0)
    assert np.array_equal(model.layers[0].kernel.numpy(), loaded.layers[0].kernel.numpy())
    assert int(loaded.optimizer.iterations.numpy()) == 4


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: "sgd", "`optimizer` must be a Keras optimizer"),
        (
            lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
            "Put a LossScaleOptimizer around SkipAware",
        ),
        (
            lambda: keras.optimizers.SGD(gradient_accumulation_steps=2),
            "must not gather gradients.*gradient_accumulation_steps=2",
        ),
    ],
)
def test_what_it_cannot_wrap_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        SkipAware(make())
