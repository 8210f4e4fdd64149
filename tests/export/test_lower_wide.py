import keras
import numpy as np
import pytest

import edgeax

layers = keras.layers


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def exported(model, x, path, **kwargs):
    result = edgeax.export(model, path, x, measure=False, **kwargs)
    return result, edgeax.Interpreter(path).run(x)


@pytest.mark.parametrize("function", ["tanh", "sigmoid", "softmax"])
def test_an_activation_computes_in_16_bits(function, tmp_path):
    given = keras.Input((6,))
    x = layers.Dense(5, activation=function)(given)
    model = keras.Model(given, layers.Dense(3)(x))
    x = normal(50, 6)
    result, answers = exported(model, x, tmp_path / "m.tflite", activations="int16", strict=True)
    assert not result.stays_float
    name = {"tanh": "TANH", "sigmoid": "LOGISTIC", "softmax": "SOFTMAX"}[function]
    assert result.operators[name] == 1
    # What is lost is the kernels' 8 bits: half a step of 1/127 of the largest, over 5 products.
    assert np.max(np.abs(answers - model.predict(x, verbose=0))) < 0.02


def test_branches_on_different_grids_are_joined_on_one(tmp_path):
    given = keras.Input((4, 4, 3))
    small = layers.Conv2D(2, 1)(given)
    large = layers.Rescaling(30.0)(layers.Conv2D(2, 1)(given))
    squashed = layers.Conv2D(2, 1, activation="tanh")(given)
    joined = layers.Concatenate()([small, large, squashed])
    joined = layers.Concatenate(axis=1)([joined, layers.Conv2D(6, 1)(joined)])
    model = keras.Model(given, layers.GlobalAveragePooling2D()(joined))
    x = normal(20, 4, 4, 3)
    result, answers = exported(model, x, tmp_path / "m.tflite", activations="int16", strict=True)
    assert result.operators["CONCATENATION"] == 2
    expected = model.predict(x, verbose=0)
    assert np.max(np.abs(answers - expected)) < 0.02 * np.max(np.abs(expected))


def test_a_model_trained_in_16_bits_is_nearer_to_keras_than_one_of_8(tmp_path):
    x = normal(64, 8)
    away = {}
    for recipe in ("static_wi8_ai8", "static_wi8_ai16"):
        keras.utils.set_random_seed(1)
        given = keras.Input((8,))
        plain = keras.Model(given, layers.Dense(4)(layers.Dense(16, activation="relu")(given)))
        model = edgeax.compress(plain, recipe)
        model.compile("adam", "mse")
        model.fit(x, normal(64, 4), epochs=2, verbose=0)
        _, answers = exported(model, x, tmp_path / "m.tflite", strict=True)
        away[recipe] = np.max(np.abs(answers - model.predict(x, verbose=0)))
    assert away["static_wi8_ai16"] < away["static_wi8_ai8"] / 20


def test_16_bits_beside_fewer_trained_bits_are_refused(tmp_path):
    given = keras.Input((8,))
    plain = keras.Model(given, layers.Dense(4, name="last")(layers.Dense(3, name="first")(given)))
    rules = [edgeax.Rule("first", output="int16"), edgeax.Rule("last", output="int8")]
    model = edgeax.compress(plain, edgeax.Recipe(rules))
    model(normal(8, 8), training=True)
    with pytest.raises(ValueError, match="all activations to 'int16'.*fewer bits at 'last'"):
        edgeax.export(model, tmp_path / "m.tflite", normal(8, 8), measure=False)
    assert not (tmp_path / "m.tflite").exists()
