"""CMSIS-NN as generated programs use it, and a user's own where the environment names one.

EDGEAX_CMSIS_NN=FOLDER is a tree of it, EDGEAX_CMSIS_NN_LIBRARIES=FOLDER what the build of that tree
made: host/libcmsis-nn.a, cortex-m4/libcmsis-nn.a and so on.
"""

import os
from dataclasses import dataclass
from pathlib import Path

HERE = "host"


@dataclass(frozen=True)
class Library:
    """CMSIS-NN for a machine.

    Attributes:
        tree: Folder with `Include`.
        file: What is linked.
    """

    tree: Path
    file: Path

    @property
    def flags(self) -> list[str]:
        """What compiles programs by it."""
        return ["-DEDGEAX_USE_CMSIS_NN=1", "-isystem", str(self.tree / "Include")]


def of_user(machine: str) -> Library | None:
    """Returns the user's, for a board of boards.py or for `HERE`; None: there is none."""
    tree, folder = (os.environ.get(f"EDGEAX_CMSIS_NN{name}") for name in ("", "_LIBRARIES"))
    if not tree or not folder:
        return None
    file = Path(folder) / machine / "libcmsis-nn.a"
    return Library(Path(tree), file) if file.is_file() else None
