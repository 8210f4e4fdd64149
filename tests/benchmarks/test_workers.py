import os

import pytest

from benchmarks.workers import in_processes


def told(number):
    return number, os.getpid(), os.environ["TF_NUM_INTRAOP_THREADS"]


def failing(number):
    raise ValueError(f"number {number}")


def test_every_call_runs_in_another_process_with_one_thread(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = in_processes(told, [(3,), (1,), (2,)])
    assert [number for number, _, _ in found] == [3, 1, 2]
    assert os.getpid() not in {process for _, process, _ in found}
    assert {threads for _, _, threads in found} == {"1"}
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "7" and "OMP_NUM_THREADS" not in os.environ


def test_an_error_of_a_call_is_raised():
    with pytest.raises(ValueError, match="number 2"):
        in_processes(failing, [(2,)])


def test_no_calls_give_nothing():
    assert in_processes(told, []) == []
