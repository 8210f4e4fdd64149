"""IncReg: factors that grow by rank until the weakest groups are dropped."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.incremental_regularization import (
    IncrementalRegularization,
    increment_of_rank,
)
from edgeax.transforms.mask import Mask
from tests.training.small_models import mlp, points

layers = keras.layers


def test_wzwh19_the_increments_are_those_of_the_formula():
    # a = ln 8 / R, N = ln 4 / a = 2/3 R for u = 1/4: A at 0, A / 4 at N, 0 at R
    def at(rank):
        return increment_of_rank(tf.constant(rank), 6, increment=2.0).numpy().tolist()

    assert at([0.0, 4.0, 6.0]) == pytest.approx([2.0, 0.5, 0.0], abs=1e-6)
    # one third of R before N: A / 2; as far behind N the mirror image: 2 u A - A / 8
    assert at([2.0]) == pytest.approx([1.0])
    # behind R it is below zero: at 2 R, exp(-a (2 N - 2 R)) = 64 / 16
    assert at([12.0]) == pytest.approx([2 * 0.25 * 2.0 - 2.0 * 4.0])
    ranks = tf.constant(np.linspace(0, 12, 1000), tf.float32)
    values = increment_of_rank(ranks, 6, 2.0).numpy()
    assert (np.diff(values) < 0).all() and np.abs(np.diff(values)).max() < 0.06
    assert not np.isnan(increment_of_rank(tf.constant([1e4]), 1, 2.0).numpy()).any()


def test_wzwh19_defaults_are_those_of_lenet():
    callback = IncrementalRegularization()
    assert (callback.increment, callback.target, callback.bend) == (2.5e-4, 0.05, 0.25)


def zero_loss(y_true, y_pred):
    return 0.0 * keras.ops.sum(y_pred, axis=-1)


def model_of(kernel, rate=0.0, recipe=None, **compile):
    kernel = np.float32(kernel)
    model = keras.Sequential(
        [
            keras.Input((kernel.shape[0],)),
            layers.Dense(kernel.shape[1], use_bias=False, name="hidden"),
            layers.Dense(1, name="head"),
        ]
    )
    model.layers[0].kernel.assign(kernel)
    if recipe is not None:
        model = edgeax.compress(model, recipe)
    model.compile(keras.optimizers.SGD(rate), zero_loss, **compile)
    return model


def fit(model, callbacks, steps=1):
    x = np.ones((steps, model.input_shape[-1]), np.float32)
    return model.fit(x, x[:, :1], batch_size=1, verbose=0, callbacks=callbacks).history["loss"]


def kernel(model):
    return model.layers[0].kernel.numpy()


STILL = [[3.0, -1.0, 2.0, 5.0], [0.0, 1.0, -2.0, 4.0]]  # l1 norms 3, 2, 4, 9


def test_wzwh19_factors_grow_by_rank_and_stay_at_zero_or_above():
    model, callback = model_of(STILL), IncrementalRegularization(0.5, increment=0.01, target=1.0)
    fit(model, [callback], 3)
    expected = np.maximum(increment_of_rank(tf.constant([1.0, 0.0, 2.0, 3.0]), 2, 0.01), 0)
    assert callback.factors["hidden"] == pytest.approx(3 * expected, abs=1e-7)
    assert callback.dropped == {"hidden": []} and kernel(model).tolist() == STILL


def test_wzwh19_the_decay_of_a_group_is_its_factor():
    model = model_of(STILL, rate=0.5)
    callback = IncrementalRegularization(0.25, increment=0.1, target=1.0)
    losses = fit(model, [callback], 1)
    assert losses == [0.0] and kernel(model).tolist() == STILL  # factors are 0 at first
    assert fit(model, [callback], 1) == [pytest.approx(0.1 / 2 * 2.0)]  # |w|**2 = 2
    assert kernel(model)[:, 1] == pytest.approx([-1.0 + 0.05, 1.0 - 0.05])
    assert kernel(model)[:, 0].tolist() == [3.0, 0.0]


def test_wzwh19_the_rank_is_that_of_the_running_mean():
    callback = IncrementalRegularization(0.5, increment=0.01, target=1.0)
    model = model_of([[1.0, 2.0]])
    fit(model, [callback], 3)  # ranks 0, 1
    first = callback.factors["hidden"]
    model.layers[0].kernel.assign([[2.0, 1.0]])
    fit(model, [callback], 2)  # means 2 / 5 and 3 / 5: the order is still the old one
    assert callback.factors["hidden"] == pytest.approx(first * 5 / 3)
    fit(model, [callback], 2)  # means 4 / 7 and 3 / 7
    assert callback.factors["hidden"][1] == pytest.approx(0.01, abs=1e-7)


@pytest.mark.parametrize(
    "settings", [{}, {"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 4}]
)
def test_wzwh19_exactly_the_weakest_groups_reach_the_target(settings):
    weight = np.random.default_rng(0).normal(size=(6, 8))
    weakest = np.argsort(np.abs(weight).sum(axis=0))[:3]
    model = model_of(weight, **settings)
    callback = IncrementalRegularization(3 / 8, increment=0.01, target=0.05)
    fit(model, [callback], 60)
    assert callback.dropped == {"hidden": sorted(weakest.tolist())}
    zeros = ~kernel(model).any(axis=0)
    assert np.flatnonzero(zeros).tolist() == sorted(weakest.tolist())
    assert np.delete(callback.factors["hidden"], weakest).tolist() == [0.0] * 5
    assert not {"train_step", "compute_loss", "make_train_function"} & set(vars(model))


def test_dropped_groups_stay_at_zero_against_gradient_and_momentum():
    x, y = points(256)
    model = mlp(units=8)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    callback = IncrementalRegularization(0.5, increment=0.01, target=0.1)
    model.fit(x, y, batch_size=32, epochs=10, verbose=0, callbacks=[callback])
    (dropped,) = callback.dropped.values()
    assert len(dropped) == 4
    weights = model.get_layer("hidden").kernel.numpy()
    assert not weights[:, dropped].any() and np.delete(weights, dropped, axis=1).all()


def test_a_new_callback_counts_what_is_zero_as_dropped():
    model = model_of([[0.0, 1.0, 2.0, 3.0]])
    callback = IncrementalRegularization(0.5, increment=0.01, target=0.05)
    fit(model, [callback], 1)
    assert callback.dropped == {"hidden": [0]}
    fit(model, [callback], 20)
    assert callback.dropped == {"hidden": [0, 1]}
    zeros = IncrementalRegularization(0.5, target=0.05)
    fit(model_of(np.zeros((1, 4))), [zeros], 1)  # nothing was dropped there: it began so
    assert zeros.dropped == {"hidden": []}


def test_a_mask_that_is_set_from_outside_keeps_them():
    model = model_of(STILL, recipe=edgeax.Recipe([edgeax.Rule("hidden", kernel=[Mask()])]))
    fit(model, [IncrementalRegularization(0.5, increment=0.01, target=0.05)], 20)
    (weight,) = model.layers[0].weight_chains
    mask = weight.chain.transforms[0].mask.numpy()
    assert mask.tolist() == [[False, False, True, True]] * 2


def test_it_runs_with_prune_inside_a_nested_model():
    given = keras.Input((4,))
    plain = keras.Model(given, layers.Dense(3, activation="softmax", name="end")(mlp()(given)))
    model = edgeax.compress(plain, [edgeax.Prune(0.25)])
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = points()
    callback = IncrementalRegularization(0.5, "shape", layers="hidden", increment=0.1)
    model.fit(x, y, epochs=4, verbose=0, callbacks=[callback])
    ((path, dropped),) = callback.dropped.items()
    (variable,) = (v for v in model.trainable_variables if v.path.endswith("hidden/kernel"))
    assert path.endswith("/hidden") and len(dropped) == 2
    assert not variable.numpy()[dropped].any() and variable.numpy().any()


def test_a_kernel_of_which_nothing_would_be_left_is_refused():
    with pytest.raises(ValueError, match="`sparsity` must leave something"):
        fit(model_of([[1.0]]), [IncrementalRegularization(0.9)])


def test_the_settings_go_round():
    item = IncrementalRegularization(0.25, "shape", ["a"], 0.1, 0.2, 0.3, 4)
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: IncrementalRegularization(1.0), r"`sparsity` must lie in \[0, 1\)"),
        (lambda: IncrementalRegularization(bend=1.0), "`bend` must be above 0 and below 1"),
        (lambda: IncrementalRegularization(increment=0.0), "`increment` must be above 0"),
        (lambda: IncrementalRegularization(target=-1.0), "`target` must be above 0"),
        (lambda: IncrementalRegularization(structure="x"), "`structure` must be one of"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
