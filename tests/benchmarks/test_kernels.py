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
    assert abs(row["peak_mib"]) < 0.5 and abs(row["int8_peak_mib"]) < 0.5
    assert "two_threads" not in row
    json.dumps(row, allow_nan=False)


def test_memory_is_counted_from_a_tiny_layer_of_the_same_kind(monkeypatch):
    peaks = {"FC 8x8": 2.5, "FC 64x16": 11.0}

    def drawn(kind, shape, baselines):
        return {name: shape.name.encode() for name in ("ours", *baselines)}, np.int8([])

    monkeypatch.setattr(kernels, "drawn", drawn)
    monkeypatch.setattr(kernels, "peak_mib", lambda file, codes: peaks[file.decode()])
    kernels.tiny_peaks.cache_clear()
    found = kernels.held_mib(KINDS[0], TINY[1], "ours", *drawn(KINDS[0], TINY[1], ["int8"]))
    kernels.tiny_peaks.cache_clear()
    assert found == 8.5


def test_a_megabyte_of_weights_lies_in_memory_once():
    kind, shape = KINDS[0], fully_connected(1024, 2048)
    files, codes = kernels.drawn(kind, shape, ["int8"])
    mebibytes = kernels.held_mib(kind, shape, "ours", files, codes)
    assert mebibytes == pytest.approx(len(files["ours"]) / 2**20, rel=0.2)
    mebibytes = kernels.held_mib(kind, shape, "int8", files, codes)
    assert mebibytes == pytest.approx(2 * len(files["int8"]) / 2**20, rel=0.2)


def test_a_convolution_is_timed_on_one_thread_and_on_two():
    files, codes = kernels.drawn(KINDS[0], TINY[0], ["int8"])
    found = kernels.two_threads(files, codes, rounds=3)
    assert list(found) == ["two_threads", "int8_two_threads"]
    assert min(found.values()) > 0.0


def test_each_side_on_two_threads_is_compared_with_itself(monkeypatch):
    built = []

    class Side:
        def __init__(self, model_content, num_threads):
            built.append((model_content, num_threads))

        def feed(self, codes, raw):
            pass

    def turns(interpreters, before, rounds):
        return {"1": [3.0 * len(built)], "2": [2.0]}

    monkeypatch.setattr(kernels.edgeax, "Interpreter", Side)
    monkeypatch.setattr(kernels, "turns", turns)
    files = {"ours": b"a", "int8": b"b", "int4": b"c"}
    found = kernels.two_threads(files, np.int8([]), rounds=1)
    assert found == {"two_threads": 3.0, "int8_two_threads": 6.0}
    assert built == [(b"a", 1), (b"a", 2), (b"b", 1), (b"b", 2)]


def test_targets_of_threads_and_memory_stand_beside_their_rows(monkeypatch):
    def row_of(kind, shape, cold, baselines, rounds):
        return {"speed": 2.0, "two_threads": 1.7, "file_bytes": 2**20, "peak_mib": 1.5}

    kind = dataclasses.replace(KINDS[0], shapes=TINY[:1], wanted=())
    monkeypatch.setattr(kernels, "row_of", row_of)
    monkeypatch.setattr(kernels, "KINDS", (kind,))
    monkeypatch.setattr(kernels, "HEAVY", TINY[:1])
    benchmark = Benchmark("kernels")
    kernels.measure(benchmark, quick=False)
    entries = [(e["name"], e["value"], e["holds"]) for e in benchmark.report()["wanted"]]
    where = f"{kind.name}, conv3x3 4,8,8"
    assert entries == [
        (f"{where}: speed of one thread, on two", 1.7, False),
        (f"{where}: memory, as times the file", 1.5, True),
    ]


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
