import dataclasses
from pathlib import Path

import pytest

from benchmarks import mcu
from benchmarks.drawn_network import separable_network
from benchmarks.firmware import Bench, Outcome
from benchmarks.harness import Benchmark
from benchmarks.mcu import KNOWN, Measured, Subject
from edgeax.runtime.mcu.report import ByCmsisNN, Report
from tests.emulation import require
from tests.emulation.cmsis_nn import Library
from tests.runtime.mcu import networks

CRC = KNOWN["ad"].wanted.output_crc


def found(instructions=300_000, ram_bytes=768, program_bytes=4000, constants=270_880, crc=CRC):
    report = Report("", (), "cortex-m4", "double", ram_bytes, 0, constants, ())
    return Measured(report, ram_bytes, program_bytes, Outcome(instructions, 400, 0, crc))


def targets_of(core, measured, output_crc=CRC):
    benchmark = Benchmark("mcu")
    subject = Subject("ad", b"", KNOWN["ad"].wanted)
    mcu.add_rows(benchmark, subject, core, measured, output_crc)
    report = benchmark.report()
    return report["rows"][0], {entry["name"]: entry for entry in report["wanted"]}


def test_a_model_is_held_to_what_the_issue_wants():
    row, targets = targets_of("cortex-m4", found(instructions=466_361))
    assert row["ratio"] == pytest.approx(0.8, abs=1e-5)
    assert {name: entry["wanted"] for name, entry in targets.items()} == {
        "cortex-m4, ad: outputs equal": ">= 1.0",
        "cortex-m4, ad: instructions to TFLM's": "<= 0.8",
        "cortex-m4, ad: RAM bytes": "<= 1536",
        "cortex-m4, ad: program bytes": "<= 8192",
        "cortex-m4, ad: constants to those used": "<= 1.02",
    }
    assert all(entry["holds"] for entry in targets.values())


@pytest.mark.parametrize(
    "change, missed",
    [
        ({"instructions": 466_363}, "instructions to TFLM's"),
        ({"ram_bytes": 1537}, "RAM bytes"),
        ({"program_bytes": 8193}, "program bytes"),
        ({"constants": 276_500}, "constants to those used"),
        ({"crc": 1}, "outputs equal"),
    ],
)
def test_what_misses_is_said(change, missed):
    _, targets = targets_of("cortex-m4", found(**change))
    assert [name for name, entry in targets.items() if not entry["holds"]] == [
        f"cortex-m4, ad: {missed}"
    ]


def test_the_m7_has_no_peer_and_a_wrong_interpreter_is_seen():
    row, targets = targets_of("cortex-m7", found(), output_crc=2)
    assert "ratio" not in row
    assert row["outputs"] == "WRONG"
    assert "cortex-m7, ad: instructions to TFLM's" not in targets


def test_the_targets_are_those_of_the_issue():
    rows = {
        name: (w.ram_bytes, w.program_bytes // 1024, w.constant_ratio)
        for name, w in ((name, known.wanted) for name, known in KNOWN.items())
    }
    assert rows == {
        "vww": (56_320, 20, 1.07),
        "ic": (50_176, 16, 1.03),
        "ad": (1_536, 8, 1.02),
    }
    assert mcu.RATIOS == {"cortex-m4": 0.80, "cortex-m55": 0.85}


@pytest.mark.parametrize("least, most", [(20_000, 125.0), (30_000, 101.0)])
def test_the_least_ram_is_found(least, most):
    """Programs run 100 instructions in 40,960 bytes and 1 more for each 400 bytes less."""

    def measured(ram_bytes):
        if ram_bytes < least:
            raise ValueError("no plan fits")
        return found(instructions=100 + (40_960 - ram_bytes) / 400, ram_bytes=ram_bytes)

    best = mcu.least_ram(measured, most)
    wanted = max(least, 40_960 - (most - 100) * 400)
    assert wanted <= best.ram_bytes <= wanted + 64
    assert best.outcome.instructions <= most


def test_missing_models_are_named_and_the_drawn_one_is_always_there(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("EDGEAX_TEST_DATA", str(tmp_path))
    assert [subject.name for subject in mcu.subjects()] == [mcu.DRAWN]
    said = capsys.readouterr().err
    assert all(f"skipped: {name}, no file {tmp_path}" in said for name in KNOWN)


def test_packed_versions_are_held_to_the_int8_program():
    class Known:
        def measure(self, subject, core):
            return found(instructions=299_000, ram_bytes=769, constants=80_000)

        def output_crc(self, subject):
            return CRC

    benchmark = Benchmark("mcu")
    subject = Subject("ic", separable_network())
    mcu.measure_packed(benchmark, Known(), subject, {"cortex-m4": found(constants=270_000)})
    report = benchmark.report()
    assert [row["model"] for row in report["rows"]] == [f"ic, {name}" for name in mcu.PACKED]
    wanted = [(entry["name"].rpartition(": ")[2], entry["wanted"]) for entry in report["wanted"]]
    limits = {"constants to int8": (0.55, 0.3, 0.35), "instructions to int8": (1.1, 1.0, 0.6)}
    for name, most in limits.items():
        assert [words for of, words in wanted if of == name] == [f"<= {limit}" for limit in most]
    missed = [entry["name"] for entry in report["wanted"] if not entry["holds"]]
    assert [name for name in missed if "RAM bytes to int8" not in name] == [
        "cortex-m4, ic, 75 % block-sparse: instructions to int8"
    ]
    assert len(missed) == 4


def test_a_version_without_a_program_misses_its_target(capsys):
    class Refusing:
        def measure(self, subject, core):
            raise ValueError("no such operator")

    benchmark = Benchmark("mcu")
    subject = Subject("ic", separable_network())
    mcu.measure_packed(benchmark, Refusing(), subject, {"cortex-m4": found()})
    targets = benchmark.report()["wanted"]
    assert [target["holds"] for target in targets] == [False] * 3
    assert targets[0]["name"] == "cortex-m4, ic, 4-bit codebook: is generated"
    assert "no such operator" in capsys.readouterr().err


def test_a_program_gives_on_boards_what_the_interpreter_gives(tmp_path):
    require.board_tools()
    require.counter()
    runner = mcu.Runner(Bench(tmp_path), tmp_path, tmp_path / "pictures")
    benchmark = Benchmark("mcu")
    mcu.measure_subject(benchmark, runner, Subject("image", networks.images()))
    rows = benchmark.report()["rows"]
    assert [row["board"] for row in rows] == ["cortex-m4", "cortex-m7", "cortex-m55"]
    assert {row["outputs"] for row in rows} == {"equal"}
    assert all(0 < row["program_bytes"] < 8000 for row in rows)


def by_cmsis_nn(crc=CRC):
    measured = found(instructions=600_000, crc=crc)
    twin = ByCmsisNN(768, 270_000, (), (), ())
    report = dataclasses.replace(measured.report, cmsis_nn=twin)
    return dataclasses.replace(measured, report=report, by_cmsis_nn=True)


@pytest.mark.parametrize("crc, outputs", [(CRC, "equal"), (1, "WRONG")])
def test_a_program_by_cmsis_nn_is_compared_with_ours_and_the_peer(monkeypatch, crc, outputs):
    class OneRunner:
        def measure(self, subject, core, cmsis_nn):
            assert cmsis_nn == Library(Path("tree"), Path("file"))
            return by_cmsis_nn(crc)

        def output_crc(self, subject):
            return CRC

    monkeypatch.setattr(mcu, "of_user", lambda core: Library(Path("tree"), Path("file")))
    benchmark, subject = Benchmark("mcu"), Subject("ad", b"", KNOWN["ad"].wanted)
    mcu.measure_cmsis_nn(benchmark, OneRunner(), subject, "cortex-m4", found())
    (row,) = benchmark.report()["rows"]
    assert (row["model"], row["to_ours"], row["outputs"]) == ("ad, by CMSIS-NN", 2.0, outputs)
    assert row["constant_bytes"] == 270_000
    assert row["ratio"] == pytest.approx(600_000 / 582_952)
    (target,) = benchmark.report()["wanted"]
    assert target["holds"] == (outputs == "equal")


def test_without_a_cmsis_nn_there_is_no_row(monkeypatch):
    monkeypatch.delenv("EDGEAX_CMSIS_NN", raising=False)
    benchmark = Benchmark("mcu")
    mcu.measure_cmsis_nn(benchmark, None, Subject("ad", b""), "cortex-m4", found())
    assert benchmark.report()["rows"] == []
