"""Auto-balanced pruning: what the weak filters lose the strong ones gain."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.training.auto_balanced import AutoBalanced, balanced_factors, importance_of_units
from tests.training.small_models import mlp, points

layers = keras.layers


def test_ddht18_factors_are_those_worked_out_by_hand():
    e = np.e
    # weak are 1 and e, the border is e: 1 + log(e / 1), 1 + 0; strong e**2 and e**4: distance 1, 3
    factors = balanced_factors(np.array([e**2, 1.0, e**4, e]), 0.5)
    assert factors == pytest.approx([-2.0, 2.0, -4.0, 1.0])
    assert balanced_factors(np.array([1.0, 1.0, 1.0]), 0.4).tolist() == [1.0, -1.0, -1.0]
    # one filter at least is weak, and one that nobody reads counts as a millionth
    assert balanced_factors(np.array([2.0, 1.0]), 0.0)[1] == 1.0
    assert balanced_factors(np.array([0.0, 1.0, 2.0]), 0.67)[0] == pytest.approx(1 + np.log(1e6))
    assert np.isfinite(balanced_factors(np.zeros(4), 0.5)).all()


def zero_loss(y_true, y_pred):
    return 0.0 * keras.ops.sum(y_pred, axis=-1)


def two_layers(rate=0.1, **compile):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(3, activation="relu", name="hidden"),
            layers.Dense(2, use_bias=False, name="head"),
        ]
    )
    model.layers[0].kernel.assign([[3.0, 1.0, 2.0], [4.0, 0.0, 0.0]])
    model.layers[1].kernel.assign([[0.5, -0.5], [3.0, 1.0], [-1.0, 1.0]])  # sums 1, 4, 2
    model.compile(keras.optimizers.SGD(rate), zero_loss, **compile)
    return model


def fit(model, callbacks, steps=1):
    x = np.ones((steps, 2), np.float32)
    return model.fit(x, x, batch_size=1, verbose=0, callbacks=callbacks).history["loss"]


def test_ddht18_importance_is_read_from_the_layer_behind():
    (group, *_) = edgeax.model.channels.channel_groups(two_layers())
    assert importance_of_units(two_layers(), group).tolist() == [1.0, 4.0, 2.0]


def test_ddht18_the_two_sums_are_equal_and_move_filters_apart():
    model, callback = two_layers(), AutoBalanced(1 / 3, strength=0.5)
    assert fit(model, [callback]) == [pytest.approx(0.0, abs=1e-6)]
    # weak: the first, factor 1, square 25. Strong: 1 + log 4 of 1, 1 + log 2 of 4
    strong = np.array([1 + np.log(4.0), 1 + np.log(2.0)])
    balance = 25.0 / (strong @ [1.0, 4.0])
    growth = 1 + 0.1 * 0.5 * 2 * balance * strong
    expected = [[3.0 * 0.9, growth[0], 2.0 * growth[1]], [4.0 * 0.9, 0.0, 0.0]]
    assert model.layers[0].kernel.numpy() == pytest.approx(np.float32(expected))
    assert callback.weak == {"hidden": [0]}
    assert not {"train_step", "compute_loss", "make_train_function"} & set(vars(model))


@pytest.mark.parametrize("settings", [{}, {"jit_compile": True}, {"steps_per_execution": 5}])
def test_ddht18_weak_filters_vanish_while_strong_ones_grow(settings):
    model = two_layers(0.02, **settings)
    before = np.linalg.norm(model.layers[0].kernel.numpy(), axis=0)
    fit(model, [AutoBalanced(1 / 3, strength=1.0)], 200)
    after = np.linalg.norm(model.layers[0].kernel.numpy(), axis=0)
    assert after[0] < 1e-3 * before[0]
    assert (after[1:] > before[1:]).all() and np.isfinite(after).all()


def test_weak_filters_can_go_after_training_with_prune():
    x, y = points(256)
    plain = mlp(units=8)
    model = edgeax.compress(plain, [edgeax.Prune(0.25)])
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    callback = AutoBalanced(0.5, strength=0.05, begin_epoch=2)
    model.fit(x, y, epochs=30, verbose=0, callbacks=[callback])
    (weak,) = callback.weak.values()
    assert len(weak) == 4
    trained = edgeax.strip(model)
    norms = np.linalg.norm(trained.get_layer("hidden").kernel.numpy(), axis=0)
    assert norms[weak].max() < 0.2 * np.delete(norms, weak).min()
    trained.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert trained.evaluate(x, y, verbose=0)[1] > 0.85


def test_filters_of_convolutions_behind_batch_normalization_take_part():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3, name="hidden"),
            layers.Dense(2, name="head"),
        ]
    )
    model.compile("sgd", "mse")
    callback = AutoBalanced(0.5)
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 1))
    model.fit(x, np.ones((8, 2)), verbose=0, callbacks=[callback])
    assert {path: len(weak) for path, weak in callback.weak.items()} == {"conv": 2, "hidden": 2}


def test_a_model_in_which_no_channels_can_go_is_refused():
    model = two_layers()
    with pytest.raises(ValueError, match=r"`layers` of AutoBalanced.*\['head'\]"):
        fit(model, [AutoBalanced(layers="head")])


def test_the_settings_go_round():
    item = AutoBalanced(0.25, 0.1, ["a"], 2)
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: AutoBalanced(1.0), r"`sparsity` must lie in \[0, 1\)"),
        (lambda: AutoBalanced(strength=-1.0), "`strength` must be at least 0"),
        (lambda: AutoBalanced(layers=1), "`layers` must be None"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
