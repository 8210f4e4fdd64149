"""Seeds every test module, and prints what the tests find for each kind of layer as one table.

A test says where its result belongs by `record_property("layer kind", [kind, column])`.
"""

import sys

import pytest


@pytest.fixture(autouse=True, scope="module")
def seeded():
    """Makes the networks of a module the same in every run: initializers draw from this seed."""
    if "keras" in sys.modules:  # as it is where the module builds a network
        sys.modules["keras"].utils.set_random_seed(0)


def pytest_terminal_summary(terminalreporter):
    """Prints the table of layer kinds, if any of its tests ran."""
    results: dict[str, dict[str, str]] = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "layer kind":
                    kind, column = value
                    results.setdefault(kind, {})[column] = outcome
    if not results:
        return
    columns = list(dict.fromkeys(column for row in results.values() for column in row))
    width = max(map(len, results))
    terminalreporter.section("layer kinds")
    terminalreporter.write_line("  ".join([" " * width, *columns]))
    for kind, row in results.items():
        cells = [row.get(column, "").ljust(len(column)) for column in columns]
        terminalreporter.write_line("  ".join([kind.ljust(width), *cells]).rstrip())
