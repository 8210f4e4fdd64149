import numpy as np
import pytest

from benchmarks.least_squares import prices


def test_prices_that_explain_everything_are_found():
    rows = [{"calls": 1, "macs": macs, "rows": macs // 7} for macs in (10, 50, 200, 333)]
    totals = [100 + 3 * row["macs"] + 20 * row["rows"] for row in rows]
    assert prices(rows, totals) == pytest.approx({"calls": 100, "macs": 3, "rows": 20})


def test_no_price_is_below_zero():
    """The best line through 10, 9, 8 at 1, 2, 3 falls; without falling, only the call is left."""
    rows = [{"calls": 1, "macs": macs} for macs in (1, 2, 3)]
    (name,) = prices(rows, [10, 9, 8])
    assert name == "calls"


def test_errors_count_by_their_share():
    """1 / 10 and 1 / 1000 of two totals: the price lies where relative errors are least."""
    (found,) = prices([{"macs": 10}, {"macs": 1000}], [10, 3000]).values()
    assert found == pytest.approx((1 + 1 / 3) / (1 + 1 / 9))


def test_what_never_happens_has_no_price():
    assert prices([{"calls": 1, "taps": 0}], [5]) == pytest.approx({"calls": 5})


def test_many_amounts_that_depend_on_each_other_end():
    rng = np.random.default_rng(0)
    rows = [
        {"a": a, "b": 2 * a, "c": c, "d": a + c, "calls": 1}
        for a, c in rng.integers(1, 99, (30, 2))
    ]
    totals = [7 * row["a"] + 2 * row["c"] + 50 for row in rows]
    found = prices(rows, totals)
    for row, total in zip(rows, totals, strict=True):
        assert sum(found.get(name, 0) * row[name] for name in row) == pytest.approx(total)


def test_totals_of_nothing_are_refused():
    with pytest.raises(ValueError, match="`totals` must be above 0. Received: 0"):
        prices([{"calls": 1}, {"calls": 2}], [4, 0])
