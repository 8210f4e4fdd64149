import pytest

import edgeax
from benchmarks import e2train
from benchmarks.e2train import SETTINGS, STANDARD, TOGETHER, Clock, Outcome, Part, Setting
from benchmarks.harness import Benchmark
from benchmarks.low_precision_training import halved
from edgeax.callbacks import MinibatchDropping
from edgeax.layers import SelectiveBlock
from tests.benchmarks import quick_runs
from tests.benchmarks.test_formats import fake_images

BY_NAME = {setting.name: setting for setting in SETTINGS}
SMALL = (2, (4, 6))


@pytest.fixture
def small():
    data = fake_images(128)
    with quick_runs.eagerly():
        yield Part(halved(data.x), data.y, halved(data.x_test), data.y_test)


def test_the_settings_are_those_of_the_issue():
    kept = {name: BY_NAME[name].e2["keep"] for name in ("SLU 20 %", "SLU 40 %", "SLU 60 %")}
    assert kept == {"SLU 20 %": 0.8, "SLU 40 %": 0.6, "SLU 60 %": 0.4}
    assert BY_NAME[TOGETHER].e2 == {"drop": 0.5, "keep": 0.6, "predict": True}
    assert not any(one.timed for one in SETTINGS if one.e2.get("predict"))
    assert e2train.LEAST_CLOCK_SAVED == {"SMD": 45.0, "SMD + SLU 40 %": 60.0}
    limits = (e2train.MOST_POINTS_LOST, e2train.LEAST_ENERGY_SAVED, e2train.LEAST_PROPORTION)
    assert limits == (1.5, 90.0, 0.8)


def test_the_network_has_at_least_14_layers_and_blocks_to_skip():
    model = e2train.network()
    depth = [layer for layer in model.layers if type(layer).__name__ in ("Conv2D", "Dense")]
    assert len(depth) - 1 == 22  # without the projection
    blocks = edgeax.lifelong.with_selective_blocks(model, 0.5).layers
    assert sum(isinstance(layer, SelectiveBlock) for layer in blocks) == 10 - 2


def test_signs_of_all_bits_cost_what_training_in_8_bits_costs():
    """Not a bit is paid for twice: every sign is 'predicted' by the whole product."""
    plain = e2train.network(*SMALL)
    model = BY_NAME["signs of 8 bits"].training(0).prepare(plain)
    one_bit = edgeax.cost.training_cost(model, 32, predicted_fraction=1.0).phases
    formats = edgeax.cost.TrainingFormats(8, 8, 16)
    whole = edgeax.cost.training_cost(plain, 32, formats).phases
    assert one_bit["weight_gradient"].macs == whole["weight_gradient"].macs
    assert one_bit["weight_gradient"].energy_pj == pytest.approx(
        whole["weight_gradient"].energy_pj, rel=0.01
    )


def test_a_training_says_what_it_left_out(small):
    standard = e2train.trained(BY_NAME[STANDARD], small, 0, 1, sizes=SMALL)
    steps = len(small.x) // e2train.BATCH
    plain = edgeax.cost.training_cost(e2train.network(*SMALL), e2train.BATCH).total
    assert standard.energy == pytest.approx(steps * plain.energy_pj)
    assert standard.predicted is None and 0.0 <= standard.percent <= 100.0
    together = e2train.trained(BY_NAME[TOGETHER], small, 0, 4, sizes=SMALL)
    assert together.energy < 4 * standard.energy and 0.0 < together.predicted <= 1.0


def test_turns_are_timed_and_their_compute_counted(small):
    networks = []
    for setting in (Setting(STANDARD), Setting("half", {"keep": 0.5})):
        model, _ = e2train.compiled(setting, 0, 2, sizes=SMALL)
        networks.append((setting, model.get_weights()))
    whole = fake_images(32)
    times = e2train.clocks(networks, whole.x, whole.y, 2, 16, SMALL)
    plain = edgeax.cost.training_cost(e2train.network(*SMALL, side=28), 16).total.macs
    assert [clock.macs for clock in times[STANDARD]] == [plain] * 2
    assert all(0.0 < clock.macs <= 1.01 * plain for clock in times["half"])
    assert all(clock.seconds > 0.0 for turns in times.values() for clock in turns)


def test_a_nominal_step_has_dropped_and_other_steps_in_their_shares(small):
    watch = e2train.Stopwatch()
    x, y = small.x[:96], small.y[:96]
    model, _ = e2train.compiled(Setting(STANDARD), 0, 6, sizes=SMALL)
    dropping = MinibatchDropping(0.25, seed=3)
    history = model.fit(x, y, batch_size=16, verbose=0, callbacks=[dropping, watch]).history
    assert [len(watch.seconds), 6] == [*history["steps_run"], *history["steps_seen"]]
    assert len(watch.dropped) == 6 - len(watch.seconds) > 0
    watch.seconds, watch.dropped = [4.0, 8.0], [2.0]
    setting = Setting("a quarter dropped", {"drop": 0.25})
    assert e2train.clock_of(setting, model, watch, 16).seconds == 0.75 * 6.0 + 0.25 * 2.0


def outcome(percent, energy):
    return Outcome(percent, energy, energy, None, None, [])


def test_targets_are_set_against_the_standard():
    outcomes = {name: [outcome(86.0, 80.0), outcome(88.0, 84.0)] for name in BY_NAME}
    outcomes[STANDARD] = [outcome(88.0, 100.0), outcome(90.0, 100.0)]
    outcomes[TOGETHER] = [outcome(88.0, 8.0), outcome(88.0, 10.0)]
    # Of three turns the last one was disturbed.
    times = {
        one.name: [Clock(60.0, 50.0)] * 2 + [Clock(400.0, 50.0)] for one in SETTINGS if one.timed
    }
    times[STANDARD] = [Clock(100.0, 100.0)] * 3
    benchmark = Benchmark("e2train")
    for setting in SETTINGS:
        e2train.add_row(benchmark, setting, "fake", outcomes, times)
    e2train.add_targets(benchmark, outcomes, times)
    rows = {row["setting"]: row for row in benchmark.report()["rows"]}
    assert rows["SMD"]["points_lost"] == 2.0
    assert rows["SMD"]["energy_saved_percent"] == pytest.approx(18.0)
    assert rows["SMD"]["clock_saved_percent"] == pytest.approx(40.0)
    assert rows["PSG"]["clock_saved_percent"] is None
    assert rows["PSG"]["saving"] == "modelled only"
    wanted = {entry["name"]: entry for entry in benchmark.report()["wanted"]}
    values = {name: (round(entry["value"], 6), entry["holds"]) for name, entry in wanted.items()}
    assert values == {
        "all together: modelled energy saved": (91.0, True),
        "all together: points lost": (1.0, True),
        "SMD: clock saved": (40.0, False),
        "SMD + SLU 40 %: clock saved": (40.0, False),
        "SMD at equal compute: points behind": (0.0, True),
        "SLU 20 %: clock saved, of compute saved": (0.8, True),
        "SLU 40 %: clock saved, of compute saved": (0.8, True),
        "SLU 60 %: clock saved, of compute saved": (0.8, True),
    }


def test_a_quick_run_has_a_row_for_each_setting_and_all_targets(tmp_path, monkeypatch):
    report = quick_runs.report_of(e2train, tmp_path / "out.json", monkeypatch)
    assert [row["setting"] for row in report["rows"]] == [setting.name for setting in SETTINGS]
    assert {row["seeds"] for row in report["rows"]} == {1} and len(report["wanted"]) == 8
