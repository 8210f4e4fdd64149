"""A second tensor for the worst kernels."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats import DualInteger, Integer, ResidualTernary
from edgeax.post_training.case import Case, kernel_quantizer
from edgeax.post_training.dual_tensor import DualTensor, doubled
from edgeax.post_training.ranges import calibrated
from tests.model import small_models
from tests.post_training import cases


def formats_after(case, correction):
    assert correction.revise(case)
    cases.built(case)
    return {path: kernel_quantizer(case.layers[path]).number_format for path in case.layers}


def test_ckyk19_the_worst_kernel_gets_two_tensors():
    case = cases.case_of(weights="int3")
    kernel = case.plain.get_layer("conv").kernel
    lost = np.full(kernel.shape, 0.16, np.float32)  # less than half a step of a third
    lost[0, 0, 0] = 1.0
    kernel.assign(lost)
    cases.built(case)
    before = cases.output_error(case)
    formats = formats_after(case, DualTensor(0.3))
    assert formats["conv"] == DualInteger(3, -1)
    assert formats["depthwise"] == formats["head"] == Integer(3, axis=-1)
    assert cases.output_error(case) < before


def test_kbm17_a_ternary_kernel_gets_residuals():
    case = cases.case_of(weights="ternary")
    before = cases.output_error(case)
    formats = formats_after(case, DualTensor(1.0))
    assert set(formats.values()) == {ResidualTernary()}
    assert cases.output_error(case) < 0.5 * before


def test_wide_kernels_need_none_and_are_said():
    case = cases.case_of(weights="int8")
    assert not DualTensor().revise(case)
    assert any("dual tensor of conv: there is none for int8" in line for line in case.skipped)
    assert doubled(Integer(4, axis=-1)) == DualInteger(4, -1)


@pytest.mark.parametrize("fraction", [0.0, 1.5])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match=r"`fraction` must lie in \(0, 1\]"):
        DualTensor(fraction)


def test_what_comes_before_the_rounding_and_single_weights_are_kept():
    given = keras.Input((6, 6, 2))
    x = keras.layers.SeparableConv2D(3, 3, name="separable")(given)
    model = keras.Model(given, keras.layers.Conv2D(2, 1, name="conv")(x))
    rules = [
        edgeax.Rule("conv", kernel=[edgeax.Prune(edgeax.ConstantSparsity(0.5, 0)), "int3"]),
        edgeax.Rule("separable", weights={"pointwise_kernel": "int2"}),
    ]
    case = Case(
        model, calibrated(edgeax.Recipe(rules)), [small_models.images(8)], lambda arrays: arrays[0]
    )
    cases.built(case)
    assert DualTensor(1.0).revise(case)
    cases.built(case)
    pruned = case.layers["conv"].freeze_weights()[0][2]
    assert pruned.format == DualInteger(3, -1) and pruned.sparsity >= 0.5
    formats = [encoded.format for _, _, encoded in case.layers["separable"].freeze_weights()]
    assert formats == [DualInteger(2, -1)]


def test_a_subclassed_model_is_left_and_said():
    model, samples = cases.subclassed()
    case = Case(model, calibrated(cases.recipe("int3")), [samples], lambda arrays: arrays[0])
    cases.built(case)
    assert not DualTensor().revise(case)
    assert case.skipped == ["dual tensor: the model has no graph in which paths stay the same"]
