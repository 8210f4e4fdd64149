"""The rules of the house: who may import whom, and what must stay in step with what."""

import ast
import functools
import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import edgeax
from edgeax.formats import methods, operators

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "edgeax"
KERNELS = REPOSITORY / "tflite_kernels"
TESTS = REPOSITORY / "tests"

# Imports go down: a room may import rooms of a lower floor only. cli.py lies above them all.
FLOORS = {
    **{"formats": 0, "transforms": 1, "runtime": 1, "model": 2},
    **{"training": 3, "post_training": 3, "export": 3, "pruning": 4, "sharing": 4, "search": 5},
}
FORMATS_MAY_IMPORT = {"numpy", "flatbuffers", "edgeax"}  # beside the standard library
FRAMEWORKS = {"keras", "tensorflow"}
# Public modules at the top that only name what a room holds.
FACADES = {
    "analog.py",
    "callbacks.py",
    "constraints.py",
    "cost.py",
    "data.py",
    "layers.py",
    "lifelong.py",
    "losses.py",
    "mcu.py",
    "optimizers.py",
    "regularizers.py",
}

MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(p for room in ("core", "arch", "adapters") for p in (KERNELS / room).rglob("*.cc"))


def short(path):
    return str(path.relative_to(REPOSITORY))


def every(paths):
    return pytest.mark.parametrize("path", paths, ids=short)


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else None


def imports(tree):
    """All modules that a syntax tree imports, wherever in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imports_on_load(tree):
    """The modules that are imported as soon as this one is: none of those inside functions."""
    waiting, names = [tree], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= imports(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return names


def assigned_names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.Delete):
            yield from (ast.unparse(target) for target in node.targets)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            yield ast.unparse(node.target)
        elif isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_every_room_has_a_floor():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms <= set(FLOORS)


@every([path for path in MODULES if room_of(path)])
def test_imports_go_down(path):
    room = room_of(path)
    for name in imports(tree_of(path)):
        parts = [*name.split("."), ""]
        if parts[0] != "edgeax" or parts[1] == "_version":
            continue
        assert parts[1] in FLOORS, f"{short(path)} imports {name}, which lies above all rooms"
        down = FLOORS[parts[1]] < FLOORS[room]
        assert down or parts[1] == room, f"{short(path)} imports {name}, which is no lower floor"


@every(MODULES)
def test_imports_are_absolute(path):
    nodes = ast.walk(tree_of(path))
    assert not [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]


@every([path for path in MODULES if room_of(path) == "formats"])
def test_formats_need_numpy_and_flatbuffers_only(path):
    allowed = set(FORMATS_MAY_IMPORT)
    if path.name == "flatbuffer.py":
        allowed |= {"ai_edge_litert"}  # the generated schema, nothing else of it
    for name in imports(tree_of(path)):
        top = name.partition(".")[0]
        assert top in allowed or top in sys.stdlib_module_names, f"{short(path)} imports {name}"
        if top == "ai_edge_litert":
            assert name.startswith("ai_edge_litert.schema_py_generated")


@every([p for p in MODULES if room_of(p) in ("runtime", None) and p.name not in FACADES])
def test_the_runtime_and_the_top_load_without_a_framework(path):
    loaded = {name.partition(".")[0] for name in imports_on_load(tree_of(path))}
    assert not loaded & FRAMEWORKS


@every(MODULES)
def test_package_code_raises_and_does_not_assert(path):
    assert not [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)]


@every(MODULES)
def test_package_code_uses_public_keras_3_only(path):
    names = imports(tree_of(path))
    assert not [name for name in names if name.startswith("tf_keras")]
    assert "keras.src" not in path.read_text(encoding="utf-8")


@every(MODULES)
def test_package_code_sets_no_environment_variable(path):
    changing = ("os.environ[", "os.environ.", "os.putenv", "os.unsetenv")
    reading = ("os.environ.get", "os.environ.copy")
    names = assigned_names(tree_of(path))
    assert not [name for name in names if name.startswith(changing) and name not in reading]


@every([p for p in MODULES if p.name not in ("__init__.py", "__main__.py", "_version.py")])
def test_every_module_has_its_test_file(path):
    place = path.relative_to(PACKAGE)
    assert (TESTS / place.parent / f"test_{place.name.lstrip('_')}").is_file()


@every(sorted(KERNELS.glob("*.py")))
def test_every_build_script_has_its_test_file(path):
    assert (TESTS / "tflite_kernels" / f"test_{path.name}").is_file()


@every(SOURCES)
def test_every_kernel_source_is_built_or_named_by_a_test(path):
    if path.relative_to(KERNELS).as_posix() in listed_sources():
        return
    tests = (p for p in TESTS.rglob("*") if p.suffix in (".py", ".cc"))
    assert any(path.name in test.read_text(encoding="utf-8") for test in tests)


def test_every_listed_kernel_source_exists():
    assert {file for file in listed_sources() if not (KERNELS / file).is_file()} == set()


def listed_sources():
    listed = json.loads((KERNELS / "sources.json").read_text(encoding="utf-8"))
    processors = (entry["file"] for name in listed if name != "common" for entry in listed[name])
    return {*listed["common"], *processors}


@every([path for path in sorted(KERNELS.rglob("core/*")) if path.suffix in (".h", ".cc")])
def test_the_core_is_portable(path):
    text = path.read_text(encoding="utf-8")
    included = re.findall(r'#include "(.+)"', text)
    assert all(name.startswith("tflite_kernels/core/") for name in included), included
    code = re.sub(r"//.*", "", text)
    assert not re.search(
        r"\b(malloc|calloc|free|new|delete|throw|try|catch|assert)\b\s*[^;=]", code
    )


def test_the_generated_op_table_is_fresh():
    header = (KERNELS / "core" / "op_table.h").read_text(encoding="utf-8")
    assert header == operators.c_header(), "write edgeax.formats.operators.c_header() into it"


def test_every_method_names_the_test_that_holds_it_to_its_source():
    for module in pkgutil.walk_packages(edgeax.__path__, "edgeax."):
        if not module.name.endswith("__main__"):  # importing that runs the command line
            importlib.import_module(module.name)
    listed = methods.methods()
    assert listed
    for method in listed:
        file, _, function = method.test.partition("::")
        defined = {n.name for n in ast.walk(tree_of(REPOSITORY / file)) if hasattr(n, "name")}
        assert function in defined, f"{method.public} names {method.test}, which is not there"
        assert method.key.lower() in function, f"{method.test} must name {method.key}"


def test_no_file_names_the_workplace_or_a_package_host():
    # Written in parts, so that this file does not name them either.
    hosts = ("pypi.", "pythonhosted.", "debian.", "npmjs.", "githubusercontent.")
    words = [re.escape(host) + "(org|com)" for host in hosts]
    pattern = re.compile("|".join([*words, r"(?<![\w.])/" + "work/", "sha" + "red/[a-z]+[.]md"]))
    skipped = {"build", "dist"}
    for path in REPOSITORY.rglob("*"):
        parts = path.relative_to(REPOSITORY).parts
        hidden = parts[0].startswith(".") and parts[0] not in (".ci", ".gitignore")
        if parts[0] in skipped or hidden or "__pycache__" in parts or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert not pattern.search(text), f"{short(path)}: {pattern.search(text)}"
