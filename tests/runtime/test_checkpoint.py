import errno
import hashlib
import os
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from edgeax.formats.training_signature import Ends, TrainingSignature, Variable
from edgeax.runtime import checkpoint

VARIABLES = (
    Variable("layer/kernel", (3, 5), "float32", True),
    Variable("layer/codes", (7,), "int8", True),
    Variable("optimizer/iteration", (), "int64", False),
)


def signature(model_id="a" * 64):
    return TrainingSignature(
        model_id=model_id,
        signatures={"infer": Ends(("x",), ("y",))},
        variables=VARIABLES,
        batch_size=1,
        infer_batch_size=1,
        loss="cross_entropy",
        optimizer={},
        learning_rate=0.1,
    )


def values(seed=0):
    draw = np.random.default_rng(seed)
    return {
        "layer/kernel": draw.normal(size=(3, 5)).astype(np.float32),
        "layer/codes": draw.integers(-128, 128, 7).astype(np.int8),
        "optimizer/iteration": np.asarray(2**40 + seed, np.int64),
    }


def equal(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture
def written(tmp_path):
    checkpoint.write(tmp_path / "a.ckpt", signature(), values())
    return tmp_path / "a.ckpt"


def test_what_was_written_is_read(written):
    found = checkpoint.read(written, signature())
    assert equal(found, values())
    assert [value.dtype for value in found.values()] == ["float32", "int8", "int64"]


def test_the_bytes_are_those_of_the_description(written):
    content = written.read_bytes()
    assert content[:12] == b"EDGEAXCK\x01\x00\x00\x00"
    assert content[-32 - 8 : -32] == (2**40).to_bytes(8, "little")


def test_every_damaged_byte_and_every_cut_is_found(written):
    content = written.read_bytes()
    for place in range(len(content)):
        broken = bytearray(content)
        broken[place] ^= 0x10
        written.write_bytes(broken)
        with pytest.raises(ValueError, match="is damaged|is none"):
            checkpoint.read(written, signature())
        written.write_bytes(content[:place])
        with pytest.raises(ValueError, match="is damaged|is none"):
            checkpoint.read(written, signature())


def test_that_of_another_model_is_refused(written):
    with pytest.raises(ValueError, match=r"model aaaaaaaaaaaa, not bbbbbbbbbbbb.*saved from"):
        checkpoint.read(written, signature("b" * 64))


@pytest.mark.parametrize(
    "head", [b"[]", b"{}", b"no json", b'{"model_id": 5}', b"\xff", 99999 * b"["]
)
def test_a_head_that_names_no_model_is_refused(written, head):
    body = b"EDGEAXCK" + struct.pack("<II", 1, len(head)) + head
    written.write_bytes(body + hashlib.sha256(body).digest())
    with pytest.raises(ValueError, match="`path` must be a checkpoint of this model"):
        checkpoint.read(written, signature())


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`path` must be a checkpoint.*which is a folder"):
        checkpoint.read(tmp_path, signature())


@pytest.mark.parametrize("given", [None, [1], {1: 0, "b": 0}])
def test_what_is_no_dict_of_the_variables_is_refused(given):
    with pytest.raises(ValueError, match="`values` must be a dict of.*'layer/codes'.*Received: "):
        checkpoint.checked(signature(), given)


@pytest.mark.parametrize("change", [slice(None, -1), slice(None, -30)])
def test_values_of_another_length_are_refused(written, change):
    body = (written.read_bytes()[:-32] + bytes(1))[change][:-1]
    for content in (body, body + bytes(9)):
        written.write_bytes(content + hashlib.sha256(content).digest())
        with pytest.raises(ValueError, match="is damaged"):
            checkpoint.read(written, signature())


def test_a_newer_one_is_refused(written, monkeypatch):
    monkeypatch.setattr(checkpoint, "VERSION", 2)
    checkpoint.write(written, signature(), values())
    monkeypatch.undo()
    with pytest.raises(ValueError, match="version 2, not 1. Update edgeax"):
        checkpoint.read(written, signature())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer/kernel": np.zeros((5, 3), np.float32)}, r"shape \(3, 5\).*shape \(5, 3\)"),
        ({"layer/codes": np.zeros(7, np.int16)}, "int8.*int16"),
        ({"layer/kernel": np.full((3, 5), np.nan, np.float32)}, "nan or inf in 'layer/kernel'"),
        ({"other": np.zeros(1)}, "Received:.*other"),
    ],
)
def test_values_unlike_their_variables_are_not_written(written, change, message):
    with pytest.raises(ValueError, match=message):
        checkpoint.write(written, signature(), {**values(1), **change})
    assert equal(checkpoint.read(written, signature()), values())


# The kernel ends the process at the byte that is over its limit; each of many forks has another.
_KILLED = """
    import os, resource, signal, sys
    from edgeax.runtime import checkpoint
    from tests.runtime import test_checkpoint as given
    path, kills, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    whole = 0
    for kill in range(kills):
        child = os.fork()
        if not child:
            limit = kill * size // kills
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            checkpoint.write(path, given.signature(), given.values(1))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXFSZ, (kill, status)
        whole += given.equal(checkpoint.read(path, given.signature()), given.values())
    print(whole)
    """


def run(code, *arguments):
    repository = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=repository, timeout=300
    )


def kill_while_saving(path, kills):
    outcome = run(_KILLED, path, kills, path.stat().st_size)
    assert outcome.stdout.strip() == str(kills), outcome.stderr
    checkpoint.write(path, signature(), values(2))
    assert os.listdir(path.parent) == [path.name]  # what the kills left is gone
    assert equal(checkpoint.read(path, signature()), values(2))


def test_a_kill_at_any_of_20_bytes_leaves_the_last_checkpoint(written):
    kill_while_saving(written, 20)


@pytest.mark.soak
def test_a_kill_at_any_of_200_bytes_leaves_the_last_checkpoint(written):
    kill_while_saving(written, 200)


def test_a_full_disk_leaves_the_last_checkpoint(written):
    code = """
        import resource, signal, sys
        from edgeax.runtime import checkpoint
        from tests.runtime import test_checkpoint as given
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            checkpoint.write(sys.argv[1], given.signature(), given.values(1))
        except OSError as error:
            print(error.errno)
        """
    outcome = run(code, written)
    assert outcome.stdout.strip() == str(errno.EFBIG), outcome.stderr
    assert equal(checkpoint.read(written, signature()), values())
    assert os.listdir(written.parent) == [written.name]
