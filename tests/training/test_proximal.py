"""The proximal step of the group lasso, alone and behind each step of the optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.group_lasso import group_penalty
from edgeax.training.proximal import ProximalGroupLasso, shrunk_groups
from edgeax.transforms.structures import Blocks, Filters, Shapes
from tests.training.small_models import mlp, points

layers = keras.layers

WEIGHT = np.float32([[3.0, 0.6], [4.0, 0.8]])  # filters of norms 5 and 1


def test_yl06_prox_is_the_one_worked_out_by_hand():
    shrunk = shrunk_groups(tf.constant(WEIGHT), 1.0, Filters())
    factor = 1.0 - np.sqrt(2.0) / 5.0
    assert shrunk.numpy() == pytest.approx(np.float32([[3.0 * factor, 0], [4.0 * factor, 0]]))
    assert not shrunk.numpy()[:, 1].any()  # exactly
    shrunk = shrunk_groups(tf.constant(WEIGHT), 0.5, Filters(), by_size=False)
    assert shrunk.numpy() == pytest.approx(np.float32([[2.7, 0.3], [3.6, 0.4]]))


@pytest.mark.parametrize("structure", [Filters(), Shapes(), Blocks(2, 1)])
def test_yl06_prox_is_the_minimum(structure):
    generator = np.random.default_rng(0)
    weight = tf.constant(generator.normal(size=(4, 6)).astype(np.float32))

    def objective(value):
        distance = 0.5 * tf.reduce_sum(tf.square(value - weight))
        return float(distance + 0.8 * group_penalty(value, structure))

    best = shrunk_groups(weight, 0.8, structure)
    assert 0 < np.count_nonzero(best) < 24 or structure == Blocks(2, 1)
    for _ in range(50):
        way = generator.normal(size=(4, 6)).astype(np.float32)
        for length in (0.3, 1e-2):
            assert objective(best) < objective(best + length * way)


def test_nothing_of_it_changes_a_weight_without_strength_and_zeros_stay():
    weight = tf.constant([[0.0, 1.0], [0.0, -2.0]])
    assert shrunk_groups(weight, 0.0, Filters()).numpy().tolist() == weight.numpy().tolist()
    assert not shrunk_groups(weight, 9.0, Filters()).numpy().any()
    broken = shrunk_groups(tf.constant([[np.nan, 1.0]]), 0.1, Filters()).numpy()
    assert np.isnan(broken[0, 0]) and broken[0, 1] == pytest.approx(0.9)


def model_of(optimizer, kernel=WEIGHT, **compile):
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(2, use_bias=False, name="a"), layers.Dense(1, name="b")]
    )
    model.layers[0].kernel.assign(kernel)
    model.compile(optimizer, lambda y, x: 0.0 * keras.ops.sum(x, axis=-1), **compile)
    return model


def trained(model, callbacks, steps):
    x = np.ones((steps, 2), np.float32)
    model.fit(x, x[:, :1], batch_size=1, verbose=0, callbacks=callbacks)
    return model.layers[0].kernel.numpy()


@pytest.mark.parametrize(
    "settings",
    [{}, {"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 2}],
)
def test_yl06_each_step_takes_the_learning_rate_it_had_off_the_norm(settings):
    falling = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.5, 0.25])
    model = model_of(keras.optimizers.SGD(falling), **settings)
    kernel = trained(model, [ProximalGroupLasso(0.8, by_size=False)], 2)
    # norms 5 and 1, less 0.8 * 0.5 and 0.8 * 0.25
    assert np.linalg.norm(kernel, axis=0) == pytest.approx([4.4, 0.4])
    assert kernel / np.linalg.norm(kernel, axis=0) == pytest.approx(
        np.float32([[0.6] * 2, [0.8] * 2])
    )
    before = trained(model, [], 1)
    assert before.tolist() == kernel.tolist()  # and fit is as it was
    assert not {"train_step", "compute_loss", "make_train_function"} & set(vars(model))


def test_a_changed_learning_rate_is_followed():
    model = model_of(keras.optimizers.SGD(0.0))
    callback = ProximalGroupLasso(1.0, by_size=False)
    change = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(model.optimizer, "learning_rate", 0.5)
    )
    kernel = trained(model, [callback, change], 2)
    assert np.linalg.norm(kernel, axis=0) == pytest.approx([4.5, 0.5])


def test_www16_groups_become_exactly_zero_in_fit():
    x, y = points(1024)
    model = mlp(units=16)
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks = [
        ProximalGroupLasso(0.02, "filter", layers="hidden"),
        ProximalGroupLasso(0.06, "shape", layers="hidden"),
    ]
    model.fit(x, y, batch_size=128, epochs=40, verbose=0, callbacks=callbacks)
    kernel = model.get_layer("hidden").kernel.numpy()
    assert not kernel[3].any()  # the input that the label does not depend on
    units = kernel.any(axis=0)
    assert 0 < units.sum() < 16
    assert model.evaluate(x, y, verbose=0)[1] > 0.9
    # Zero rows and columns go, and the outputs stay what they were.
    head, bias = model.get_layer("head"), model.get_layer("hidden").bias.numpy()
    smaller = np.maximum(x[:, :3] @ kernel[:3][:, units] + bias[units], 0)
    constant = np.maximum(bias[~units], 0) @ head.kernel.numpy()[~units] + head.bias.numpy()
    logits = smaller @ head.kernel.numpy()[units] + constant
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert probabilities == pytest.approx(model.predict(x, verbose=0), abs=1e-6)


@pytest.mark.parametrize("settings", [{"jit_compile": True}, {"steps_per_execution": 2}])
def test_it_runs_with_prune_inside_a_nested_model(settings):
    given = keras.Input((4,))
    plain = keras.Model(given, layers.Dense(3, activation="softmax", name="end")(mlp()(given)))
    model = edgeax.compress(plain, [edgeax.Prune(0.5)])
    model.compile("adam", "sparse_categorical_crossentropy", **settings)
    x, y = points()
    model.fit(x, y, epochs=2, verbose=0, callbacks=[ProximalGroupLasso(1e3, layers="hidden")])
    kernels = {v.path: v.numpy() for v in model.trainable_variables if v.name == "kernel"}
    assert [bool(k.any()) for path, k in kernels.items() if "hidden" in path] == [False]
    assert all(k.any() for path, k in kernels.items() if "hidden" not in path)


def test_it_trains_in_half_precision():
    model = mlp(dtype=keras.dtype_policies.DTypePolicy("mixed_float16"))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    x, y = points()
    model.fit(x, y, verbose=0, callbacks=[ProximalGroupLasso(100.0)])
    assert not model.get_layer("hidden").kernel.numpy().any()


def test_the_settings_go_round():
    item = ProximalGroupLasso(0.1, Blocks(4, 1), "conv", False, 2)
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()
    assert copy.structure == Blocks(4, 1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ProximalGroupLasso(-1.0), "`strength` must be at least 0"),
        (lambda: ProximalGroupLasso(structure="column"), "`structure` must be one of"),
        (lambda: ProximalGroupLasso(layers=3), "`layers` must be None"),
        (lambda: ProximalGroupLasso(begin_epoch=-1), "`begin_epoch` must be"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
