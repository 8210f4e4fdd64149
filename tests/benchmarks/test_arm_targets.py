import pytest

from benchmarks import arm_targets
from benchmarks.children import count_invokes
from benchmarks.harness import Benchmark
from edgeax.formats.layer_shape import conv, depthwise
from edgeax.formats.speeds import read_speeds
from edgeax.runtime.tune import forms_of

SHAPE = conv(3, 8, 6, 3)


class Counted:
    """Counts 1000, 1001, ... instructions for files without operators of edgeax, else 500, ..."""

    def __init__(self):
        self.parcels = []

    def count(self, cpu, files):
        self.parcels.append((cpu, len(files)))
        return [self.instructions(file) for file in files]

    def instructions(self, file):
        return int(file.stem) + (500 if b"Edgeax" in file.read_bytes() else 1000)


def test_a_speed_is_the_ratio_of_the_instructions(tmp_path):
    tools = Counted()
    speeds = arm_targets.speeds_of(tools, "cortex-a72", SHAPE, tmp_path)
    counted = [form for form, _ in forms_of(SHAPE) if arm_targets.is_counted(form)]
    assert [entry.form for entry in speeds] == counted
    # After the plain built-in one, that with sums of signs before it and that with points.
    theirs = {"": 1000, "2 signs": 1001, "points": 1002}
    wanted = [theirs[form.placed] / number for number, form in enumerate(counted, 503)]
    assert [entry.speed for entry in speeds] == pytest.approx(wanted, abs=1e-4)
    assert tools.parcels == [("cortex-a72", 2 * count_invokes.EMPTY)]  # two full processes


def test_a_way_of_each_kind_is_counted():
    counted = {form.name for form, _ in forms_of(conv(3, 64, 6, 3)) if arm_targets.is_counted(form)}
    assert counted >= {
        "4 bits",
        "25% in blocks of 4",
        "4 bits for sub-vectors of 8",
        "4 bits in groups of 32",
        "1 x 2 signs",
        "2 x 2 signs",
        "4 bits, looked up",
    }


def test_a_table_is_written_for_each_processor(tmp_path, monkeypatch):
    monkeypatch.setattr(arm_targets, "FOLDER", tmp_path / "targets")
    monkeypatch.setattr(arm_targets, "SHAPES", (SHAPE, depthwise(3, 8, 3)))
    monkeypatch.setattr(arm_targets, "prepare_arm", lambda user: "plugin")
    monkeypatch.setattr(arm_targets.Tools, "build", lambda plugin, folder: Counted())
    benchmark = Benchmark("arm_targets")
    arm_targets.measure(benchmark, quick=False)
    rows = benchmark.report()["rows"]
    assert {row["cpu"] for row in rows} == {"cortex-a72", "cortex-a76"}
    for cpu, kernels in (("cortex-a72", "neon"), ("cortex-a76", "neon_dotprod")):
        table = read_speeds(tmp_path / "targets" / f"{cpu}.json")
        assert (table.target, table.kernels) == (cpu, kernels)
        assert "instructions" in table.method and "ai_edge_litert 2.3.0" in table.method
        assert len(table.entries) == len([row for row in rows if row["cpu"] == cpu])
    monkeypatch.setattr(arm_targets, "FOLDER", tmp_path / "quick")
    arm_targets.measure(Benchmark("arm_targets"), quick=True)
    table = read_speeds(tmp_path / "quick" / "cortex-a72.json")
    assert {entry.shape for entry in table.entries} == {SHAPE}
