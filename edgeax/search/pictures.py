"""Pictures: an empty one, where matplotlib is installed and the file can be written."""

from pathlib import Path
from typing import Any

from edgeax.formats.files import check_writable


def figure(path: str | Path, width: float, height: float) -> Any:
    """Returns a new matplotlib figure that is going to be saved at `path`.

    Args:
        path: The PNG to write later.
        width: Inches.
        height: Inches.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: The file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ImportError(
            'A picture needs matplotlib. Install it: pip install "edgeax[plot]"'
        ) from error
    check_writable(Path(path))
    return Figure(figsize=(width, height), layout="constrained")
