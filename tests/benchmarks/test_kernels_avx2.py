import platform

import pytest

from benchmarks import kernels_arm, kernels_avx2
from benchmarks.harness import Benchmark
from benchmarks.hosts import X86_COMPILER, prepare_x86
from benchmarks.kernels_arm import INT8
from benchmarks.kernels_avx2 import CPU, KINDS
from edgeax.formats.layer_shape import conv
from tests.emulation import require, x86


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    if platform.machine() != "x86_64":
        pytest.skip(f"a {platform.machine()} cannot play {CPU}")
    require.x86_tools()
    require.counter()
    folder = tmp_path_factory.mktemp("tools")
    return kernels_arm.Tools.build(prepare_x86("this test"), folder, X86_COMPILER, x86.run_python)


def test_xnnpack_runs_as_many_products_an_instruction_as_were_counted_before(tools, tmp_path):
    """4.50 without what Python needs, by another program, 2026-11-23; AVX-512 would give 18."""
    shape = conv(14, 128, 128, 3)
    file = kernels_arm.write_files(shape, tmp_path)[INT8]
    assert shape.macs / tools.count(CPU, [file])[0] == pytest.approx(4.50, rel=0.05)


def test_every_kind_runs_and_both_counts_are_exact(tools, tmp_path):
    files = kernels_arm.write_files(conv(5, 32, 8, 3), tmp_path)
    assert list(files) == [INT8, *(kind.name for kind in KINDS)]
    counts = tools.count(CPU, list(files.values()))
    assert min(counts) > 1000
    again = tools.count(CPU, list(files.values()))
    assert again == pytest.approx(counts, rel=0.01)


def test_the_target_is_that_of_the_issue():
    assert {kind.name: dict(kind.wanted) for kind in KINDS if kind.wanted} == {
        "binary": {"Haswell": 4.0}
    }
    assert all(kind.is_conv for kind in KINDS)
    shape = kernels_avx2.CONVOLUTIONS[0]
    benchmark = Benchmark("kernels_avx2")
    kernels_arm.add_rows(benchmark, CPU, shape, {INT8: 900, "binary": 300, "ternary": 300}, KINDS)
    report = benchmark.report()
    assert [row["ratio"] for row in report["rows"]] == [1.0, 3.0, 3.0]
    entries = [(e["name"], e["value"], e["wanted"], e["holds"]) for e in report["wanted"]]
    name = "Haswell, conv3x3 56,64,64: binary to XNNPACK int8"
    assert entries == [(name, 3.0, ">= 4.0", False)]


def test_quick_measures_a_small_shape(monkeypatch):
    class Counted:
        def count(self, cpu, files):
            return [1000] * len(files)

    monkeypatch.setattr(kernels_avx2, "prepare_x86", lambda user: None)
    monkeypatch.setattr(kernels_avx2.Tools, "build", lambda *words: Counted())
    benchmark = Benchmark("kernels_avx2")
    kernels_avx2.measure(benchmark, quick=True)
    report = benchmark.report()
    assert {row["shape"] for row in report["rows"]} == {"conv3x3 7,32,32"}
    assert not report["wanted"]


def test_another_processor_is_told_to_run_it_elsewhere(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(RuntimeError, match=r"kernels_avx2 must run on x86-64.*aarch64"):
        prepare_x86("kernels_avx2")
