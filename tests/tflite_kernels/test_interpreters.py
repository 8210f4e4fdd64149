"""One library in every interpreter that users have, each in the environment it needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tflite_kernels import golden_folder, native

REPOSITORY = Path(__file__).resolve().parents[2]
TFLITE_RUNTIME = REPOSITORY / "build" / "tflite_runtime" / "bin" / "python"
CHECK = REPOSITORY / "tests" / "tflite_kernels" / "run_plugin_check.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    models = tmp_path_factory.mktemp("golden")
    golden_folder.write(models)
    return models


@pytest.mark.parametrize("module", ["ai_edge_litert.interpreter", "tflite_runtime.interpreter"])
def test_an_interpreter_gives_the_golden_codes_bit_for_bit(module, folder):
    python = sys.executable
    if module.startswith("tflite_runtime"):
        if not TFLITE_RUNTIME.exists():
            pytest.skip("Missing: the environment build/tflite_runtime. Run: make test")
        python = str(TFLITE_RUNTIME)
    library = str(native.build())
    words = [python, str(CHECK), module, library, str(folder)]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    outcome = subprocess.run(words, capture_output=True, text=True, env=clean, timeout=120)
    count = len(list(folder.glob("*.tflite")))
    assert outcome.stdout.endswith(f"plugin: {count} files, 0 wrong\n"), outcome
    assert outcome.returncode == 0
