"""Ranges in closed form."""

import numpy as np
import pytest

from edgeax.formats import Integer
from edgeax.post_training.analytic import Analytic, optimal_limit
from edgeax.post_training.calibration import squared_error
from edgeax.post_training.seen import Seen

LAPLACE = [1.863, 2.831, 3.897, 5.029, 6.205, 7.413, 8.646, 9.897]
GAUSS = [1.240, 1.711, 2.152, 2.559, 2.936, 3.287, 3.615, 3.924]
# Behind a ReLU the same as with one bit more.
HALF_LAPLACE = [2.831, 3.897, 5.029, 6.205, 7.413, 8.646, 9.897, 11.163]


def seen(values):
    return Seen.of_weight(np.asarray(values, np.float32).reshape(-1, 1), per_channel=True)


def test_bns19_optimal_limits_are_the_table():
    for bits, laplace, gauss, half in zip(range(1, 9), LAPLACE, GAUSS, HALF_LAPLACE, strict=True):
        assert optimal_limit(bits, "laplace") == pytest.approx(laplace, abs=6e-4)
        assert optimal_limit(bits, "gauss") == pytest.approx(gauss, abs=6e-4)
        assert optimal_limit(bits + 1, "laplace") == pytest.approx(half, abs=6e-4)


def test_bns19_the_limit_is_counted_in_mean_deviations():
    # E|x - mean| = 1 of -1, 1, -1, 1; at 4 bits 5.029 b would be beyond what was seen
    values = np.float32([-1, 1] * 50 + [-40, 40])
    mean_deviation = (100 + 80) / 102
    low, high = Analytic("laplace").ends(seen(values), Integer(4))
    assert high[0] == pytest.approx(5.029 * mean_deviation, rel=1e-3) and low[0] == -high[0]


def test_bns19_a_rectified_range_has_one_bit_more_and_counts_positive_values():
    values = np.float32([0] * 300 + [1, 3] * 50 + [90])
    _, high = Analytic("laplace").ends(seen(values), Integer(4, symmetric=False))
    assert high[0] == pytest.approx(6.205 * (200 + 90) / 101, rel=1e-3)


@pytest.mark.parametrize("distribution", ["laplace", "gauss"])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_limit_errs_hardly_more_than_the_best(distribution, bits):
    rng = np.random.default_rng(0)
    values = rng.laplace(size=20000) if distribution == "laplace" else rng.normal(size=20000)
    tensor, format = seen(values), Integer(bits, symmetric=False)

    def error(low, high):
        return squared_error(tensor, low, high, format, tensor.counts)[0]

    best = min(error(np.float64([-c]), np.float64([c])) for c in np.linspace(0.5, 12, 200))
    assert error(*Analytic(distribution).ends(tensor, format)) < 1.15 * best


def test_auto_tells_the_two_distributions_apart():
    rng = np.random.default_rng(1)
    for draw, name in ((rng.laplace, "laplace"), (rng.normal, "gauss")):
        tensor = seen(draw(size=5000))
        assert Analytic().ends(tensor, Integer(4)) == Analytic(name).ends(tensor, Integer(4))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Analytic("cauchy"), "`distribution` must be.*'cauchy'"),
        (lambda: optimal_limit(0, "gauss"), "`bits` must be in 1..17.*bits=0"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
