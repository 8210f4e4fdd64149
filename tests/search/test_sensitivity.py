"""edgeax.sensitivity."""

import keras
import numpy as np
import pytest

import edgeax
from tests.model import small_models

layers = keras.layers


def logits(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(3, name="head"),
        ]
    )


def softmax(x):
    raised = np.exp(np.float64(x) - np.max(x, -1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


RECIPE = edgeax.Recipe([edgeax.Rule(".*", kernel="int2")])


def test_cyd20_the_divergence_is_that_of_one_rounded_layer():
    model, samples = logits(), small_models.images(70)
    found = edgeax.sensitivity(model, samples, recipe=RECIPE)
    assert [row.path for row in found.rows] == ["conv", "head"]
    for row in found.rows:
        only = edgeax.compress(model, edgeax.Recipe([edgeax.Rule(f"^{row.path}$", kernel="int2")]))
        plain, rounded = model(samples).numpy(), only(samples).numpy()
        p, q = softmax(plain), softmax(rounded)
        assert row.kl == pytest.approx(np.mean(np.sum(p * np.log(p / q), -1)), rel=1e-3)
        noise = np.sum((plain - rounded) ** 2) / np.sum(plain**2)
        assert row.snr_db == pytest.approx(-10 * np.log10(noise), rel=1e-3)
        assert row.lost == pytest.approx(100 * np.mean(plain.argmax(-1) != rounded.argmax(-1)))
        assert row.weight_bits == 2
    assert found.worst.kl == max(row.kl for row in found.rows)


def test_with_labels_it_is_accuracy_that_is_lost():
    model, samples = logits(), small_models.images(40)
    labels = model(samples).numpy().argmax(-1)
    found = edgeax.sensitivity(model, samples, labels, RECIPE)
    same = edgeax.sensitivity(model, samples, np.eye(3)[labels], RECIPE)
    assert found == same and found.metric == "accuracy"
    assert [row.lost for row in found.rows] == [
        row.lost for row in edgeax.sensitivity(model, samples, recipe=RECIPE).rows
    ]


def test_it_prints_a_table_and_draws(tmp_path):
    model, samples = small_models.convolutional(), small_models.images(20)
    found = edgeax.sensitivity(model, samples)
    text = str(found)
    assert "depthwise" in text and "SNR dB" in text and "most sensitive:" in text
    found.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_is_not_changed_and_probabilities_are_taken_as_they_are():
    model, samples = small_models.convolutional(), small_models.images(20)
    before = model.get_weights()
    found = edgeax.sensitivity(model, samples, recipe="static_wi2_ai8")
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(np.isfinite(row.kl) for row in found.rows)


def test_too_few_labels_are_refused():
    with pytest.raises(ValueError, match="`labels` must hold a class for each of the 8 samples"):
        edgeax.sensitivity(logits(), small_models.images(8), np.zeros(4))


def test_a_yes_no_question_has_two_answers():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, name="first"), layers.Dense(1, activation="sigmoid")]
    )
    x = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    found = edgeax.sensitivity(model, x, recipe=RECIPE)
    only = edgeax.compress(model, edgeax.Recipe([edgeax.Rule("first", kernel="int2")]))
    p, q = (np.float64(one(x).numpy()[:, 0]) for one in (model, only))
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert found.rows[0].kl == pytest.approx(expected.mean(), rel=1e-3)
    assert found.rows[0].lost == pytest.approx(100 * np.mean((p > 0.5) != (q > 0.5)))


def test_every_output_counts():
    given = keras.Input((5,))
    x = layers.Dense(8, name="trunk")(given)
    outputs = [layers.Dense(3, name="one")(x), layers.Dense(4, name="other")(x)]
    model = keras.Model(given, outputs)
    x = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    found = {row.path: row for row in edgeax.sensitivity(model, x, recipe=RECIPE).rows}
    assert found["one"].kl > 0 and found["other"].kl > 0 and found["other"].snr_db < 60
    with pytest.raises(ValueError, match="`labels` must be None for a model that does not give"):
        edgeax.sensitivity(model, x, np.zeros(50, int), RECIPE)


def test_labels_must_be_classes():
    with pytest.raises(ValueError, match=r"`labels` must be numbers of classes in \[0, 2\]"):
        edgeax.sensitivity(logits(), small_models.images(8), np.full(8, 7))
