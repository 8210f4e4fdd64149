"""Benchmarks that train, within the process of a test, and nothing traced: steps are few."""

import contextlib
import json

import tensorflow as tf


@contextlib.contextmanager
def eagerly():
    """Has functions run as they are: to trace one costs more than a few steps."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def report_of(benchmark, path, monkeypatch):
    """Returns the report of `--quick`."""
    monkeypatch.setattr(
        benchmark, "in_processes", lambda function, calls: [function(*call) for call in calls]
    )
    with eagerly():
        assert benchmark.main(["--quick", "--json", str(path)]) == 0
    return json.loads(path.read_text())
