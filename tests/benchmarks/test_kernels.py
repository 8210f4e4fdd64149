import dataclasses
import json

import numpy as np
import pytest

from benchmarks import kernels
from benchmarks.harness import Benchmark
from benchmarks.layer_kinds import KINDS, Wanted
from edgeax.formats.layer_shape import conv, fully_connected

TINY = (conv(4, 8, 8, 3), fully_connected(64, 16))


def tiny_kind(kind):
    wanted = (
        Wanted(0.0, TINY[:1]),
        Wanted(1e9, TINY[:1], "int4"),
        Wanted(0.0, TINY[1:], cold=True),
    )
    return dataclasses.replace(kind, shapes=TINY, wanted=wanted)


def test_quick_measures_the_first_shape_of_each_kind(monkeypatch):
    seen = []

    def row_of(kind, shape, cold, baselines, rounds):
        seen.append((kind.name, shape, cold, baselines))
        return {"kind": kind.name, "speed": 1.0}

    monkeypatch.setattr(kernels, "row_of", row_of)
    kernels.measure(Benchmark("kernels"), quick=True)
    assert seen == [(kind.name, kind.shapes[0], False, ["int8"]) for kind in KINDS]


def test_every_target_stands_beside_its_row(monkeypatch):
    def row_of(kind, shape, cold, baselines, rounds):
        return {"cold": cold, "speed": 2.0, **{f"speed_of_{name}": 3.0 for name in baselines}}

    monkeypatch.setattr(kernels, "row_of", row_of)
    monkeypatch.setattr(kernels, "KINDS", (tiny_kind(KINDS[0]),))
    monkeypatch.setattr(kernels, "COLD", TINY[1:])
    benchmark = Benchmark("kernels")
    kernels.measure(benchmark, quick=False)
    report = benchmark.report()
    assert [row["cold"] for row in report["rows"]] == [False, False, True]
    entries = [(e["name"], e["value"], e["holds"], e["row"]) for e in report["wanted"]]
    name = KINDS[0].name
    assert entries == [
        (f"{name}, conv3x3 4,8,8: speed of int8", 2.0, True, 0),
        (f"{name}, conv3x3 4,8,8: speed of int4", 3.0, False, 0),
        (f"{name}, FC 64x16, cold: speed of int8", 2.0, True, 2),
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_row_tells_times_bytes_and_memory(kind, monkeypatch):
    monkeypatch.setattr(kernels, "largest_cache", lambda: 2**20)
    row = kernels.row_of(kind, TINY[1], True, ["int4", "int8"], rounds=3)
    assert (row["kind"], row["shape"], row["caches"]) == (kind.name, "FC 64x16", "cold")
    assert row["speed"] > 0.0 and row["speed_of_int4"] > 0.0
    assert row["gmacs_per_s"] == pytest.approx(64 * 16 / row["ms"] / 1e6)
    assert row["other_codes"] < 0.1
    assert row["file_bytes"] < row["int8_file_bytes"] + 1500
    assert 0.0 < row["peak_mib"] < 100.0 and 0.0 < row["int8_peak_mib"] < 100.0
    json.dumps(row, allow_nan=False)


def test_sides_take_turns_after_what_comes_before():
    said = []

    class Side:
        def __init__(self, name):
            self.name = name

        def invoke(self):
            said.append(self.name)

    times = kernels.turns({"a": Side("a"), "b": Side("b")}, lambda: said.append("-"), rounds=2)
    assert said == ["-", "a", "-", "b"] * (3 + 2)
    assert [len(times[name]) for name in "ab"] == [2, 2]


@pytest.mark.parametrize("sizes, expected", [(("48K", "2M"), 2**21), ((), 2**26)])
def test_the_largest_cache_is_what_linux_says(sizes, expected, monkeypatch, tmp_path):
    for number, size in enumerate(sizes):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}" / "size").write_text(f"{size}\n")
    monkeypatch.setattr(kernels, "_CACHES", tmp_path)
    assert kernels.largest_cache() == expected


def test_an_evicter_reads_twice_the_largest_cache(monkeypatch):
    monkeypatch.setattr(kernels, "largest_cache", lambda: 4096)
    evicter = kernels.Evicter()
    assert evicter._buffer.nbytes == 8192 and np.all(evicter._buffer == 1)
    evicter()
