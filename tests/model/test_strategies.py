"""A compressed model trained by several replicas ends with the weights of the plain run."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests import source_tree

PROGRAM = Path(__file__).parent / "strategies" / "program.py"


def start(*words, **environment):
    """Starts a run of the program in a process of its own: devices are set once in each."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *words],
        env={**own, "PYTHONPATH": str(source_tree.REPOSITORY), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def results(process, *files):
    """Returns what a run wrote, once it has ended."""
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output[-3000:]
    return [dict(np.load(file)) for file in files]


def free_ports(count):
    """Returns ports of this machine that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="module")
def devices(tmp_path_factory):
    """Returns what runs on two devices and without a strategy write."""
    folder = tmp_path_factory.mktemp("devices")
    files = [str(folder / "mirrored.npz"), str(folder / "plain.npz")]
    return results(start("mirrored", files[0], "none", files[1]), *files)


@pytest.fixture(scope="module")
def plain(devices):
    return devices[1]


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """Returns what each of two workers writes."""
    folder = tmp_path_factory.mktemp("workers")
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    files = [str(folder / "0.npz"), str(folder / "1.npz")]
    processes = []
    try:
        for index, file in enumerate(files):
            place = {"cluster": cluster, "task": {"type": "worker", "index": index}}
            processes.append(start("workers", file, TF_CONFIG=json.dumps(place)))
        pairs = zip(processes, files, strict=True)
        return [found for process, file in pairs for found in results(process, file)]
    finally:
        for process in processes:
            process.kill()


def assert_equal(ours, theirs, ranges):
    """Asserts equal weights and states, but for what sums in another order make of floats."""
    assert (ours["replicas"], theirs["replicas"]) == (2, 1)
    assert ours.keys() == theirs.keys()
    names = [name for name in ours if name.startswith(ranges)]
    assert len(names) > 10
    for name in names:
        assert np.allclose(ours[name], theirs[name], atol=1e-5), name
    masks = [ours[name] for name in names if name.endswith("mask")]
    assert masks and all(np.mean(~mask) >= 0.49 for mask in masks)  # the schedules went on


RANGES = ["fixed", "moving_average"]


@pytest.mark.parametrize("ranges", RANGES)
def test_two_mirrored_devices_train_to_the_same_weights(devices, ranges):
    assert_equal(*devices, ranges)


@pytest.mark.parametrize("ranges", RANGES)
def test_two_workers_train_to_the_same_weights(plain, workers, ranges):
    for ours in workers:
        assert_equal(ours, plain, ranges)
