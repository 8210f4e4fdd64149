import keras
import pytest

import edgeax
from benchmarks import channel_removal
from benchmarks.channel_removal import NETWORKS, Outcome, add_row
from benchmarks.harness import Benchmark
from tests.benchmarks.test_formats import fake_images


@pytest.mark.parametrize("make", NETWORKS)
def test_half_of_a_network_can_go_in_multiples_of_sixteen(make):
    keras.utils.set_random_seed(0)
    pruned = edgeax.prune_channels(make(), macs=0.5, multiple_of=channel_removal.MULTIPLE)
    assert 0.35 * pruned.macs_before < pruned.macs_after <= 0.5 * pruned.macs_before
    assert pruned.model.output_shape == (None, 10)
    left = {size - len(pruned.removed[name]) for name, size in pruned.sizes.items()}
    assert all(count % 16 == 0 for count in left)


def test_the_targets_are_those_of_the_issue():
    found = channel_removal.MACS, channel_removal.MOST_POINTS_LOST
    assert (*found, channel_removal.MOST_LATENCY_RATIO) == (0.5, 1.0, 0.62)


def test_a_network_is_trained_pruned_exported_and_judged(monkeypatch):
    monkeypatch.setattr(channel_removal, "TIMED_ROUNDS", 5)
    monkeypatch.setattr(channel_removal, "BLOCKS", ((16, 2), (16, 1)))
    found = channel_removal.outcome(channel_removal.mobile_net_v2, fake_images(128), 0, True)
    assert found.macs[1] <= 0.5 * found.macs[0]
    assert found.latency["small_bytes"] < found.latency["dense_bytes"]
    assert found.latency["latency_ratio"] > 0


def test_the_worst_seed_counts_for_size_and_the_mean_for_accuracy():
    latency = {"latency_ratio": 0.6}
    outcomes = [
        Outcome(90.0, 89.5, 88.0, (100, 50), (10, 5), latency),
        Outcome(91.0, 89.7, 88.0, (100, 51), (10, 5), {}),
    ]
    benchmark = Benchmark("channel_removal")
    add_row(benchmark, "net", "data", outcomes)
    (row,) = benchmark.report()["rows"]
    assert row["dense_percent"] == 90.5 and row["spread"] == pytest.approx(0.2)
    wanted = benchmark.report()["wanted"]
    assert [entry["value"] for entry in wanted] == pytest.approx([0.51, 0.9, 0.6])
    assert [entry["holds"] for entry in wanted] == [False, True, True]
