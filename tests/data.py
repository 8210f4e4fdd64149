"""Where tests find real data that is not part of the repository."""

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


def data_file(name: str) -> Path:
    """Returns the path of a data file; skips the test, naming the file, where it is missing.

    The folder is given by the environment variable EDGEAX_TEST_DATA.
    """
    path = Path(os.environ.get("EDGEAX_TEST_DATA", _DEFAULT)) / name
    if not path.is_file():
        pytest.skip(f"needs {name} in the folder EDGEAX_TEST_DATA ({path.parent})")
    return path.resolve()
