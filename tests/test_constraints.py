"""The constraints files pin every package that the tests run with, and setup.py allows the pins."""

import re
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from tests import environments, source_tree

EXTRAS = ("train", "plot", "dev")
FILES = (
    "constraints.txt",
    "constraints-tflite-runtime.txt",
    "constraints-tfmot.txt",
    "constraints-tflite-micro.txt",
)


def pins(file):
    lines = (source_tree.REPOSITORY / file).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {environments.plain(name): version for name, version in pairs}


@pytest.fixture(scope="module")
def requirements(tmp_path_factory):
    """What edgeax with its extras asks for, as setup.py says it."""
    folder = tmp_path_factory.mktemp("metadata")
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", folder]
    subprocess.run(command, cwd=source_tree.REPOSITORY, check=True)
    texts = metadata.PathDistribution(folder / "edgeax.egg-info").requires
    return [Requirement(text) for text in texts]


def wanted(requirements, extras):
    evaluated = ({"extra": extra} for extra in ("", *extras))
    chosen = [
        need
        for extra in evaluated
        for need in requirements
        if need.marker is None or need.marker.evaluate(extra)
    ]
    return {environments.plain(need.name): need for need in chosen}


@pytest.mark.parametrize("file", FILES)
def test_every_line_is_an_exact_version(file):
    lines = (source_tree.REPOSITORY / file).read_text(encoding="utf-8").splitlines()
    exact = re.compile(r"#.*|[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.+]*")
    assert [line for line in lines if not exact.fullmatch(line)] == []


def test_the_pins_lie_in_the_ranges_of_setup_py(requirements):
    versions = pins("constraints.txt")
    needs = wanted(requirements, EXTRAS)
    outside = {n for n, need in needs.items() if not need.specifier.contains(versions[n])}
    assert outside == set()
    versions = pins("constraints-tfmot.txt")
    needs = wanted(requirements, ("tfmot",))
    tfmot = needs.keys() - wanted(requirements, ()).keys()
    assert tfmot and {n for n in tfmot if not needs[n].specifier.contains(versions[n])} == set()


def test_every_package_that_the_tests_run_with_is_pinned(requirements):
    versions = pins("constraints.txt")
    needed = environments.closure(str(need) for need in wanted(requirements, EXTRAS).values())
    installed = {name: metadata.version(name) for name in needed}
    assert installed == {name: versions.get(name) for name in needed}


def test_pins_are_the_versions_that_edgeax_was_planned_for():
    main, tflite_runtime, tfmot, tflite_micro = (pins(file) for file in FILES)
    planned = {"tensorflow": "2.21.0", "keras": "3.15.1", "ai-edge-litert": "2.3.0"}
    assert main.items() >= planned.items()
    assert tflite_runtime["tflite-runtime"] == "2.14.0"
    assert tflite_micro["tflite-micro"] == "0.dev20261023182759"
    assert int(tflite_runtime["numpy"].partition(".")[0]) < 2
    planned = {
        "tensorflow": "2.21.0",
        "tf-keras": "2.21.0",
        "tensorflow-model-optimization": "0.8.1",
    }
    assert tfmot.items() >= planned.items()
