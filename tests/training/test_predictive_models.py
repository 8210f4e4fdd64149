"""Models with predictive gradients: what changes, what is listed, what training shows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.cost import training_cost
from edgeax.layers import PredictiveConv2D, PredictiveDense
from edgeax.training.predictive_models import predictive_layers
from tests.training.optimizer_checks import check_resuming

layers = keras.layers


def images(count=256, seed=0):
    """Bright bars on noise: upright, flat, or none."""
    generator = np.random.default_rng(seed)
    x = generator.random((count, 8, 8, 1)).astype(np.float32) * 0.5
    y = generator.integers(0, 3, count)
    for image, kind in zip(x, y, strict=True):
        place = generator.integers(0, 8)
        if kind == 0:
            image[:, place] += 0.7
        elif kind == 1:
            image[place] += 0.7
    return x, y


def network():
    keras.utils.set_random_seed(0)
    given = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(given)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    side = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    x = layers.Add()([x, layers.Conv2D(8, 1, name="point")(side)])
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="down")(x)
    return keras.Model(given, layers.Dense(3, name="head")(layers.GlobalMaxPooling2D()(x)))


def compiled(model, rate=0.001, **settings):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = edgeax.optimizers.PredictiveSignSGD(rate)
    model.compile(optimizer, loss, metrics=["accuracy"], **settings)
    return model


def test_all_layers_with_a_rule_change_and_keep_their_weights():
    model = network()
    changed = edgeax.with_predictive_gradients(model, beta=0.1)
    names = [layer.name for layer in predictive_layers(changed)]
    assert names == ["stem", "depthwise", "point", "down", "head"]
    assert all(layer.beta == 0.1 for layer in predictive_layers(changed))
    x = images(32)[0]
    exact, rounded = model.predict(x, verbose=0), changed.predict(x, verbose=0)
    assert 0 < np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()
    back = edgeax.without_predictive_gradients(changed)
    assert [type(a) for a in back.layers] == [type(b) for b in model.layers]
    np.testing.assert_array_equal(back.predict(x, verbose=0), exact)


def test_layers_without_a_rule_are_listed():
    model = keras.Sequential([keras.Input((4, 3)), layers.LSTM(4, name="cell"), layers.Dense(2)])
    with pytest.warns(UserWarning, match=r"\['cell'\]"):
        changed = edgeax.with_predictive_gradients(model)
    assert type(changed.layers[-1]) is PredictiveDense
    bare = keras.Sequential([keras.Input((4, 3)), layers.LSTM(4)])
    with pytest.raises(ValueError, match="Dense.*lstm"):
        edgeax.with_predictive_gradients(bare)


@pytest.mark.parametrize("carry, share", [(False, 0.5), (True, 0.2)])
def test_wjc19_most_signs_are_predicted_and_rarely_wrong(carry, share):
    x, y = images(512)
    model = compiled(edgeax.with_predictive_gradients(network(), beta=0.05, carry=carry))
    history = model.fit(
        x, y, batch_size=32, epochs=4, verbose=0, callbacks=[edgeax.callbacks.PredictedSigns()]
    ).history
    assert history["accuracy"][-1] > 0.85
    assert min(history["predicted_fraction"]) >= 0.6
    wrong, unconditional = history["sign_error_rate"], history["unconditional_error_rate"]
    assert np.mean(wrong) < share * np.mean(unconditional)


@pytest.mark.parametrize(
    "settings", [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 4}]
)
def test_all_modes_of_fit_count_alike(settings):
    x, y = images(64)

    def trained(**settings):
        model = compiled(edgeax.with_predictive_gradients(network()), 1e-4, **settings)
        signs = edgeax.callbacks.PredictedSigns()
        history = model.fit(x, y, 8, epochs=1, shuffle=False, verbose=0, callbacks=[signs]).history
        return history["loss"][0], history["predicted_fraction"][0]

    np.testing.assert_allclose(trained(**settings), trained(), rtol=0.02)


def test_it_stands_inside_the_wrappers_of_compress():
    model = network()
    compressed = edgeax.compress(model, "static_wc8_ai8")
    changed = compiled(edgeax.with_predictive_gradients(compressed))
    assert isinstance(changed.get_layer("down").layer, PredictiveConv2D)
    x, y = images(64)
    changed.fit(x, y, verbose=0)
    plain = edgeax.strip(edgeax.without_predictive_gradients(changed))
    assert plain.predict(x, verbose=0).shape == (64, 3)


class Skipped(layers.Layer):
    """Stands for a block that a condition in the graph runs or not."""

    def __init__(self, block, **kwargs):
        super().__init__(**kwargs)
        self.block = block

    def build(self, input_shape):
        self.runs = self.add_weight(shape=(), trainable=False, initializer="ones", name="runs")

    def call(self, x):
        return tf.cond(self.runs.value > 0, lambda: x + self.block(x), lambda: tf.identity(x))

    def get_config(self):
        return {**super().get_config(), "block": keras.saving.serialize_keras_object(self.block)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("block")), **config)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_stands_inside_blocks_that_a_step_may_skip(jit_compile):
    block = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="inner")])
    model = keras.Sequential([keras.Input((4,)), Skipped(block), layers.Dense(1)])
    changed = edgeax.with_predictive_gradients(model)
    inner = next(one for one in predictive_layers(changed) if one.name == "inner")
    np.testing.assert_array_equal(inner.kernel, block.layers[-1].kernel)
    changed.compile(edgeax.optimizers.PredictiveSignSGD(0.01), "mse", jit_compile=jit_compile)
    x = np.ones((8, 4), np.float32)
    changed.fit(x, x[:, :1], batch_size=4, verbose=0)
    assert np.array(inner.signs)[0] == 2.0
    changed.layers[0].runs.assign(0.0)
    changed.fit(x, x[:, :1], batch_size=4, verbose=0)
    assert np.array(inner.signs)[0] == 2.0


def test_the_cost_model_knows_what_is_predicted():
    model = network()
    predictive = edgeax.with_predictive_gradients(model, predicted_gradient_bits=10)
    last = training_cost(predictive, 4, predicted_fraction=0.75).layers[-1].phases
    macs = 4 * 8 * 3
    assert last["forward"].bit_operations == macs * 8 * 8
    assert last["input_gradient"].bit_operations == macs * 8 * 16
    assert last["weight_gradient"].bit_operations == macs * (4 * 10 + 0.25 * 8 * 16)
    share = training_cost(predictive, 32, predicted_fraction=0.7).total.energy_pj
    assert share < 0.5 * training_cost(model, 32).total.energy_pj


def test_an_interrupted_run_ends_as_a_whole_one(tmp_path):
    check_resuming(
        lambda: edgeax.optimizers.PredictiveSignSGD(0.001),
        tmp_path / "backup",
        edgeax.with_predictive_gradients,
    )
