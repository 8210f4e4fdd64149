"""Warnings of kernels that a format would kill."""

import warnings

import keras
import numpy as np
import pytest

import edgeax
from edgeax import Prune, Quantize, Recipe, Rule
from edgeax.layers import QuantDense

layers = keras.layers

# One channel: with 3 values of scale max|w| whatever lies below 0.5 becomes zero: 7 of 8 that are
# not zero already.
MOSTLY_SMALL = np.float32([[1.0], [0.4], [0.3], [-0.3], [0.2], [-0.2], [0.1], [-0.1], [0.0]])


def model_of(kernel, activation=None):
    model = keras.Sequential(
        [keras.Input((len(kernel),)), layers.Dense(1, activation, name="small")]
    )
    model.layers[0].kernel.assign(kernel)
    return model


def warned(recipe, kernel=MOSTLY_SMALL):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        edgeax.compress(model_of(kernel), recipe)
    return [str(w.message) for w in caught if issubclass(w.category, UserWarning)]


def test_a_kernel_that_is_rounded_mostly_to_zero_is_named_with_a_way_out():
    (message,) = warned([Quantize("int2")])
    for part in ("'int2'", "88% of 'kernel' of layer 'small' to zero", "more bits", "axis=-1"):
        assert part in message


def test_half_of_the_weights_may_become_zero_and_three_quarters_of_three_values():
    # int3 on MOSTLY_SMALL: 1/6 and below become zero, 2 of 8. 0.15 would be most of it.
    assert warned([Quantize("int3")]) == []
    assert len(warned([Quantize("int3")], np.where(MOSTLY_SMALL == 1, 1, MOSTLY_SMALL / 2))) == 1
    half = np.float32([[1.0], [1.0], [0.9], [0.8], [0.4], [0.3], [0.2], [0.1]])
    assert warned([Quantize("int2")], half) == []
    assert len(warned([Quantize("int3")], half / np.float32([[1]] * 3 + [[9]] * 5))) == 1


def test_ternary_weights_do_not_warn_at_their_usual_zeros():
    # Of normal weights 42 % lie below 0.7 E|w|, of Laplacian ones 50.3 %.
    generator = np.random.default_rng(0)
    for kernel in (generator.normal(size=(4096, 1)), generator.laplace(size=(4096, 1))):
        assert warned([Quantize("ternary")], kernel) == []


def test_pruned_kernels_and_biases_may_be_zero():
    assert warned([Prune(0.8), Quantize("int2")]) == []
    assert warned(Recipe([Rule("small", bias=Quantize("int2"))])) == []
    assert warned([Quantize("int2")], np.zeros((4, 1))) == []


def test_a_kernel_that_no_gradient_reaches_is_named_with_a_way_out():
    # ste_sign lets the gradient through where |w| <= 1: that is 1 of 4.
    outside = np.float32([[1.5], [-1.5], [2.0], [0.5]])
    (message,) = warned([Quantize("int8", gradient="ste_sign")], outside)
    for part in ("no gradient through to 75% of 'kernel' of layer 'small'", "WeightClip"):
        assert part in message
    assert warned([Quantize("int8", gradient="ste_sign")], outside / 2) == []


def test_a_quantized_layer_warns_when_it_is_built_and_not_when_it_is_loaded(tmp_path):
    def build():
        return keras.Sequential(
            [
                keras.Input((9,)),
                QuantDense(1, name="small", kernel_quantizer="int2", kernel_initializer=first),
            ]
        )

    with pytest.warns(UserWarning, match="88% of 'kernel' of layer 'small'"):
        model = build()
    model.save(tmp_path / "model.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        copy = keras.models.load_model(tmp_path / "model.keras")
        keras.models.clone_model(model)
    np.testing.assert_array_equal(copy.get_weights()[0], MOSTLY_SMALL)


@keras.saving.register_keras_serializable("tests")
def first(shape, dtype=None):
    return keras.ops.convert_to_tensor(MOSTLY_SMALL, dtype)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.small = QuantDense(1, kernel_quantizer="int2", kernel_initializer=first)

    def call(self, inputs):
        return self.small(inputs)


@pytest.mark.parametrize("way", ["fit", "call"])
def test_a_layer_that_is_built_while_keras_traces_is_looked_at_when_it_has_values(way):
    model, data = Subclassed(), np.ones((2, 9), np.float32)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="rounds 88% of 'kernel'"):
        model.fit(data, data[:, :1], verbose=0) if way == "fit" else model(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model(data)  # once is enough


@pytest.mark.parametrize("kernel", ["points4", edgeax.Incremental([0], [1.0])])
def test_weights_that_get_no_gradient_by_design_are_not_called_dead(kernel):
    normal = np.random.default_rng(0).normal(size=(9, 1)).astype(np.float32)
    assert warned([kernel], normal) == []
