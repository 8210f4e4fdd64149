"""`edgeax.NAME`: what is public, where it comes from, and that `edgeax.export` is a function."""

import inspect

import pytest

import edgeax
from tests import stand_in_package

NAMES = sorted({*edgeax._OBJECTS, *edgeax._MODULES})


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_exists_and_is_documented(name):
    value = getattr(edgeax, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value):
        methods = inspect.getmembers(value, inspect.isfunction)
        own = [m for n, m in methods if not n.startswith("_") and m.__module__.startswith("edgeax")]
        assert not [method.__qualname__ for method in own if not inspect.getdoc(method)]


def test_dir_lists_the_public_names():
    assert {*NAMES, "__version__"} <= set(dir(edgeax))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'edgeax' has no attribute 'compres'") as error:
        edgeax.compres  # noqa: B018
    assert error.value.name == "compres" and error.value.obj is edgeax


def test_a_star_import_brings_no_tensorflow(tmp_path):
    folder = stand_in_package.make(tmp_path / "packages")
    assert stand_in_package.run(folder, "from edgeax import *; print(__version__)") == [
        edgeax.__version__
    ]


@pytest.mark.parametrize(
    "program",
    [
        "edgeax.export",
        "edgeax.export; from edgeax.export import lower; lower.LOWERED",
        "edgeax.export; import edgeax.export.lower",
        "import edgeax.export",
        "import edgeax.export.lower",
        "from edgeax.export import lower; lower.LOWERED",
        "edgeax.Result",
        "from edgeax import export; export()",
        "import importlib; importlib.import_module('edgeax.export.lower').LOWERED",
    ],
)
def test_export_is_the_function_in_every_order_of_imports(tmp_path, program):
    folder = stand_in_package.make(tmp_path / "packages")
    program = f"import edgeax; {program}; print(edgeax.export())"
    assert stand_in_package.run(folder, program) == ["written"]


def test_export_is_the_function_beside_its_real_room():
    from edgeax.export import Result

    assert inspect.isfunction(edgeax.export)
    assert edgeax.Result is Result
