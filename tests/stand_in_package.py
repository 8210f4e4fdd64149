"""edgeax's top level with rooms of one line each, and a Keras of one line, for child processes.

Importing the real Keras takes seconds; what happens around its import does not depend on it.
"""

import shutil
import sys
from pathlib import Path

from tests import environments, source_tree

KERAS = """import types
backend = types.SimpleNamespace(backend=lambda: {backend!r})
print("keras", flush=True)
"""


def make(folder: Path, backend: str = "tensorflow", model: str = 'print("edgeax.model")') -> Path:
    """Makes the packages; `model` is the text of edgeax.model."""
    (folder / "edgeax").mkdir(parents=True)
    for file in (source_tree.REPOSITORY / "edgeax").glob("_*.py"):
        shutil.copy(file, folder / "edgeax")
    rooms = {
        "edgeax/model": f"import keras\nclass Recipe: pass\n{model}\n",
        "edgeax/training": "import keras\n",
        "edgeax/export": "from edgeax.export.write import export\nclass Result: pass\n",
        "keras": KERAS.format(backend=backend),
    }
    for name, text in rooms.items():
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(text)
    (folder / "edgeax/export/write.py").write_text('def export(): return "written"\n')
    (folder / "edgeax/export/lower.py").write_text("LOWERED = 4\n")
    return folder


def run(folder: Path, program: str) -> list[str]:
    """Runs a program that sees these packages and returns the lines that it prints."""
    done = environments.run([sys.executable, "-c", program], PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
