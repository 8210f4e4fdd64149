import importlib
import warnings
from pathlib import Path

import numpy as np
import pytest

from edgeax.runtime import backends, plugin
from tests.runtime import files


def test_delegate_path_names_the_built_library():
    path = Path(plugin.delegate_path())
    assert path.name == "libedgeax.so"
    assert path.read_bytes()[:4] == b"\x7fELF"


def test_a_missing_library_is_named_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(plugin, "_LIBRARY", tmp_path / "libedgeax.so")
    with pytest.raises(FileNotFoundError, match=r"libedgeax\.so\. Run `pip install edgeax`"):
        plugin.delegate_path()


@pytest.mark.parametrize("backend", ["ai_edge_litert", "tensorflow"])
def test_load_delegate_serves_the_stock_interpreter_of_the_same_package(backend):
    stock = backends.load_backend(backend).interpreter
    data, codes, expected = files.golden_file(files.golden_entries()[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces the end of its interpreter
        interpreter = stock(
            model_content=data, experimental_delegates=[plugin.load_delegate(backend=backend)]
        )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes)
    interpreter.invoke()
    output = interpreter.get_output_details()[0]["index"]
    np.testing.assert_array_equal(interpreter.get_tensor(output), expected)


def test_an_unknown_option_is_refused():
    with pytest.raises(ValueError, match="options of the delegate are: isa. Received: speed"):
        plugin.load_delegate({"speed": "fast"})


def test_the_runtime_package_offers_its_public_names():
    runtime = importlib.import_module("edgeax.runtime")
    assert {name for name in runtime.__all__ if getattr(runtime, name)} == set(runtime.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        runtime.nothing  # noqa: B018
