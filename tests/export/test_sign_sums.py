import numpy as np
import pytest

from edgeax.export.rounding import Formatted
from edgeax.export.sign_sums import SignSums, WholeSignSum, as_sign_sums
from edgeax.formats import arrays
from edgeax.formats.binary import Binary, ResidualBinary, ShiftedBinary
from edgeax.formats.learned_basis import LearnedBasis
from edgeax.formats.ternary import Ternary

FORMATS = [
    (Ternary("tbn"), {"threshold": 0.25}),
    (Ternary("twn"), {"threshold": 0.6, "scale": 1.5}),
    (ShiftedBinary(3), {"gain": [0.25, 0.5, 1.0], "threshold": [0.25, 0.5, 0.75]}),
    (ShiftedBinary(2), {"gain": [0.5, -0.25], "threshold": [0.5, 0.5]}),
    (ResidualBinary(2), {"gain": [0.75, 0.25]}),
    (ResidualBinary(3), {"gain": [1.0, 0.5, 0.25]}),
    (ResidualBinary(3), {"gain": [0.25, 0.5, 2.0]}),  # the first are the smallest
]


def rounding(format, params):
    return Formatted(format, {name: np.float32(value) for name, value in params.items()})


@pytest.mark.parametrize("format, params", FORMATS, ids=str)
def test_the_sums_are_the_values_of_the_format(format, params):
    values = np.arange(-64, 65, dtype=np.float32) / 32
    wanted = format.rounded(values, rounding(format, params).params, arrays)
    sums = as_sign_sums(rounding(format, params))
    found = np.array(sums.levels)[np.searchsorted(sums.ends, values, side="right")]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(WholeSignSum(sums)(values), wanted, atol=1e-6)
    assert len(sums.gains) == len(sums.flips)


@pytest.mark.parametrize(
    "format, params",
    [
        (Binary("none"), {}),
        (Ternary("ttq"), {"threshold": 0.5, "positive": 1.0, "negative": 2.0}),
        (Ternary("twn", axis=-1), {"threshold": [0.5, 0.5], "scale": [1.0, 2.0]}),
        (LearnedBasis(2), {"gain": [1.0, 0.5], "low": 0.0}),
        (ResidualBinary(2, axis=-1), {"gain": [[1.0, 1.0], [0.5, 0.5]]}),
    ],
    ids=str,
)
def test_other_formats_are_no_sums_of_signs(format, params):
    assert as_sign_sums(rounding(format, params)) is None
    assert as_sign_sums(None) is None


def test_eight_bits_hold_ternary_numbers_exactly_and_others_nearly():
    ternary = SignSums((0.5, 0.5), ((-1.0,), (1.0,)))
    assert ternary.is_exact and ternary.levels == (-1.0, 0.0, 1.0)
    assert ternary.grid.step == pytest.approx(1 / 127)
    assert not SignSums((0.7, 0.2), ((0.0,), (-0.7, 0.0, 0.7))).is_exact
