"""MSQE and PartialL2: a strength that is learned, and where it draws weights to."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.quantization_error import MSQE, PartialL2, least_error_step
from edgeax.transforms import LearnedStep

layers = keras.layers

WEIGHT = np.float32([[0.9, -0.6], [0.25, 0.1]])


def model_of(weight=WEIGHT, rate=0.0):
    model = keras.Sequential(
        [keras.Input((len(weight),)), layers.Dense(weight.shape[1], use_bias=False)]
    )
    model.layers[0].kernel.assign(weight)
    model.compile(keras.optimizers.SGD(rate), lambda y, x: 0.0 * keras.ops.sum(x, axis=-1))
    return model


def fit(model, callbacks, steps):
    x = np.zeros((steps, model.input_shape[-1]))
    y = np.zeros((steps, model.output_shape[-1]))
    return model.fit(x, y, batch_size=1, verbose=0, callbacks=callbacks).history


def test_cekl20_strength_comes_to_rest_at_alpha_over_error():
    model = model_of()  # whose weights stand still
    callback = MSQE(bits=3, alpha=0.5, strength=1.0, learning_rate=0.05)
    history = fit(model, [callback], 600)
    (step,) = callback.steps.values()
    codes = np.clip(np.rint(WEIGHT / step), -4, 3)
    error = np.mean((WEIGHT - step * codes) ** 2)
    assert callback.strength == pytest.approx(0.5 / error, rel=0.01)
    assert history["strength/MSQE"] == [pytest.approx(callback.strength)]
    # and at the step that is best for these codes
    assert step == pytest.approx(np.sum(WEIGHT * codes) / np.sum(codes**2), rel=1e-3)


def test_cekl20_term_is_the_one_worked_out_by_hand():
    model = model_of(np.float32([[0.5, -0.26]]))
    callback = MSQE(bits=2, alpha=2.0, strength=3.0)
    history = fit(model, [callback], 1)
    # the least-error step of 2 bits, codes -2..1: 0.5 with codes 1 and -1
    errors = {
        step: np.mean((np.array([0.5, -0.26]) - step * np.array([1, -1])) ** 2)
        for step in np.linspace(0.25, 0.5, 2001)
    }
    least = min(errors.values())
    assert history["loss"][0] == pytest.approx(3.0 * least - 2.0 * math.log(3.0), rel=1e-3)


def test_cekl20_weights_gather_at_the_levels():
    keras.utils.set_random_seed(0)
    weight = np.random.default_rng(0).normal(0.0, 0.2, (20, 20)).astype(np.float32)
    model = model_of(weight)
    model.compile(keras.optimizers.Adam(2e-3), lambda y, x: 0.0 * keras.ops.sum(x, axis=-1))
    callback = MSQE(bits=3, learning_rate=1e-2)
    fit(model, [callback], 400)
    (step,) = callback.steps.values()
    after = model.layers[0].kernel.numpy()
    away = np.abs(after / step - np.clip(np.rint(after / step), -4, 3))
    assert np.mean(away < 0.05) > 0.95
    assert np.corrcoef(weight.ravel(), after.ravel())[0, 1] > 0.9
    compressed = callback.compress(model)
    rounded = edgeax.strip(compressed).layers[0].kernel.numpy()
    assert len(np.unique(rounded)) <= 8
    assert np.allclose(rounded, after, atol=0.06 * step)


def test_a_new_callback_finds_the_steps_again_in_the_weights():
    codes = np.random.default_rng(1).integers(-7, 8, (20, 20))
    codes[0, 0] = 7
    model = model_of((0.0375 * codes).astype(np.float32))
    callback = MSQE(bits=4)
    fit(model, [callback], 1)
    assert callback.steps == {model.layers[0].kernel.path: pytest.approx(0.0375, rel=2e-3)}


def test_a_second_fit_goes_on_where_the_first_ended():
    model, callback = model_of(), MSQE(bits=3, strength=1.0, learning_rate=0.01)
    fit(model, [callback], 10)
    first = callback.strength
    assert first == pytest.approx(math.exp(0.1), rel=0.01)  # ten steps of Adam
    fit(model, [callback], 10)
    assert callback.strength == pytest.approx(math.exp(0.2), rel=0.02)


def test_the_steps_go_into_the_chains_of_a_recipe_and_its_file(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, activation="relu"), layers.Dense(2)]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    callback = MSQE(bits=4)
    assert callback.steps == {} and callback.strength is None
    with pytest.raises(ValueError, match="`model` must be the one.*nothing"):
        callback.compress(model)
    model.fit(np.ones((2, 4)), np.ones((2, 2)), verbose=0, callbacks=[callback])
    recipe = edgeax.Recipe([edgeax.Rule(".*", kernel=LearnedStep(4), output="int8")])
    compressed = callback.compress(model, recipe)
    compressed.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    steps = [v for v in loaded.variables if v.name == "step_size"]
    assert [float(v.numpy()) for v in steps] == pytest.approx([*callback.steps.values()])


def test_a_model_is_saved_as_if_there_were_no_callback(tmp_path):
    model = model_of()
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    fit(model, [MSQE(bits=3), checkpoint], 1)
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert [v.shape for v in loaded.variables] == [v.shape for v in model.variables]


def test_cekl20_partial_l2_takes_the_smallest_weights_only():
    callback = PartialL2(0.5)
    kernels = [tf.constant([[3.0, -1.0]]), tf.constant([[0.5, 4.0], [2.0, -5.0]])]
    with tf.GradientTape() as tape:
        tape.watch(kernels)
        error = callback.error(kernels)
    assert float(error) == pytest.approx((1.0 + 0.25 + 4.0) / 6.0)
    first, second = tape.gradient(error, kernels)
    assert np.allclose(first, [[0.0, -2.0 / 6.0]])
    assert np.allclose(second, [[1.0 / 6.0, 0.0], [4.0 / 6.0, 0.0]])


def test_cekl20_partial_l2_leaves_little_to_prune_away():
    weight = np.random.default_rng(0).normal(0.0, 0.2, (20, 20)).astype(np.float32)
    model = model_of(weight)
    model.compile(keras.optimizers.Adam(1e-3), lambda y, x: 0.0 * keras.ops.sum(x, axis=-1))
    callback = PartialL2(0.6, strength=1.0, learning_rate=0.02)
    fit(model, [callback], 300)
    after = np.sort(np.abs(model.layers[0].kernel.numpy()).ravel())
    before = np.sort(np.abs(weight).ravel())
    assert after[: 240 - 20].max() < 0.05 * before[240]
    assert np.allclose(after[260:], before[260:], atol=1e-6)
    assert callback.strength > 10.0


def test_least_error_step_of_a_weight_of_zeros_is_one():
    assert least_error_step(np.zeros((2, 2)), -8, 7) == 1.0


@pytest.mark.parametrize("item", [MSQE(3, 0.5, 2.0, 0.01, 4), PartialL2(0.7, 0.5, None, 0.01, 4)])
def test_the_settings_go_round(item):
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: MSQE(bits=9), "`bits` of MSQE must be"),
        (lambda: MSQE(alpha=0.0), "`alpha` must be above 0"),
        (lambda: MSQE(strength=-1.0), "`strength` must be above 0"),
        (lambda: PartialL2(1.0), "`sparsity` must be above 0 and below 1"),
        (lambda: PartialL2(learning_rate=0.0), "`learning_rate` must be above 0"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
