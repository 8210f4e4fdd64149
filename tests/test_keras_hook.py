"""Keras knows edgeax's classes after `import edgeax`, whichever of the two is imported first."""

import sys

import pytest

from tests import environments, source_tree, stand_in_package

HOOKS = "import sys; print([f for f in sys.meta_path if type(f).__module__.startswith('edgeax')])"


@pytest.mark.parametrize(
    "program",
    [
        "import edgeax, keras",
        "import keras, edgeax",
        "import edgeax, edgeax.model",
        "import edgeax; edgeax.Recipe",
    ],
)
def test_classes_are_registered_once_after_keras_ran_and_the_hook_goes(tmp_path, program):
    folder = stand_in_package.make(tmp_path / "packages")
    printed = stand_in_package.run(folder, f"{program}; import keras; {HOOKS}")
    assert printed == ["keras", "edgeax.model", "[]"]


def test_importing_edgeax_does_not_import_keras(tmp_path):
    folder = stand_in_package.make(tmp_path / "packages")
    assert stand_in_package.run(folder, "import edgeax") == []


@pytest.mark.parametrize("program", ["import edgeax, keras", "import keras, edgeax"])
def test_another_backend_is_left_alone(tmp_path, program):
    folder = stand_in_package.make(tmp_path / "packages", backend="jax")
    assert stand_in_package.run(folder, program) == ["keras"]


def test_a_missing_keras_stays_missing_and_may_come_later(tmp_path):
    folder = stand_in_package.make(tmp_path / "packages")
    (folder / "keras").rename(folder / "later")
    program = f"""
import edgeax, importlib, os
try:
    import keras
except ModuleNotFoundError as error:
    print(error)
os.rename({str(folder / "later")!r}, {str(folder / "keras")!r})
importlib.invalidate_caches()
import keras
"""
    # -S: without the site-packages of this environment there is no other Keras
    done = environments.run([sys.executable, "-S", "-c", program], PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["No module named 'keras'", "keras", "edgeax.model"]


def test_an_import_of_keras_that_fails_leaves_the_hook_waiting(tmp_path):
    folder = stand_in_package.make(tmp_path / "packages")
    text = (folder / "keras/__init__.py").read_text()
    fail_once = "import edgeax\nif not hasattr(edgeax, 'tried'):\n edgeax.tried = 1; 1 / 0\n"
    (folder / "keras/__init__.py").write_text(fail_once + text)
    program = """
import edgeax
try:
    import keras
except ZeroDivisionError:
    print("failed")
import keras
"""
    assert stand_in_package.run(folder, program) == ["failed", "keras", "edgeax.model"]


def test_asking_whether_keras_is_there_does_not_use_the_hook_up(tmp_path):
    folder = stand_in_package.make(tmp_path / "packages")
    program = "import edgeax, importlib.util; print(importlib.util.find_spec('keras').name); "
    printed = stand_in_package.run(folder, f"{program} import keras")
    assert printed == ["keras", "keras", "edgeax.model"]


def test_threads_that_import_keras_together_register_once(tmp_path):
    folder = stand_in_package.make(tmp_path / "packages")
    text = (folder / "keras/__init__.py").read_text()
    (folder / "keras/__init__.py").write_text(f"import time; time.sleep(0.2)\n{text}")
    program = """
import edgeax, threading
def work(barrier):
    barrier.wait()
    import keras
barrier = threading.Barrier(8)
threads = [threading.Thread(target=work, args=[barrier]) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    assert stand_in_package.run(folder, program) == ["keras", "edgeax.model"]


def test_edgeax_imported_while_another_thread_imports_keras_waits_for_it(tmp_path):
    folder = stand_in_package.make(tmp_path / "packages")
    text = (folder / "keras/__init__.py").read_text()
    (folder / "keras/__init__.py").write_text(f"import time; time.sleep(0.5)\n{text}")
    program = """
import importlib, sys, threading, time
thread = threading.Thread(target=importlib.import_module, args=["keras"])
thread.start()
while "keras" not in sys.modules:
    time.sleep(0.01)
import edgeax
thread.join()
"""
    assert stand_in_package.run(folder, program) == ["keras", "edgeax.model"]


def test_keras_imports_although_edgeax_cannot_register_and_a_warning_says_so(tmp_path):
    folder = stand_in_package.make(tmp_path / "packages", model="import no_such_module")
    program = "import edgeax, keras"
    done = environments.run([sys.executable, "-c", program], PYTHONPATH=str(folder))
    assert (done.returncode, done.stdout) == (0, "keras\n")
    assert "edgeax could not register its layers with Keras" in done.stderr
    assert "no_such_module" in done.stderr


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    import keras

    import edgeax

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    rule = edgeax.Rule("dense", kernel=[edgeax.Quantize("int8", axis=-1)])
    path = tmp_path_factory.mktemp("model") / "small.keras"
    edgeax.compress(model, edgeax.Recipe([rule])).save(path)
    return path


@pytest.mark.parametrize(
    "imports",
    ["import edgeax, keras", "import keras, edgeax", "import edgeax; from tensorflow import keras"],
)
def test_a_saved_model_loads_with_only_import_edgeax(model_file, imports):
    program = f"{imports}; model = keras.models.load_model({str(model_file)!r}); print(model.name)"
    command = [sys.executable, "-c", program]
    done = environments.run(command, PYTHONPATH=str(source_tree.REPOSITORY))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("sequential")
    assert "could not register" not in done.stderr


def test_importing_edgeax_loads_neither_keras_nor_tensorflow():
    program = "import edgeax, sys; print({'keras', 'tensorflow', 'numpy'} & set(sys.modules))"
    command = [sys.executable, "-c", program]
    done = environments.run(command, PYTHONPATH=str(source_tree.REPOSITORY))
    assert done.stdout == "set()\n", done.stderr
