import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgeax.formats import files


def run(code, *arguments):
    """Starts a Python child process that runs code with the repository on its path."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    repository = Path(__file__).resolve().parents[2]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=repository)


def test_a_file_holds_what_was_written(tmp_path):
    files.write_atomically(tmp_path / "a.bin", b"\x00new")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00new"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_new_file_has_the_mode_that_open_would_give(tmp_path):
    files.write_atomically(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == (tmp_path / "b").stat().st_mode & 0o777


def test_an_old_file_is_replaced_and_keeps_its_mode(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    files.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    files.write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_link_into_a_folder_that_is_missing_or_read_only_is_refused(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("gone/a")
    with pytest.raises(ValueError, match=r"link', but '.*gone' is no folder"):
        files.write_atomically(tmp_path / "link", b"new")
    (tmp_path / "gone").mkdir()
    monkeypatch.setattr(os, "access", lambda folder, _: Path(folder).name != "gone")
    with pytest.raises(ValueError, match=r"link', but '.*gone' is read-only"):
        files.check_writable(tmp_path / "link")
    assert not os.listdir(tmp_path / "gone")


def test_a_relative_path_lies_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write_atomically("a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("check", [files.check_writable, lambda p: files.write_atomically(p, b"x")])
def test_a_missing_folder_is_named_with_the_way_out(tmp_path, check):
    with pytest.raises(ValueError, match=r"no_folder.*Create it first"):
        check(tmp_path / "no_folder" / "model.tflite")
    assert not os.listdir(tmp_path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"regular file.*folder or a device"):
        files.check_writable(tmp_path)


def test_a_device_is_not_replaced():
    with pytest.raises(ValueError, match="regular file"):
        files.write_atomically("/dev/null", b"x")


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ValueError, match="read-only for you"):
        files.check_writable(tmp_path / "a")


def test_check_writable_leaves_no_trace(tmp_path):
    files.check_writable(tmp_path / "a")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, broken, error):
    def fail(*_):
        raise error

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(type(error)):
        files.write_atomically(tmp_path / "a", b"new")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    child = run(
        """
        import resource, signal, sys
        from edgeax.formats import files
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        try:
            files.write_atomically(sys.argv[1], bytes(1 << 20))
        except OSError as error:
            print(error.errno)
        """,
        tmp_path / "a",
    )
    out, err = child.communicate(timeout=60)
    assert out.decode().strip() == str(errno.EFBIG), err.decode()
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_kill_during_the_write_leaves_no_part_under_the_final_name(tmp_path, old):
    if old is not None:
        (tmp_path / "a").write_bytes(old)
    child = run(
        """
        import os, sys, time
        from edgeax.formats import files
        def stall(handle):
            print("written", flush=True)
            time.sleep(60)
        os.fsync = stall
        files.write_atomically(sys.argv[1], bytes(1 << 20))
        """,
        tmp_path / "a",
    )
    assert child.stdout.readline() == b"written\n"
    sizes = [entry.stat().st_size for entry in os.scandir(tmp_path)]
    assert 1 << 20 in sizes  # the kill does come in the middle
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    if old is None:
        assert not (tmp_path / "a").exists()
    else:
        assert (tmp_path / "a").read_bytes() == old


def test_the_next_write_removes_what_a_kill_left_and_nothing_that_is_being_written(tmp_path):
    stalled = """
        import os, sys, time
        from edgeax.formats import files
        def stall(handle):
            print("written", flush=True)
            time.sleep(60)
        os.fsync = stall
        files.write_atomically(sys.argv[1], b"new")
        """
    killed, writing = (run(stalled, tmp_path / name) for name in "ab")
    assert killed.stdout.readline() == writing.stdout.readline() == b"written\n"
    killed.kill()
    killed.communicate(timeout=60)
    assert len(os.listdir(tmp_path)) == 2
    files.write_atomically(tmp_path / "c", b"new")
    left = sorted(os.listdir(tmp_path))
    assert len(left) == 2 and left[1] == "c"
    writing.kill()
    writing.communicate(timeout=60)
