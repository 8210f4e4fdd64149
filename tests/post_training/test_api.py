"""edgeax.quantize from end to end."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.post_training.named import CALIBRATIONS, CORRECTIONS
from tests.model import small_models
from tests.post_training import cases

layers = keras.layers


def quantize(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return edgeax.quantize(*args, **kwargs)


def exported(model, samples, path):
    result = edgeax.export(model, path, samples, measure=False)
    assert not result.stays_float
    return edgeax.Interpreter(path).run(samples)


@pytest.mark.parametrize("name", CORRECTIONS)
def test_every_correction_gives_a_model_that_exports_as_it_computes(name, tmp_path):
    model, samples = small_models.convolutional(), small_models.images(16)
    rounded = quantize(model, samples, "static_wi4_ai8", "mse", [name])
    expected = rounded(samples).numpy()
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(
        exported(rounded, samples, tmp_path / "model.tflite"), expected, atol=2.1 / 256
    )


def test_all_corrections_together():
    model, samples = small_models.convolutional(), small_models.images(16)
    chosen = [name for name in CORRECTIONS if name != "bit_allocation"]
    rounded = quantize(model, samples, "static_wi4_ai8", "hessian", chosen)
    assert np.isfinite(rounded(samples).numpy()).all()


SAMPLES = {
    "one": small_models.images(1),
    "many": small_models.images(1000),
    "pipeline": tf.data.Dataset.from_tensor_slices(
        (small_models.images(20), small_models.labels(20))
    ).batch(8),
    "dict": {"image": small_models.images(5)},
}


@pytest.mark.parametrize("kind", [*SAMPLES, "none"])
def test_any_samples_will_do(kind):
    model = small_models.convolutional()
    if kind == "dict":
        given = keras.Input((6, 6, 2), name="image")
        model = keras.Model(given, model(given))
    rounded = quantize(model, SAMPLES.get(kind), "static_wi8_ai8", "percentile")
    x = small_models.images(30, seed=3)
    assert np.abs(rounded(x).numpy() - model(x).numpy()).max() < 0.2


def test_weights_alone_need_no_samples():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    rounded = edgeax.quantize(model, recipe="weight_only_wi4_afp32", calibration="mse")
    assert rounded.layers[0].freeze_weights()[0][2].bits == 4


def test_without_samples_and_normalizations_it_says_what_to_give():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="(?s)`model` must.*batch normalization.*samples"):
        edgeax.quantize(model, recipe="static_wi8_ai8")


def test_the_same_seed_gives_the_same_model():
    model, samples = small_models.convolutional(), small_models.images(24)
    found = [
        quantize(model, given, "static_wi4_ai8", "hessian", ["adaround"], seed=seed)
        for given, seed in ((samples, 1), (samples, 1), (None, 2), (None, 2), (None, 3))
    ]
    weights = [np.concatenate([w.ravel() for w in one.get_weights()]) for one in found]
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[2], weights[3])
    assert not np.array_equal(weights[3], weights[4])


def test_the_given_model_is_not_changed_and_its_compilation_is_taken_over():
    model, samples = small_models.convolutional(), small_models.images(16)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    before = [weight.copy() for weight in model.get_weights()]
    rounded = quantize(model, samples, "static_wi4_ai8", "mse", [*CORRECTIONS])
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(rounded.evaluate(samples, small_models.labels(16), verbose=0)) == 2


def test_nested_and_subclassed_models():
    nested = small_models.nested()
    quantize(nested, small_models.images(16), "static_wi4_ai8", "mse", ["admm", "bias_correction"])

    model, samples = cases.subclassed()
    with pytest.warns(UserWarning, match="(?s)cross-layer equalization: the model has no graph"):
        rounded = edgeax.quantize(
            model, samples, "weight_only_wi3_afp32", "mse", corrections=[*CORRECTIONS]
        )
    plain = quantize(model, samples, "weight_only_wi3_afp32")
    lost = [
        np.mean((one(samples).numpy() - model(samples).numpy()) ** 2) for one in (rounded, plain)
    ]
    assert lost[0] < 0.5 * lost[1]


def test_a_subclassed_model_takes_samples_as_it_is_called():
    model, samples = cases.subclassed()
    pipeline = tf.data.Dataset.from_tensor_slices((samples, np.zeros(120))).batch(10).repeat()
    found = [
        quantize(model, given, "static_wi8_ai8") for given in (np.tile(samples, (5, 1)), pipeline)
    ]
    np.testing.assert_array_equal(found[0](samples), found[1](samples))
    with pytest.raises(ValueError, match="must be arrays of finite numbers.*<U"):
        edgeax.quantize(model, np.array(["a"]))


def test_a_dict_of_inputs_may_be_called_by_its_keys():
    given = {"left": keras.Input((3,), name="a"), "right": keras.Input((3,), name="b")}
    outputs = layers.Dense(2)(layers.Concatenate()([given["left"], given["right"]]))
    model = keras.Model(given, outputs)
    x = np.random.default_rng(0).normal(size=(2, 9, 3)).astype(np.float32)
    rounded = quantize(model, {"left": x[0], "right": x[1]}, "static_wi8_ai8")
    batch = {"left": x[0], "right": x[1]}
    assert np.abs(rounded(batch).numpy() - model(batch).numpy()).max() < 0.1


@pytest.mark.parametrize("name", ["admm", "adaround", "cross_distillation"])
def test_a_few_samples_do_no_harm(name):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((16,)), layers.Dense(64, activation="relu"), layers.Dense(10)]
    )
    x = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)

    def lost(corrections, count):
        rounded = quantize(model, x[:count], "weight_only_wi4_afp32", corrections=corrections)
        return np.mean((rounded(x[100:]).numpy() - model(x[100:]).numpy()) ** 2)

    for count in (1, 4, 16):
        assert lost([name], count) < 1.25 * lost([], count)
    assert lost([name], 100) < 0.8 * lost([], 100)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_constant_and_dead_channels_are_no_harm(calibration):
    model, samples = small_models.convolutional(), small_models.images(16)
    conv, norm = model.get_layer("conv"), model.get_layer("norm")
    kernel = conv.kernel.numpy()
    kernel[..., 0], kernel[..., 1] = 0.0, 0.25
    conv.kernel.assign(kernel)
    norm.moving_variance.assign([0.0, 1.0, 1.0, 1.0])
    norm.gamma.assign([0.0, 1.0, 1.0, 1.0])
    rounded = quantize(model, samples, "static_wi4_ai8", calibration, [*CORRECTIONS])
    assert np.isfinite(rounded(samples).numpy()).all()


def test_what_was_left_out_is_said_in_one_warning():
    given = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, activation="relu6", name="conv")(given)
    x = layers.Conv2D(4, 3, name="second")(x)
    model = keras.Model(given, x)
    with pytest.warns(UserWarning, match="(?s)left some things out.*conv") as caught:
        edgeax.quantize(
            model,
            small_models.images(16),
            corrections=["cross_layer_equalization", "dual_tensor", "batch_norm_reestimation"],
        )
    said = [str(one.message) for one in caught if "left some things out" in str(one.message)]
    assert len(said) == 1 and "batch norm re-estimation" in said[0] and "dual tensor" in said[0]


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"samples": np.zeros((4, 5, 6, 2))}, r"`samples`.*\(None, 6, 6, 2\).*\(4, 5, 6, 2\)"),
        ({"samples": np.full((4, 6, 6, 2), np.nan)}, "`samples` must be finite"),
        ({"samples": np.zeros((0, 6, 6, 2))}, "`samples` must hold at least one sample"),
        ({"corrections": ["batch_norm_reestimation"]}, "at least 16 samples.*BatchNorm.*8"),
        ({"calibration": "median"}, "`calibration` must be one of"),
        ({"corrections": ["rounding"]}, "`corrections` must be one of"),
        ({"recipe": "static_wi9_ai8"}, "`recipe` must name a preset"),
        ({"batch_size": 0}, "`batch_size` must be an integer, at least 1. Received: 0"),
        ({"batch_size": 2.5}, "`batch_size` must be an integer.*2.5"),
    ],
)
def test_bad_input_is_refused_before_anything_happens(kwargs, message):
    model = small_models.convolutional()
    with pytest.raises(ValueError, match=message):
        edgeax.quantize(model, **{"samples": small_models.images(8), **kwargs})


def test_a_compressed_model_is_refused():
    model = edgeax.compress(small_models.convolutional(), "static_wi8_ai8")
    with pytest.raises(ValueError, match="`model` must be a plain model"):
        edgeax.quantize(model, small_models.images(4))


def test_averages_of_a_rounded_input_are_those_of_the_file(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 2)), layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(3)]
    )
    samples = small_models.images(16, size=8)
    rounded = quantize(model, samples, "static_wi8_ai8")
    found = exported(rounded, samples, tmp_path / "model.tflite")
    low, high = rounded.layers[-1].quantizer("output").extremes
    assert np.abs(found - rounded(samples).numpy()).max() < 1.01 * (high - low) / 255
