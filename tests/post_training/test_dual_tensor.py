"""A second tensor for the worst kernels."""

import numpy as np
import pytest

from edgeax.formats import DualInteger, Integer, ResidualTernary
from edgeax.post_training.case import kernel_quantizer
from edgeax.post_training.dual_tensor import DualTensor, doubled
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
