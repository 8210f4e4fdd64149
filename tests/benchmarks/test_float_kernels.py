import json

import numpy as np
import pytest

from benchmarks import float_kernels
from benchmarks.harness import Benchmark

TINY = (64, 16)


def test_quick_measures_the_first_shape_of_each_kind(monkeypatch):
    seen = []

    def row_of(name, shape, cold, rounds):
        seen.append((name, shape, cold))
        return {"kind": name}

    monkeypatch.setattr(float_kernels, "row_of", row_of)
    float_kernels.measure(Benchmark("float_kernels"), quick=True)
    assert seen == [(name, float_kernels.SHAPES[0], False) for name in float_kernels.KINDS]


def test_the_largest_shape_is_also_measured_with_cold_weights(monkeypatch):
    seen = []
    monkeypatch.setattr(float_kernels, "KINDS", {"int4": float_kernels.KINDS["int4"]})
    monkeypatch.setattr(float_kernels, "row_of", lambda *row: seen.append(row) or {"kind": row[0]})
    float_kernels.measure(Benchmark("float_kernels"), quick=False)
    assert [row[1:3] for row in seen] == [
        (float_kernels.SHAPES[0], False),
        (float_kernels.SHAPES[1], False),
        (float_kernels.SHAPES[2], False),
        (float_kernels.SHAPES[2], True),
    ]


@pytest.mark.parametrize("name", float_kernels.KINDS)
def test_a_row_tells_times_bytes_and_errors(name):
    row = float_kernels.row_of(name, TINY, False, rounds=3)
    assert (row["kind"], row["shape"], row["caches"]) == (name, "FC 64x16", "warm")
    assert row["speed"] > 0 and row["speed_of_int8"] > 0
    assert row["ours_error"] < 1e-5 < row["int8_error"] < 0.2
    json.dumps(row, allow_nan=False)


def test_groups_of_inputs_have_scales_of_their_own():
    values = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    values[32:] *= 100
    packed = float_kernels._packed("int4 in groups of 32", values)
    assert packed.group == 32 and packed.scale.shape == (2, 5) and packed.bits == 4
    away = np.abs(packed.decode() - values)
    assert away[:32].max() < 0.5 and away[32:].max() < 50
