from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from benchmarks import hosts, kernels_arm
from benchmarks.harness import Benchmark
from benchmarks.kernels_arm import INT4, INT8, KINDS
from edgeax.formats import layer_shape
from edgeax.formats.layer_shape import conv, fully_connected
from edgeax.runtime.operator_files import custom_file
from tests.emulation import aarch64, process, require
from tests.tflite_kernels import native, run_plugin_check

CONV, PRODUCT = conv(28, 128, 128, 3), fully_connected(1024, 1024)


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    require.arm_python()
    require.cross_tools()
    require.counter()
    folder = tmp_path_factory.mktemp("tools")
    return kernels_arm.Tools.build(hosts.prepare_arm("this test"), folder)


def report_of(cpu, shape, counts):
    benchmark = Benchmark("kernels_arm")
    kernels_arm.add_rows(benchmark, cpu, shape, counts)
    return benchmark.report()


def test_xnnpack_runs_the_instructions_that_were_measured_before(tools, tmp_path):
    """By another counter in a C program, 2026-11-23: 14,400 on the A76 and 26,300 on the A72. The
    call from Python takes 770 more.
    """
    file = kernels_arm.write_files(fully_connected(256, 256), tmp_path)[INT8]
    found = {cpu: tools.count(cpu, [file])[0] for cpu in kernels_arm.CPUS}
    assert found == {
        "cortex-a72": pytest.approx(26_300 + 770, rel=0.01),
        "cortex-a76": pytest.approx(14_400 + 770, rel=0.01),
    }


def test_a_file_that_does_not_run_is_named_with_what_litert_said(tools, tmp_path):
    file = tmp_path / "damaged.tflite"
    file.write_bytes(b"TFL3")
    with pytest.raises(RuntimeError, match="must run 1 files.*exit code 1(.|\n)*Error"):
        tools.count("cortex-a72", [file])


@pytest.mark.parametrize(
    "shape", [conv(5, 32, 8, 3), fully_connected(32, 16)], ids=lambda shape: shape.name
)
def test_every_kind_runs_on_every_processor(shape, tools, tmp_path):
    files = kernels_arm.write_files(shape, tmp_path)
    is_conv = shape.layer == layer_shape.CONV
    kinds = [kind.name for kind in KINDS if kind.is_conv == is_conv]
    assert list(files) == [INT8, *([] if is_conv else [INT4]), *kinds]
    for cpu in kernels_arm.CPUS:
        assert min(tools.count(cpu, list(files.values()))) > 1000


def test_products_give_the_codes_of_the_reference(tmp_path):
    """With what the plugin makes of their weights once, and a last tile that is not full."""
    require.arm_python()
    require.cross_tools()
    shape = fully_connected(192, 27)
    scale = np.full(27, 0.01, np.float32)
    rows = np.random.default_rng(1).integers(-128, 128, (3, 1, 192)).astype(np.int8)
    for kind in (kind for kind in KINDS if not kind.is_conv):
        layer = kind.draw(shape, np.random.default_rng(2))
        options = kernels_arm.as_options(layer, shape)
        content = custom_file(shape, layer.weights, scale, **options)
        delegate = litert.load_delegate(native.load()._name, {"isa": "reference"})
        reference = litert.Interpreter(model_content=content, experimental_delegates=[delegate])
        expected = [run_plugin_check.run(reference, row) for row in rows]
        assert np.unique(expected).size > 10
        for number, (x, y) in enumerate(zip(rows, expected, strict=True)):
            file = tmp_path / f"{kind.name.replace('/', '_')}-{number}.tflite"
            file.write_bytes(content)
            np.savez(file.with_suffix(".npz"), x=x, y=y)
    plugin = hosts.prepare_arm("this test")
    count = len(list(tmp_path.glob("*.tflite")))
    for cpu in kernels_arm.CPUS:
        words = ["ai_edge_litert.interpreter", plugin, tmp_path]
        outcome = aarch64.run_python(cpu, Path(run_plugin_check.__file__), *words)
        assert outcome == process.Outcome(f"plugin: {count} files, 0 wrong\n", 0)


def test_more_files_than_the_counter_has_regions_take_several_processes(tmp_path, monkeypatch):
    parcels = []

    def one_process(self, cpu, files):
        parcels.append((cpu, len(files)))
        return [int(file.stem) for file in files]

    monkeypatch.setattr(kernels_arm.Tools, "_count", one_process)
    tools = kernels_arm.Tools(tmp_path, tmp_path, tmp_path)
    files = [tmp_path / f"{number}.tflite" for number in range(15)]
    assert tools.count("cortex-a72", files) == list(range(15))
    assert parcels == [("cortex-a72", 7), ("cortex-a72", 7), ("cortex-a72", 1)]


def test_a_row_says_how_many_times_fewer_instructions_than_xnnpack_it_took():
    report = report_of("cortex-a72", CONV, {INT8: 30_000_000, "codebook-16": 40_000_000})
    assert [(row["kind"], row["ratio"]) for row in report["rows"]] == [
        (INT8, 1.0),
        ("codebook-16", 0.75),
    ]
    assert report["rows"][0]["per_instruction"] == 28 * 28 * 9 * 128 * 128 / 30_000_000
    assert "int4_ratio" not in report["rows"][0]
    (target,) = report["wanted"]
    assert (target["value"], target["wanted"], target["holds"]) == (0.75, ">= 1.0", False)
    assert target["row"] == 1


def test_products_are_held_to_the_operator_that_the_issue_names():
    counts = {INT8: 300_000, INT4: 600_000, "codebook-16": 400_000, "sparse 4:16": 100_000}
    report = report_of("cortex-a72", PRODUCT, counts)
    assert [(row["ratio"], row["int4_ratio"]) for row in report["rows"]][2:] == [
        (0.75, 1.5),
        (3.0, 6.0),
    ]
    assert [(target["value"], target["holds"]) for target in report["wanted"]] == [
        (1.5, True),
        (3.0, True),
    ]
    on_a76 = report_of("cortex-a76", PRODUCT, counts)
    assert [target["wanted"] for target in on_a76["wanted"]] == [">= 1.5"]


def test_the_targets_are_those_of_the_issue():
    kinds = [kind for kind in KINDS if kind.wanted]
    found = [(k.name, k.is_conv, k.baseline, tuple(k.wanted.values())) for k in kinds]
    assert found == [
        ("binary", True, INT8, (7.0, 2.3)),
        ("sparse 75 % 1x4", True, INT8, (3.0, 2.5)),
        ("ternary", True, INT8, (1.4, 0.95)),
        ("codebook-16", True, INT8, (1.0, 0.90)),
        ("ternary", False, INT4, (2.2,)),
        ("codebook-16", False, INT4, (1.5,)),
        ("sparse 4:16", False, INT8, (2.5, 1.5)),
    ]
    assert all(tuple(kind.wanted) == kernels_arm.CPUS[: len(kind.wanted)] for kind in KINDS)
    assert [shape.name for shape in kernels_arm.PRODUCTS] == ["FC 1024x1024", "FC 4096x4096"]


def test_quick_measures_small_shapes_of_both_kinds(monkeypatch):
    class Counted:
        def count(self, cpu, files):
            return [1000] * len(files)

    monkeypatch.setattr(kernels_arm, "prepare_arm", lambda user: None)
    monkeypatch.setattr(kernels_arm.Tools, "build", lambda plugin, folder: Counted())
    benchmark = Benchmark("kernels_arm")
    kernels_arm.measure(benchmark, quick=True)
    seen = {(row["cpu"], row["shape"]) for row in benchmark.report()["rows"]}
    names = [shape.name for shape in kernels_arm.QUICK_SHAPES]
    assert seen == {(cpu, name) for cpu in kernels_arm.CPUS for name in names}
