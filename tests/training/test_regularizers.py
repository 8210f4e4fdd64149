"""Regularizers of binary networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.layers import QuantDense
from edgeax.regularizers import Bipolar, Euclidean, Manhattan

layers = keras.layers

WEIGHT = np.float32([[1.0, -0.5], [0.0, 2.0]])


def term_and_gradient(regularizer, weight=WEIGHT):
    weight = tf.constant(weight)
    with tf.GradientTape() as tape:
        tape.watch(weight)
        term = regularizer(weight)
    return float(term), tape.gradient(term, weight).numpy().tolist()


def test_thw17_bipolar_is_the_sum_worked_out_by_hand():
    # (1 - 1) + (1 - 0.25) + (1 - 0) + (1 - 4) = -1.25; the gradient is -2 w
    assert term_and_gradient(Bipolar(2.0)) == (-2.5, [[-4.0, 2.0], [0.0, -8.0]])
    assert Bipolar().strength == 5e-7


def test_dbcn18_terms_are_those_worked_out_by_hand():
    # alpha 0.75: |0.75 - |w|| = 0.25, 0.25, 0.75, 1.25
    term, gradient = term_and_gradient(Manhattan(2.0, alpha=0.75))
    assert term == 2 * 2.5 and gradient == [[2.0, 2.0], [0.0, 2.0]]  # towards -0.75 and 0.75
    term, gradient = term_and_gradient(Euclidean(2.0, alpha=0.75))
    assert term == 2 * (0.0625 + 0.0625 + 0.5625 + 1.5625)
    assert gradient == [[1.0, 1.0], [0.0, 5.0]]  # 2 * 2 * (|w| - alpha) * sign(w)


def test_the_mean_is_the_best_alpha_and_gets_no_gradient():
    # E|w| = 0.875
    assert term_and_gradient(Euclidean(1.0)) == term_and_gradient(Euclidean(1.0, alpha=0.875))
    uneven = np.float32([1.0, -0.5, 0.0, 4.0])  # three below E|w| = 1.375, one above
    fixed = term_and_gradient(Manhattan(1.0, alpha=1.375), uneven)
    assert term_and_gradient(Manhattan(1.0), uneven) == fixed
    others = [term_and_gradient(Euclidean(1.0, alpha=a))[0] for a in np.linspace(0.1, 2.0, 39)]
    assert term_and_gradient(Euclidean(1.0))[0] <= min(others)


@pytest.mark.parametrize("regularizer", [Bipolar(0.1), Manhattan(0.1), Euclidean(0.1, alpha=0.3)])
def test_it_stays_with_the_weight_through_wrapping_and_a_file(regularizer, tmp_path):
    plain = keras.Sequential([keras.Input((2,)), layers.Dense(2, kernel_regularizer=regularizer)])
    plain.layers[0].kernel.assign(WEIGHT)
    expected = float(regularizer(tf.constant(WEIGHT)))
    compressed = edgeax.compress(plain, ["int3"])
    compressed.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    quantized = keras.Sequential(
        [
            keras.Input((2,)),
            QuantDense(2, kernel_quantizer="int3", kernel_regularizer=regularizer),
        ]
    )
    quantized.layers[0].kernel.assign(WEIGHT)
    for model in (compressed, loaded, quantized):
        (loss,) = model.losses  # of the real weight, not of the rounded one
        assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_bipolar_training_ends_at_the_two_values():
    layer = layers.Dense(
        4,
        use_bias=False,
        kernel_regularizer=Bipolar(0.5),
        kernel_constraint=edgeax.constraints.WeightClip(),
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    layer.kernel.assign([[0.5, -0.25, 0.75, -1.0]])
    model.compile(keras.optimizers.SGD(0.5), lambda y, x: 0.0 * keras.ops.sum(x, axis=-1))
    model.fit(np.ones((1, 1)), np.zeros((1, 4)), epochs=5, verbose=0)
    assert layer.kernel.numpy().tolist() == [[1.0, -1.0, 1.0, -1.0]]


@pytest.mark.parametrize("regularizer", [Bipolar(0.1), Manhattan(0.1), Euclidean(0.1, alpha=0.3)])
def test_the_settings_go_round(regularizer):
    data = keras.saving.serialize_keras_object(regularizer)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(regularizer) and copy.get_config() == regularizer.get_config()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Bipolar(-1.0), "`strength` must be at least 0"),
        (lambda: Euclidean(float("nan")), "`strength` must be at least 0"),
        (lambda: Manhattan(alpha=0.0), "`alpha` must be above 0.*alpha=0.0"),
        (lambda: Manhattan(alpha="median"), "`alpha` must be.*'median'"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
