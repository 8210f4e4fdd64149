"""A copy of the sources to build in, so that a test leaves the repository as it is."""

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = (
    "CHANGELOG.md",
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "constraints-tflite-runtime.txt",
    "constraints-tfmot.txt",
    "constraints.txt",
    "edgeax",
    "pyproject.toml",
    "setup.py",
    "tflite_kernels",
)
OBJECTS = Path("build") / "tflite_kernels"


def copy(folder: Path) -> Path:
    """Copies what a source distribution is made from, and the object files to save time."""
    folder.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__", "lib")
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            shutil.copy2(source, folder / part)
    copy_objects(folder)
    return folder


def copy_objects(folder: Path) -> None:
    """Copies the object files into a tree, where there are any."""
    if (REPOSITORY / OBJECTS).is_dir():
        unfinished = shutil.ignore_patterns(".*")  # another test may be compiling
        shutil.copytree(REPOSITORY / OBJECTS, folder / OBJECTS, ignore=unfinished)
