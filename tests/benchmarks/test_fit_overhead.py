from pathlib import Path

import pytest

from benchmarks import fit_overhead
from benchmarks.fit_overhead import EDGEAX, FLOAT, TF_KERAS, TFMOT
from benchmarks.harness import Benchmark
from benchmarks.pairing import PairedTimes, run_paired


@pytest.fixture
def no_peer(monkeypatch):
    """Stands in for the environment of TFMOT, which takes minutes to install."""
    monkeypatch.setattr(fit_overhead, "peer_python", lambda name: Path("/peers") / name)


def test_the_ratios_of_the_issue_are_judged_by_its_limits(no_peer, monkeypatch):
    step_ms = {FLOAT: [10, 20], EDGEAX: [11, 22], TF_KERAS: [10, 20], TFMOT: [9, 18]}
    monkeypatch.setattr(fit_overhead, "run_paired", lambda children, rounds: PairedTimes(step_ms))
    benchmark = Benchmark("fit_overhead")
    fit_overhead.measure(benchmark, quick=True)
    report = benchmark.report()
    to_float, to_tfmot = report["wanted"]
    assert (to_float["name"], to_float["wanted"], to_float["holds"]) == (
        "ratio_to_float",
        "<= 1.15",
        True,
    )
    assert to_float["value"] == pytest.approx(1.1)
    assert (to_tfmot["name"], to_tfmot["wanted"], to_tfmot["holds"]) == (
        "ratio_to_tfmot",
        "<= 1.1",
        False,
    )
    assert to_tfmot["value"] == pytest.approx(11 / 9)
    assert report["rows"][to_tfmot["row"]]["side"] == EDGEAX


def test_tfmot_runs_in_its_own_python_with_the_old_keras(no_peer):
    children = fit_overhead._children(steps=2)
    for side in (TF_KERAS, TFMOT):
        assert children[side].command[0] == "/peers/tfmot"
        assert children[side].environment["TF_USE_LEGACY_KERAS"] == "1"
    assert "TF_USE_LEGACY_KERAS" not in children[EDGEAX].environment


def test_both_keras_3_sides_train_on_the_bundled_data(no_peer):
    children = fit_overhead._children(steps=1)
    times = run_paired({side: children[side] for side in (FLOAT, EDGEAX)}, rounds=1)
    assert times.median_ms(FLOAT) > 0
    assert times.median_ms(EDGEAX) > 0
