"""Rows of facts as a plain text table, for everything that edgeax prints."""

from collections.abc import Mapping, Sequence
from typing import Any


def text_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lays rows out in aligned columns under their names.

    Args:
        rows: Column name to value; a column that a row lacks, or whose value is None, stays empty.
            Columns come in the order in which they first appear. Numbers are right-aligned, whole
            ones with separators at the thousands, others with four significant digits.
    Returns:
        Lines without trailing blanks, joined by newlines; empty without rows.
    Example: `text_table([{"name": "a", "bytes": 1200}])` is "name  bytes" above "a     1,200".
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    laid_out = [_column(name, [row.get(name) for row in rows]) for name in columns]
    return "\n".join("  ".join(line).rstrip() for line in zip(*laid_out, strict=True))


def _column(name: str, values: Sequence[Any]) -> list[str]:
    cells = [name, *map(_cell, values)]
    width = max(map(len, cells))
    if all(value is None or _is_number(value) for value in values):
        return [cell.rjust(width) for cell in cells]
    return [cell.ljust(width) for cell in cells]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not _is_number(value):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
