"""Calibrations and corrections by name."""

import pytest

from edgeax.post_training.admm import ADMM
from edgeax.post_training.calibration import Calibration, MinMax, Percentile
from edgeax.post_training.case import Correction
from edgeax.post_training.named import (
    CALIBRATIONS,
    CORRECTIONS,
    calibrations_of,
    corrections_of,
)
from edgeax.post_training.search import MeanSquaredError


def test_every_name_makes_one():
    assert all(isinstance(make(), Calibration) for make in CALIBRATIONS.values())
    assert all(isinstance(make(), Correction) for make in CORRECTIONS.values())


def test_one_calibration_serves_both_and_a_mapping_each():
    weights, activations = calibrations_of("mse")
    assert isinstance(weights, MeanSquaredError) and activations is weights
    percentile = Percentile(99.0)
    weights, activations = calibrations_of({"activations": percentile})
    assert isinstance(weights, MinMax) and activations is percentile


def test_words_and_objects_keep_their_order():
    found = corrections_of(["bias_correction", ADMM(3)])
    assert [type(one).__name__ for one in found] == ["BiasCorrection", "ADMM"]
    assert corrections_of("admm")[0].rounds == 100 and corrections_of(()) == []


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: calibrations_of("minmax"), "`calibration` must be one of.*'minmax'.*'min_max'"),
        (lambda: calibrations_of({"bias": "mse"}), "must map 'weights' and 'activations'.*'bias'"),
        (lambda: calibrations_of(None), "`calibration` must be one of.*None"),
        (lambda: corrections_of(["bias"]), "`corrections` must be one of.*'bias_correction'"),
        (lambda: corrections_of([3]), "`corrections` must be one of.*Received: 3"),
        (lambda: corrections_of(None), "`corrections` must be a list.*None"),
    ],
)
def test_what_has_no_such_name_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
