import json
import sys

import keras
import numpy as np
import pytest

from benchmarks import formats, robustness
from benchmarks.harness import Benchmark
from edgeax.search.robustness import RobustnessCurve, RobustnessPoint


def fake_images(count=256):
    """Images whose brightest row tells the class."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 10, count).astype(np.int32)
    x = generator.uniform(0, 0.2, (count, 28, 28, 1)).astype(np.float32)
    x[np.arange(count), 2 * y + 3] = 1.0
    return formats.Images("fake", x, y, x[:64], y[:64], x[:64], y[:64])


def curve(float_value, lost_at_4, lost_at_3):
    lost = {4: lost_at_4, 3: lost_at_3}
    return RobustnessCurve(
        "accuracy",
        float_value,
        tuple(
            RobustnessPoint(bits, 1.0, float_value - lost.get(bits, 0.0), lost.get(bits, 0.0))
            for bits in robustness.BITS
        ),
        tuple(
            RobustnessPoint(4, error, float_value, 0.01 * place)
            for place, error in enumerate(robustness.STEP_ERRORS)
        ),
    )


def curves():
    return {
        "plain": [curve(0.90, 0.10, 0.40), curve(0.92, 0.20, 0.60)],  # means 91, 15 and 50 points
        robustness.JUDGED: [curve(0.90, 0.05, 0.30), curve(0.912, 0.09, 0.30)],  # 90.6, 7 and 30
    }


def test_targets_are_those_of_the_issue_and_judged_by_the_means():
    benchmark = Benchmark("robustness")
    robustness.add_rows(benchmark, "fake", curves())
    robustness.add_wanted(benchmark, curves())
    plain, kure = benchmark.report()["rows"]
    assert plain["float_percent"] == pytest.approx(91.0) and plain["spread"] == pytest.approx(2.0)
    assert plain["points_lost_4_bits"] == pytest.approx(15.0)
    assert kure["points_lost_3_bits"] == pytest.approx(30.0)
    assert kure["points_lost_4_bits_step_x0.75"] == pytest.approx(1.0)
    found = [
        (e["name"], e["value"], e["wanted"], e["holds"], e["row"])
        for e in benchmark.report()["wanted"]
    ]
    assert found == [
        ("drop at 4 bits over plain", pytest.approx(7 / 15), "<= 0.5", True, 1),
        ("drop at 3 bits over plain", pytest.approx(30 / 50), "<= 0.5", False, 1),
        ("float points lost", pytest.approx(0.4), "<= 0.5", True, 1),
    ]


def small_network():
    layers = keras.layers
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10)])


def test_every_way_goes_on_from_the_same_network(monkeypatch):
    """One epoch of two steps would teach nothing: 10 % is chance."""
    monkeypatch.setattr(robustness, "network", small_network)
    monkeypatch.setattr(robustness, "TUNE_EPOCHS", 1)
    monkeypatch.setattr(robustness, "BITS", (8, 4, 3))
    monkeypatch.setattr(robustness, "STEP_ERRORS", ())
    ways = {name: robustness.WAYS[name] for name in ("plain", "KURE and gradient-l1")}
    monkeypatch.setattr(robustness, "WAYS", ways)
    found = robustness.curves_of(fake_images(), (0,), 40)
    assert [*found] == [*ways]
    for (made,) in found.values():
        assert made.float_value > 0.5
        assert [point.bits for point in made.by_bits] == [8, 4, 3]


def test_a_picture_is_drawn_beside_the_json(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")

    def measure(benchmark, quick):
        robustness.add_rows(benchmark, "fake", curves())
        return {way: of_seeds[0] for way, of_seeds in curves().items()}

    monkeypatch.setattr(robustness, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["robustness", "--json", str(tmp_path / "report.json")])
    assert robustness.main() == 0
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((tmp_path / "report.json").read_text())["rows"]) == 2
