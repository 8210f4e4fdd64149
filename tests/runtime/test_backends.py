import pytest

from edgeax.runtime import backends


def only_installed(monkeypatch, *names):
    monkeypatch.setattr(
        backends.importlib.util, "find_spec", lambda name: True if name in names else None
    )


def test_auto_takes_the_first_installed_package(monkeypatch):
    assert backends.load_backend().name == "ai_edge_litert"
    only_installed(monkeypatch, "tensorflow")
    assert backends.load_backend().name == "tensorflow"


def test_a_missing_package_is_named_with_what_is_installed(monkeypatch):
    only_installed(monkeypatch, "tensorflow")
    with pytest.raises(ImportError, match=r"'tflite_runtime'.*Installed: \['tensorflow'\]"):
        backends.load_backend("tflite_runtime")


def test_no_package_at_all_says_what_to_install(monkeypatch):
    only_installed(monkeypatch)
    with pytest.raises(ImportError, match="pip install ai-edge-litert"):
        backends.load_backend()


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="`backend` must be one of .*Received: 'tflite'"):
        backends.load_backend("tflite")
