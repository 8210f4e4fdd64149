import subprocess

import pytest

from benchmarks import peers


@pytest.fixture
def installs(monkeypatch):
    """Replaces the slow installation by one that records its calls."""
    calls = []

    def install(home, pins):
        calls.append(pins.read_text())
        (home / "bin").mkdir(parents=True)

    monkeypatch.setattr(peers, "_install", install)
    return calls


def test_an_environment_is_installed_once_and_again_when_its_pins_change(tmp_path, installs):
    pins = tmp_path / "pins.txt"
    pins.write_text("one==1")
    first = peers.peer_python("peer", pins, folder=tmp_path / "peers")
    assert first == tmp_path / "peers" / "peer" / "bin" / "python"
    assert peers.peer_python("peer", pins, folder=tmp_path / "peers") == first
    assert installs == ["one==1"]

    pins.write_text("one==2")
    peers.peer_python("peer", pins, folder=tmp_path / "peers")
    assert installs == ["one==1", "one==2"]


def test_an_interrupted_installation_is_done_again(tmp_path, installs, monkeypatch):
    pins = tmp_path / "pins.txt"
    pins.write_text("one==1")
    whole = peers._install

    def interrupted(home, pins):
        whole(home, pins)
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(peers, "_install", interrupted)
    with pytest.raises(subprocess.CalledProcessError):
        peers.peer_python("peer", pins, folder=tmp_path / "peers")
    monkeypatch.setattr(peers, "_install", whole)
    peers.peer_python("peer", pins, folder=tmp_path / "peers")
    assert len(installs) == 2


def test_a_peer_environment_is_a_python_of_its_own(tmp_path):
    pins = tmp_path / "pins.txt"
    pins.write_text("# nothing beyond the standard library\n")
    python = peers.peer_python("bare", pins, folder=tmp_path / "peers")
    prefix = subprocess.check_output([python, "-c", "import sys; print(sys.prefix)"], text=True)
    assert prefix.strip() == str(tmp_path / "peers" / "bare")


def test_missing_pins_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="exact pins.*missing.txt"):
        peers.peer_python("peer", tmp_path / "missing.txt", folder=tmp_path)


def test_other_pins_are_ours_but_for_the_versions_given(tmp_path):
    path = peers.other_pins("old", {"ai-edge-litert": "1.4.0"}, ["numpy", "tqdm"], tmp_path)
    lines = path.read_text().splitlines()
    ours = (peers.REPOSITORY / "constraints.txt").read_text().splitlines()
    assert path == tmp_path / "old.txt"
    assert lines[-1] == "ai-edge-litert==1.4.0"
    assert [line.partition("==")[0] for line in lines] == ["numpy", "tqdm", "ai-edge-litert"]
    assert set(lines[:2]) < set(ours)


def test_a_need_that_nobody_pins_is_named(tmp_path):
    with pytest.raises(ValueError, match="constraints.txt pins. Received: no-such"):
        peers.other_pins("old", {}, ["numpy", "no-such"], tmp_path)
    assert list(tmp_path.iterdir()) == []
