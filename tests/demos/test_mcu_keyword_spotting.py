import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.oracle import outputs_of
from tests.demos import scripts
from tests.emulation import process, require
from tests.runtime.mcu import networks
from tests.source_tree import REPOSITORY

DEMO = REPOSITORY / "demos" / "mcu_keyword_spotting"


@pytest.fixture(scope="module")
def boards():
    return scripts.load(DEMO / "boards.py", "demo_boards")


@pytest.fixture(scope="module")
def speech():
    return scripts.load(DEMO / "speech.py", "demo_speech")


def test_a_quick_run_gives_the_same_scores_on_all_boards(tmp_path):
    require.board_tools()
    require.counter()
    done = subprocess.run(
        [sys.executable, DEMO, "--quick", "--output", tmp_path],
        capture_output=True,
        text=True,
        timeout=500,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Scores of boards equal this machine's, byte by byte: True." in done.stdout
    rows = json.loads((tmp_path / "receipt.json").read_text())
    networks_run = {row["network"] for row in rows}
    assert len(rows) == 4 * len(networks_run)
    for row in rows:
        if row["runs on"] != "this machine":
            assert row["as this machine"] and row["accuracy"] == row["accuracy of this machine"]
            assert row["flash"] > row["of it constants"] and row["instructions"] > 50_000
    assert compiled_page(tmp_path, tmp_path / "int8" / "pc") == 0


def compiled_page(folder, program):
    """Builds what README.md shows in C++ and runs its self-test; returns how much is wrong."""
    blocks = re.findall(r"```cpp\n(.*?)```", (DEMO / "README.md").read_text(), re.DOTALL)
    names = [f"block{number}.cc" for number in range(len(blocks))]
    for name, block in zip(names, blocks, strict=True):
        (folder / name).write_text(block)
    (folder / "main.cc").write_text("int SelfTest();\nint main() { return SelfTest(); }\n")
    sources = [folder / name for name in (*names, "main.cc")]
    sources += [program / "keywords.cc", *(program / "tflite_kernels").rglob("*.cc")]
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{program}", f"-I{folder}"]
    process.compile_or_raise(["g++", *flags, *sources, "-o", folder / "page"])
    return process.run([folder / "page"], timeout_s=60).code


def test_no_speaker_is_in_both_parts(speech):
    with np.load(speech.BUNDLED) as arrays:
        speakers, labels = arrays["speaker"], arrays["y"]
    tested = np.array([speech.is_tested(name, i) for i, name in enumerate(speakers)])
    shared = set(speakers[tested]) & set(speakers[~tested])
    assert shared == {"silence"}
    assert 0.2 < tested.mean() < 0.3
    assert np.bincount(labels[tested]).min() > 60


def test_clips_are_told_by_their_own_numbers(speech):
    clips = speech.Clips(speech.BUNDLED)
    assert clips.train[0].shape == (len(clips.train[1]), 49, 10, 1)
    assert abs(clips.train[0].mean()) < 0.01 and abs(clips.train[0].std((0, 1)) - 1).max() < 0.01
    assert len(set(clips.test[1][:100])) > 8  # words are mixed


def test_a_shifted_clip_is_the_clip_earlier_or_later(speech):
    clips = np.arange(20, dtype="float32").reshape(1, 20, 1, 1)
    batches = speech.Shifted(clips, np.array([7]), most=2)
    shifts = set()
    for _ in range(40):
        found, labels = batches[0]
        steps = found.ravel() - clips.ravel()
        shifts.add(steps[5])
        assert labels.tolist() == [7] and np.all(steps[2:-2] == steps[5])
    assert shifts == {-2, -1, 0, 1, 2}


def test_what_boards_need_is_named_with_what_installs_it(boards, monkeypatch):
    monkeypatch.setattr(boards.shutil, "which", lambda tool: None if "qemu" in tool else tool)
    assert boards.what_is_missing().startswith("no qemu-system-arm (Debian: apt-get install")
    monkeypatch.setattr(boards.shutil, "which", lambda tool: tool)
    assert boards.what_is_missing() == ""
    monkeypatch.setattr(boards, "RIGS", REPOSITORY / "nowhere")
    assert "run the demo in a clone" in boards.what_is_missing()


def test_a_program_classifies_a_file_of_clips_on_a_pc(boards, tmp_path):
    data = networks.dense_chain(("clip", "hidden", "output_0"))
    generate(data, tmp_path / "program", target="host", name="keywords")
    codes = np.random.default_rng(0).integers(-128, 128, (5, 12)).astype(np.int8)
    scores = boards.run_on_pc(tmp_path / "program", codes, tmp_path)
    expected = [outputs_of(data, [clip[None]], "double")[0] for clip in codes]
    assert np.array_equal(scores, np.concatenate(expected))


def test_a_command_that_fails_says_so_in_its_own_words(boards):
    with pytest.raises(RuntimeError, match="ended with 1:\n.*no-such-file"):
        boards.call("cp", "no-such-file", "there")
