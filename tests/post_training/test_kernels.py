"""Kernels on integer grids."""

import numpy as np
import pytest

from edgeax.post_training.kernels import (
    descended,
    error,
    grid_kernel,
    nearest,
    objective,
    set_kernel,
    shift_outputs,
)
from edgeax.post_training.linear import columns
from tests.post_training import cases


@pytest.mark.parametrize("path", ["conv", "depthwise", "head"])
def test_the_rounded_kernel_is_the_nearest_on_its_grid(path):
    kernel = grid_kernel(cases.case_of(), path, "test")
    assert kernel.top == 3 and kernel.per_channel
    expected = nearest(kernel.original, kernel.step, kernel.top)
    np.testing.assert_allclose(kernel.rounded, expected, rtol=1e-6, atol=1e-7)


def test_a_kernel_and_its_steps_are_what_was_set():
    case = cases.case_of()
    kernel = grid_kernel(case, "conv", "test")
    codes = np.random.default_rng(0).integers(-2, 3, kernel.original.shape)  # none reaches the top
    set_kernel(case, "conv", 0.5 * kernel.step * codes, 0.5 * kernel.step)
    np.testing.assert_allclose(case.rounded("conv"), 0.5 * kernel.step * codes, rtol=1e-6)


@pytest.mark.parametrize("weights", ["ternary", "fp8_e4m3", "ste_sign"])
def test_other_formats_are_skipped_and_said(weights):
    case = cases.case_of(weights=weights)
    assert grid_kernel(case, "conv", "test") is None
    assert any("test of conv: its kernel gets" in line for line in case.skipped)


def test_the_objective_is_the_error_of_the_outputs():
    model, samples = cases.dense_pair()
    case = cases.case_of(model, samples)
    original = case.original("second")
    gram, target = objective(case.moments("second"), original)
    student = columns(case.layers["second"].layer, case.model.layers[0](samples)).numpy()
    teacher = columns(case.layers["second"].layer, model.layers[0](samples)).numpy()

    def squared(matrix):
        return float(np.mean(np.sum((student @ matrix - teacher @ original) ** 2, -1)))

    rng = np.random.default_rng(0)
    one, other = (original + 0.1 * rng.normal(size=original.shape) for _ in range(2))
    # equal up to a constant, and a ridge of one hundredth
    found = error(one, target, gram) - error(other, target, gram)
    assert found == pytest.approx(squared(one) - squared(other), rel=0.05, abs=0.02)


def test_outputs_are_shifted_by_the_bias_or_the_normalization():
    case = cases.case_of(*cases.normalized())
    batch = case.samples[0]

    def outputs():
        return case.model.layers[1](case.model.layers[0](batch)).numpy()

    before = outputs()
    assert shift_outputs(case, "first", np.full((1, 6), 0.25))
    norm = case.model.layers[1]
    scale = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    shift = np.broadcast_to(0.25 * scale, before.shape)
    np.testing.assert_allclose(outputs() - before, shift, atol=1e-5)
    assert not shift_outputs(case, "second", np.full((1, 4), 0.25))
    biased = cases.case_of()
    assert shift_outputs(biased, "head", np.full((1, 3), 0.25))
    np.testing.assert_array_equal(biased.layers["head"].layer.bias, [0.25] * 3)


def test_coordinate_descent_ends_where_no_single_code_helps():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 60, 6)) @ rng.normal(size=(2, 6, 6))
    gram = inputs.swapaxes(1, 2) @ inputs / 60
    target, step = rng.normal(size=(2, 6, 3)), np.full((2, 1, 3), 0.25)
    start = nearest(target, step, 3)
    found = descended(gram, target, step, 3, start)
    least = error(found, target, gram)
    assert least < error(start, target, gram)
    assert np.abs(found / step).max() <= 3
    for place in np.ndindex(found.shape):
        for change in (-0.25, 0.25):
            other = found.copy()
            other[place] = np.clip(other[place] + change, -0.75, 0.75)
            assert error(other, target, gram) >= least - 1e-9
