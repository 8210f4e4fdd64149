"""What models give, read off their graphs, and what is said of models that do not fit."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.training.model_outputs import (
    check_models,
    check_outputs,
    checked_gives,
    for_each_output,
    output_names,
)
from tests.training.small_models import mlp

layers = keras.layers


def ends_in(*closing):
    return keras.Sequential([keras.Input((4,)), layers.Dense(4), *closing])


def function_of_dense(function, **kwargs):
    given = keras.Input((4,))
    return keras.Model(given, function(layers.Dense(4, **kwargs)(given)))


def ensemble(activation):
    given = keras.Input((4,))
    answers = [layers.Dense(3, activation=activation)(given) for _ in range(2)]
    return keras.Model(given, layers.Average()(answers))


class Mystery(layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    "model, kind",
    [
        (lambda: ends_in(), "logits"),
        (lambda: ends_in(layers.BatchNormalization()), "logits"),
        (lambda: ends_in(layers.Softmax()), "softmax"),
        (lambda: ends_in(layers.Activation("sigmoid"), layers.Reshape((2, 2))), "sigmoid"),
        (lambda: ends_in(layers.Reshape((2, 2)), layers.Flatten()), "logits"),
        (lambda: ends_in(layers.Activation("sigmoid"), layers.Dense(4)), "logits"),
        (lambda: ends_in(ends_in(layers.Dense(4, activation="softmax"))), "softmax"),
        (lambda: edgeax.compress(mlp(), ["int4"]), "softmax"),
        (lambda: edgeax.compress(mlp(), "static_wi8_ai8"), "softmax"),
        (lambda: function_of_dense(keras.ops.softmax), "softmax"),
        (lambda: function_of_dense(lambda x: x + 1.0), "logits"),
        (lambda: ensemble("softmax"), "softmax"),
        (lambda: ensemble(None), "logits"),
    ],
)
def test_the_last_activation_tells_what_a_model_gives(model, kind):
    assert checked_gives("student", model(), None) == [kind]


@pytest.mark.parametrize(
    "model",
    [
        lambda: ends_in(Mystery()),
        lambda: ends_in(layers.Activation(lambda x: x)),
        lambda: function_of_dense(lambda x: 2.0 * x, activation="softmax"),
        lambda: keras.Sequential([layers.Dense(4)]),
    ],
    ids=["layer", "function", "computed", "not built"],
)
def test_what_cannot_be_seen_must_be_told(model):
    with pytest.raises(ValueError, match="`teacher_gives` must be one of.*teacher_gives=None"):
        checked_gives("teacher", model(), None)
    assert checked_gives("teacher", model(), "logits") == "logits"


def test_outputs_have_the_names_of_the_dict_or_of_the_functional_model():
    given = keras.Input((4,))
    outputs = [layers.Dense(2, name=name)(given) for name in "ba"]
    model = keras.Model(given, outputs)
    assert output_names(outputs, model) == ["b", "a"]
    assert output_names({"b": 1, "a": 2}, model) == ["a", "b"]  # in the order of flatten
    assert output_names(outputs, mlp()) == ["0", "1"]


def test_what_is_given_is_for_all_outputs_or_for_each():
    for given in ("logits", ["logits", "logits"], {"b": "logits", "a": "logits"}):
        assert for_each_output("gives", given, ["a", "b"]) == ["logits", "logits"]
    assert for_each_output("gives", {"b": 2, "a": 1}, ["a", "b"]) == [1, 2]
    for wrong in ([1], {"a": 1, "c": 2}):
        with pytest.raises(ValueError, match=r"`gives` must have one entry.*\['a', 'b'\]"):
            for_each_output("gives", wrong, ["a", "b"])


def test_models_that_do_not_fit_are_refused_with_their_shapes():
    narrow = keras.Sequential([keras.Input((3,)), layers.Dense(3)])
    check_models(mlp(), mlp(), adapted=False)
    check_models(narrow, mlp(), adapted=True)
    with pytest.raises(ValueError, match=r"`teacher` must take the inputs.*None, 3\).*None, 4\)"):
        check_models(narrow, mlp(), adapted=False)
    with pytest.raises(ValueError, match=r"`teacher` must answer.*None, 4\).*None, 3\)"):
        check_models(mlp(classes=4), mlp(), adapted=False)
    one = np.zeros((2, 3))
    check_outputs({"a": one}, {"a": one})
    for other in ({"b": one}, {"a": one, "b": one}, {"a": one[None]}):
        with pytest.raises(ValueError, match="`teacher` must answer"):
            check_outputs({"a": one}, other)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: checked_gives("student", "mlp", None), "`student` must be a Keras model.*str"),
        (lambda: checked_gives("student", mlp(), "odds"), "`student_gives` must be one.*odds"),
        (lambda: checked_gives("student", mlp(), {"a": "odds"}), "`student_gives` must be one"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
