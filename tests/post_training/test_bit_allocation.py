"""Bits by channel."""

import numpy as np

from edgeax import Quantize
from edgeax.formats import MixedInteger
from edgeax.post_training.bit_allocation import BitAllocation
from edgeax.post_training.case import Case, kernel_quantizer
from edgeax.post_training.ranges import calibrated
from tests.model import small_models
from tests.post_training import cases


def prepared(weights):
    model, samples = small_models.convolutional(), small_models.images(8)
    case = Case(model, calibrated(cases.recipe(weights)), [samples], lambda arrays: arrays[0])
    BitAllocation().prepare(case)
    return case


def test_kernels_with_a_scale_per_channel_get_widths_per_channel():
    case = cases.built(prepared("int4"))
    for path in ("conv", "depthwise", "head"):
        quantizer = kernel_quantizer(case.layers[path])
        assert quantizer.number_format == MixedInteger(4)
        assert len(quantizer.limit.shape) == 1 and np.all(quantizer.limit.numpy() > 0)


def test_where_there_is_no_such_kernel_it_is_said():
    case = prepared(Quantize("int4", axis=None))
    (line,) = case.skipped
    assert "bit allocation: no kernel gets integers with a scale per output channel" in line
