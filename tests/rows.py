"""Rows of parametrized tests that only `make soak` runs, as others go through the same lines."""

from collections.abc import Iterable
from typing import Any

import pytest


def soaked(*values: Any) -> Any:
    """A row that only `make soak` runs."""
    return pytest.param(*values, marks=pytest.mark.soak)


def kept(rows: Iterable[Any], *names: Any) -> list[Any]:
    """All the rows; those that are not named are for `make soak`."""
    found = [row if row in names else soaked(row) for row in rows]
    assert sum(row in names for row in found) == len(names), f"one of {names} is no row"
    return found
