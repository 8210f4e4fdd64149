"""SSL: several kinds of groups drawn to zero at once, and what their zeros are good for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.structured_sparsity import StructuredSparsity
from tests.training.small_models import mlp, points

layers = keras.layers


def zero_loss(y_true, y_pred):
    return 0.0 * keras.ops.sum(y_pred, axis=-1)


def two_layers(rate=0.0):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(2, use_bias=False, name="hidden"),
            layers.Dense(1, use_bias=False, name="head"),
        ]
    )
    model.layers[0].kernel.assign([[3.0, 0.0], [4.0, 12.0]])
    model.layers[1].kernel.assign([[1.0], [2.0]])
    model.compile(keras.optimizers.SGD(rate), zero_loss)
    return model


def fit(model, callbacks, steps=1):
    x = np.ones((steps, 2), np.float32)
    y = np.ones((steps, 1), np.float32)
    return model.fit(x, y, batch_size=1, verbose=0, callbacks=callbacks).history["loss"]


def test_www16_the_defaults_are_those_of_lenet():
    callback = StructuredSparsity()
    assert callback.strengths == {"filter": 0.005, "shape": 0.005}
    assert callback.zero_below == 1e-4 and callback.by_size is False


def test_www16_the_term_is_the_one_worked_out_by_hand():
    # filters 5 and 12, taps 3 and sqrt(160), the whole 13; the head makes the outputs
    loss = fit(two_layers(), [StructuredSparsity({"filter": 0.1, "shape": 0.2, "layer": 0.3})])
    assert loss == [pytest.approx(0.1 * 17 + 0.2 * (3 + np.sqrt(160)) + 0.3 * 13)]
    loss = fit(two_layers(), [StructuredSparsity({"filter": 0.1}, by_size=True, layers="head")])
    assert loss == [pytest.approx(0.1 * np.sqrt(2) * np.sqrt(5))]


def test_www16_each_step_moves_a_group_by_its_direction():
    model = two_layers(rate=0.5)
    fit(model, [StructuredSparsity({"filter": 0.1})])
    kernel = np.float32([[3.0, 0.0], [4.0, 12.0]])
    assert model.layers[0].kernel.numpy() == pytest.approx(kernel - 0.05 * kernel / [5.0, 12.0])
    assert model.layers[1].kernel.numpy().ravel().tolist() == [1.0, 2.0]


def test_small_weights_become_zero_when_fit_ends_and_not_before():
    model = two_layers()
    model.layers[0].kernel.assign([[9e-5, 2e-4], [-9e-5, 1.0]])
    model.layers[1].kernel.assign([[9e-5], [2.0]])
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.layers[0].kernel.numpy()[0, 0])
    )
    fit(model, [StructuredSparsity(), watch])
    assert seen == [np.float32(9e-5)]
    assert model.layers[0].kernel.numpy().tolist() == [[0.0, np.float32(2e-4)], [0.0, 1.0]]
    assert model.layers[1].kernel.numpy()[0, 0] == np.float32(9e-5)  # not one of its layers


def convolution():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(8, 3, activation="relu", use_bias=False, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="head"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype(np.float32)
    y = np.stack([np.maximum(x[..., 0], 0).mean((1, 2)), x[..., 0].mean((1, 2))], axis=1)
    return model, x, 4.0 * y  # of the first channel alone


def test_www16_zero_rows_go_exactly():
    model, x, y = convolution()
    strengths = {"filter": 0.05, "shape": 0.05}
    callback = StructuredSparsity(strengths, zero_below=1e-2)
    model.fit(x, y, batch_size=16, epochs=50, verbose=0, callbacks=[callback])
    kernel = model.get_layer("conv").kernel.numpy()
    matrix = kernel.reshape(18, 8)  # a row for each tap, a column for each filter
    rows, columns = np.any(matrix, axis=1), np.any(matrix, axis=0)
    assert 0 < rows.sum() <= 9 and 0 < columns.sum() <= 6
    assert np.any(matrix[rows][:, columns], axis=1).all()
    patches = tf.image.extract_patches(x, [1, 3, 3, 1], [1] * 4, [1] * 4, "VALID").numpy()
    smaller = np.maximum(patches[..., rows] @ matrix[np.ix_(rows, columns)], 0).mean((1, 2))
    head = model.get_layer("head")
    outputs = smaller @ head.kernel.numpy()[columns] + head.bias.numpy()
    assert outputs == pytest.approx(model.predict(x, verbose=0), abs=1e-6)


def test_www16_a_zero_layer_leaves_its_shortcut():
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    inner = layers.Dense(4, use_bias=False, name="inner")(given)
    summed = layers.Add()([given, inner])
    model = keras.Model(given, layers.Dense(1, name="head")(summed))
    model.compile(keras.optimizers.SGD(0.02), "mse")
    x, _ = points(64)
    callback = StructuredSparsity({"layer": 0.5}, layers="inner", zero_below=0.02)
    model.fit(x, x[:, :1], batch_size=8, epochs=60, verbose=0, callbacks=[callback])
    assert not model.get_layer("inner").kernel.numpy().any()
    head = model.get_layer("head")
    assert model.predict(x, verbose=0) == pytest.approx(head(x).numpy(), abs=1e-6)


def test_it_knows_the_layout_of_every_layer():
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.DepthwiseConv2D(2, depth_multiplier=2, use_bias=False, name="depthwise"),
            layers.Conv2DTranspose(2, 1, use_bias=False, name="up"),
        ]
    )
    depthwise = np.zeros((2, 2, 1, 2), np.float32)
    depthwise[:, 0, 0, 0], depthwise[0, 0, 0, 1] = [3.0, 4.0], 2.0
    model.layers[0].kernel.assign(depthwise)
    model.layers[1].kernel.assign(np.float32([[[[1.0, 0.0], [2.0, 2.0]]]]))  # outputs, inputs
    model.compile(keras.optimizers.SGD(0.0), lambda y, x: 0.0 * keras.ops.sum(x, axis=(1, 2, 3)))
    x, y = np.ones((1, 4, 4, 1)), np.ones((1, 3, 3, 2))

    def term(layer):
        callback = StructuredSparsity({"filter": 1.0}, layers=layer)
        return model.fit(x, y, verbose=0, callbacks=[callback]).history["loss"][0]

    assert term("depthwise") == pytest.approx(5.0 + 2.0)
    assert term("up") == pytest.approx(1.0 + np.sqrt(8.0))


@pytest.mark.parametrize("settings", [{"jit_compile": True}, {"steps_per_execution": 2}])
def test_it_runs_with_prune_inside_a_nested_model(settings):
    inner = mlp()
    given = keras.Input((4,))
    plain = keras.Model(given, layers.Dense(3, activation="softmax", name="end")(inner(given)))
    model = edgeax.compress(plain, [edgeax.Prune(0.5)])
    model.compile("adam", "sparse_categorical_crossentropy", **settings)
    x, y = points()
    callback = StructuredSparsity({"filter": 0.01})
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[callback]).history
    assert np.isfinite(history["loss"]).all()
    assert not {"train_step", "compute_loss", "make_train_function"} & set(vars(model))


def test_the_settings_go_round():
    item = StructuredSparsity({"filter": 0.1, "layer": 0.2}, ["a", "b"], 0.01, True, 3)
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: StructuredSparsity({}), "`strengths` must say.*{}"),
        (lambda: StructuredSparsity(0.1), "`strengths` must say.*0.1"),
        (lambda: StructuredSparsity({"filter": -1.0}), "`strength` must be at least 0"),
        (lambda: StructuredSparsity({"column": 1.0}), "`structure` must be one of.*'column'"),
        (lambda: StructuredSparsity(zero_below=-1.0), "`zero_below` must be at least 0"),
        (lambda: StructuredSparsity(layers="("), "`layers` must be a regular expression"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
