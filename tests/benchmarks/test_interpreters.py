import dataclasses
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from benchmarks import hosts, interpreters
from benchmarks.harness import Benchmark
from tests import environments
from tests.emulation import process, require, setup
from tests.golden import cases
from tests.tflite_kernels import models, native

AMOUNT = interpreters.Amount(images=3, emulated_images=2, repeats=1)
PEAK_CHECK = """
import numpy as np
import run_file
np.ones(100 * 2**17).sum()  # 100 MiB, given back
held = run_file.forget_peak()
np.ones(20 * 2**17).sum()  # 20 MiB, given back too
print((run_file.peak_kib() - held) / 1024)
"""


@pytest.fixture
def golden(tmp_path):
    """A dense layer of the golden vectors: its file, one input, the expected output."""
    entries = cases.load("operators.json")
    entry = next(
        entry
        for entry in entries
        if entry["operator"] == "EdgeaxFullyConnected"
        and entry["rounding"] == "single"
        and entry["input"]["shape"][0] == 1
    )
    file = tmp_path / "golden.tflite"
    file.write_bytes(models.model_of(native.golden_case(entry)).write())
    x, y = (np.int8(entry[end]["data"]).reshape(entry[end]["shape"]) for end in ("input", "output"))
    return file, x, y


def present_host(interpreter=hosts.NEWEST, always_plugin=False):
    """The interpreter of this environment, in the place of one with its own."""

    def execute(words):
        more = ["--plugin", native.build()] if always_plugin and "--plugin" not in words else []
        return process.run([sys.executable, "-I", hosts.CHILD, *words, *more], timeout_s=60)

    return hosts.Host(interpreter, native.build(), execute)


class OtherHost:
    """An interpreter whose outputs differ from those of `host` in the last bit of one value."""

    def __init__(self, host, interpreter, with_xnnpack_only):
        self.interpreter = interpreter
        self._host = host
        self._with_xnnpack_only = with_xnnpack_only

    def run(self, file, images, **how):
        answer = self._host.run(file, images, **how)
        outputs = answer.outputs.copy()
        if how.get("xnnpack", True) or not self._with_xnnpack_only:
            outputs.flat[0] ^= 1
        return dataclasses.replace(answer, outputs=outputs)


def test_the_interpreters_are_those_that_the_issue_names():
    assert [(i.distribution, i.version, i.cpu) for i in hosts.INTERPRETERS] == [
        ("ai-edge-litert", "1.4.0", None),
        ("ai-edge-litert", "2.0.3", None),
        ("ai-edge-litert", "2.1.6", None),
        ("ai-edge-litert", "2.3.0", None),
        ("tflite-runtime", "2.14.0", None),
        ("tensorflow", "2.21.0", None),
        ("ai-edge-litert", "2.3.0", "cortex-a72"),
        ("ai-edge-litert", "2.3.0", "cortex-a76"),
    ]


def test_the_child_gives_the_golden_codes_of_every_row(golden):
    file, x, y = golden
    answer = present_host().run(file, np.concatenate([x, x]), plugin=True)
    assert answer.outputs.dtype == np.int8
    assert answer.outputs.tolist() == np.concatenate([y, y]).tolist()
    assert answer.version == metadata.version("ai-edge-litert")
    assert 0 < answer.peak_mib < 100


def test_the_child_gives_the_golden_codes_on_an_emulated_processor(golden):
    require.arm_python()
    require.cross_tools()
    file, x, y = golden
    answer = hosts.prepare(hosts.INTERPRETERS[-1]).run(file, x, plugin=True)
    assert answer.outputs.tolist() == y.tolist()


def test_one_other_bit_is_a_difference_and_tells_whose_it_is(golden):
    file, x, y = golden
    host = present_host(always_plugin=True)  # which the file in the place of int8's needs too
    first, second = hosts.INTERPRETERS[0], hosts.INTERPRETERS[-1]  # here, and emulated
    others = [OtherHost(host, first, False), OtherHost(host, second, True)]
    data = np.concatenate([x] * AMOUNT.images), np.full(AMOUNT.images, y.argmax())
    benchmark = Benchmark("interpreters")
    files = interpreters.Files(edgeax=file, int8=file, source="golden")
    interpreters.compare(benchmark, [host, *others], files, data, AMOUNT)
    report = benchmark.report()
    assert [(entry["name"], entry["value"], entry["holds"]) for entry in report["wanted"]] == [
        (hosts.NEWEST.name, True, True),
        (first.name, False, False),
        (second.name, False, False),
    ]
    same, all_kernels, xnnpack_only = report["rows"]
    assert [row["values_that_differ"] for row in report["rows"]] == [0, 1, 1]
    assert [row["equal_without_xnnpack"] for row in report["rows"]] == [True, False, True]
    assert (same["equal"], same["accuracy"], same["images"]) == (True, 1.0, 3)
    assert same["int8_peak_mib"] > 0 and all_kernels["edgeax_peak_mib"] > 0
    assert "edgeax_peak_mib" not in xnnpack_only and xnnpack_only["images"] == 2
    assert same["edgeax_bytes"] == file.stat().st_size


def test_minus_zero_is_no_zero():
    zero, minus = np.float32([0.0, 1.0]), np.float32([-0.0, 1.0])
    assert not interpreters.same_bits(zero, minus)
    assert interpreters.differing(zero, minus) == 1
    assert interpreters.same_bits(zero, zero.copy())


def test_the_peak_is_that_of_the_model_and_not_of_the_import():
    path = f"import sys; sys.path.insert(0, {str(hosts.CHILD.parent)!r})"
    command = [sys.executable, "-c", f"{path}\n{PEAK_CHECK}"]
    grown_mib = float(subprocess.check_output(command, text=True))
    assert 19 < grown_mib < 24


def test_an_environment_that_cannot_be_made_is_named(monkeypatch):
    def offline(name, pins):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(hosts, "other_pins", lambda *_: Path("pins.txt"))
    monkeypatch.setattr(hosts, "peer_python", offline)
    with pytest.raises(RuntimeError, match="ai-edge-litert 2.3.0 must.*ai-edge-litert==2.3.0"):
        hosts.prepare(hosts.NEWEST)


def test_an_emulated_processor_that_cannot_be_made_is_named(monkeypatch):
    def offline():
        raise setup.SetupError("apt-get failed.")

    arm = hosts.INTERPRETERS[-1]
    monkeypatch.setattr(hosts.shutil, "which", lambda tool: None)
    with pytest.raises(RuntimeError, match="on cortex-a76 must.*Missing: qemu.*apt-get install"):
        hosts.prepare(arm)
    monkeypatch.setattr(hosts.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(setup, "build_root", offline)
    with pytest.raises(RuntimeError, match="on cortex-a76 must.*apt-get failed.*network"):
        hosts.prepare(arm)


def test_another_release_than_the_named_one_is_refused(golden):
    file, x, _ = golden
    older = hosts.INTERPRETERS[0]
    with pytest.raises(RuntimeError, match="1.4.0 must be release 1.4.0. Received: 2"):
        present_host(older).run(file, x, plugin=True)


def test_what_a_failing_child_says_is_shown(golden):
    file, x, _ = golden
    with pytest.raises(RuntimeError, match="(?s)2.3.0 must run .*Edgeax"):
        present_host().run(file, x)  # without the plugin


@pytest.mark.parametrize(
    "needs, root",
    [(hosts._LITERT_NEEDS, "ai-edge-litert"), (hosts._TENSORFLOW_NEEDS, "tensorflow")],
)
def test_the_needs_are_those_of_the_installed_distribution(needs, root):
    installed = {environments.plain(d.name) for d in metadata.distributions()}
    root = root if root in installed else f"{root}-cpu"
    assert {environments.plain(need) for need in needs} == environments.closure([root]) - {root}


def test_the_quickstart_is_run_where_its_files_are_missing(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(interpreters, "QUICKSTART", tmp_path)
    monkeypatch.setattr(interpreters.subprocess, "run", lambda words, **_: ran.append(words))
    files = interpreters.find_files(quick=False, folder=tmp_path, samples=np.zeros(0))
    assert ran == [[sys.executable, "demos/quickstart.py", "--output", str(tmp_path)]]
    assert files.edgeax == tmp_path / "model.tflite"
    for file in (files.edgeax, files.int8):
        file.touch()
    assert interpreters.find_files(quick=True, folder=tmp_path, samples=np.zeros(0)) == files
    assert len(ran) == 1


def test_a_stand_in_says_that_it_is_one_and_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreters, "QUICKSTART", tmp_path / "missing")
    with np.load(interpreters.DATA) as data:
        images = data["x_test"][:4, ..., None].astype(np.float32) / np.float32(255)
    files = interpreters.find_files(quick=True, folder=tmp_path, samples=images)
    assert "stand-in" in files.source
    host = present_host()
    outputs = host.run(files.edgeax, images, plugin=True).outputs
    assert outputs.shape == host.run(files.int8, images).outputs.shape == (4, 10)
    assert len(np.unique(outputs)) > 10
