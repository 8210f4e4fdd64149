import dataclasses

import numpy as np
import pytest

import edgeax
from benchmarks import lenet_pruning
from benchmarks.harness import Benchmark
from benchmarks.lenet_pruning import NETWORKS, Target, compression
from edgeax.model.copying import compressed_layers
from tests.benchmarks.test_formats import fake_images


@pytest.mark.parametrize(
    "name, parameters, kernels",
    [
        ("LeNet-300-100", 266_610, [(784, 300), (300, 100), (100, 10)]),
        ("LeNet-5", 431_080, [(5, 5, 1, 20), (5, 5, 20, 50), (800, 500), (500, 10)]),
    ],
)
def test_networks_are_those_of_caffe(name, parameters, kernels):
    model = NETWORKS[name].make()
    assert model.count_params() == parameters
    assert [layer.kernel.shape for layer in model.layers if hasattr(layer, "kernel")] == kernels


def test_the_targets_are_those_of_the_issue():
    targets = {
        (name, plan.method): plan.target
        for name, network in NETWORKS.items()
        for plan in network.plans
        if plan.target is not None
    }
    assert targets == {
        ("LeNet-300-100", "magnitude"): Target(12.0, None),
        ("LeNet-300-100", "surgery"): Target(50.0, 2.0, with_biases=True),
        ("LeNet-300-100", "progressive ADMM"): Target(50.0, 2.0, with_biases=True),
        ("LeNet-5", "magnitude"): Target(12.0, None),
        ("LeNet-5", "surgery"): Target(100.0, 0.95, with_biases=True),
        ("LeNet-5", "ADMM"): Target(71.0, 0.85),
        ("LeNet-5", "progressive ADMM"): Target(160.0, 1.0),
    }
    assert lenet_pruning.MOST_MINUTES == 90


def test_every_method_goes_through(monkeypatch):
    name = "LeNet-300-100"
    plans = [dataclasses.replace(plan, phases=plan.phases[:1]) for plan in NETWORKS[name].plans]
    shorter = dataclasses.replace(NETWORKS[name], plans=plans)
    monkeypatch.setitem(NETWORKS, name, shorter)
    monkeypatch.setattr(lenet_pruning, "images", lambda name, quick: fake_images(256))
    benchmark = Benchmark("lenet_pruning")
    lenet_pruning.add_rows(benchmark, name, "fake", [lenet_pruning.measured(name, 0, quick=True)])
    rows = benchmark.report()["rows"]
    methods = ["dense", "magnitude", "surgery", "ADMM", "progressive ADMM"]
    methods += ["lottery ticket", "ticket, other first weights"]
    assert [row["method"] for row in rows] == methods
    assert rows[0]["times_weights"] == pytest.approx(1.0, abs=0.01)
    ticket, other = rows[5:7]
    assert ticket["times_weights"] == other["times_weights"] > 1.2
    names = [entry["name"] for entry in benchmark.report()["wanted"]]
    assert len(names) == len(set(names)) == 2 * 3 + 1


@pytest.mark.parametrize("name", NETWORKS)
def test_every_plan_ends_within_its_phases(name):
    model = NETWORKS[name].make()
    for plan in NETWORKS[name].plans:
        steps = 3
        epochs = sum(phase.epochs for phase in plan.phases)
        pruned = edgeax.compress(model, plan.recipe(steps))
        chains = [chain for layer in compressed_layers(pruned) for chain in layer.chains]
        settled = [t.settled_step for chain in chains for t in chain.transforms]
        assert len(pruned.layers) and 0 < max(settled) <= (epochs - 6) * steps


def test_both_countings_are_those_worked_out_by_hand():
    model = NETWORKS["LeNet-300-100"].make()
    pruned = edgeax.compress(model, [edgeax.Prune(0.75)])
    for layer in pruned.layers:
        if hasattr(layer, "kernel"):
            layer.layer.bias.assign(np.ones(layer.layer.bias.shape))
    found = compression(pruned)
    assert found["weights_left"] == 266_200 // 4 and found["biases_left"] == 410
    assert found["times_weights"] == 4.0
    assert found["times_with_biases"] == pytest.approx(266_610 / (66_550 + 410))


@pytest.mark.parametrize("times, error, holds", [(60, 1.9, (1, 1)), (40, 2.1, (0, 0))])
def test_a_target_has_two_sides(times, error, holds):
    benchmark = Benchmark("lenet_pruning")
    row = {"times_weights": 99.0, "times_with_biases": times, "error_percent": error}
    lenet_pruning.add_wanted(benchmark, "x", Target(50.0, 2.0, True), row, 1.0, 0)
    assert tuple(entry["holds"] for entry in benchmark.report()["wanted"]) == holds
