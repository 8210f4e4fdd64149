import ctypes.util

import numpy as np
import pytest

from edgeax.sharing import partition


def test_the_edges_are_those_of_the_best_partition():
    values = np.array([0.0, 1.0, 5.0, 6.0, 20.0])
    assert partition.optimal_edges(values, np.ones(5), 3).tolist() == [0, 2, 4, 5]
    # 5 weighs so much that it stands alone rather than 20.
    weights = np.array([1.0, 1.0, 1e4, 1.0, 1e-4])
    assert partition.optimal_edges(values, weights, 3).tolist() == [0, 2, 3, 5]


@pytest.mark.parametrize(
    "values, weights, count, message",
    [
        ([1.0, 2.0], [1.0, 1.0], 3, "`count` must lie between 1.*count=3, 2 values, 2 weights"),
        ([1.0, 2.0], [1.0], 1, "`count` must lie.*2 values, 1 weights"),
        ([2.0, 1.0], [1.0, 1.0], 1, "`values` must ascend.*from 2 to 1"),
        ([1.0, 2.0], [1.0, -1.0], 1, "`weights` lie in.*from -1 to 1"),
    ],
)
def test_bad_arguments_are_refused(values, weights, count, message):
    with pytest.raises(ValueError, match=message):
        partition.optimal_edges(np.array(values), np.array(weights), count)


@pytest.fixture
def other_library(monkeypatch):
    def use(path):
        monkeypatch.setattr(partition, "delegate_path", lambda: path)
        partition._function.cache_clear()

    yield use
    partition._function.cache_clear()


def test_a_library_that_has_no_partition_is_named(other_library):
    other_library(ctypes.util.find_library("c"))
    with pytest.raises(ImportError, match="edgeax_partition.*libc.*older.*pip install"):
        partition.optimal_edges(np.arange(3.0), np.ones(3), 2)


def test_a_library_that_is_missing_is_said_to_be(other_library, monkeypatch, tmp_path):
    other_library(str(tmp_path / "libedgeax.so"))
    with pytest.raises(ImportError, match="libedgeax.so, which does not load"):
        partition.optimal_edges(np.arange(3.0), np.ones(3), 2)


def test_too_little_memory_is_an_error_of_its_own(monkeypatch):
    monkeypatch.setattr(partition, "_function", lambda: lambda *_: 5)
    with pytest.raises(MemoryError, match="3 values"):
        partition.optimal_edges(np.arange(3.0), np.ones(3), 2)
