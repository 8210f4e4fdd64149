import pytest

from edgeax.runtime.mcu import kernels


def test_the_sources_of_this_checkout_are_found():
    assert (kernels.folder() / "tflite_kernels" / "micro" / "types.h").is_file()


def test_what_headers_include_and_what_defines_them_is_needed(tmp_path, monkeypatch):
    texts = {
        "micro/types.h": '#include "tflite_kernels/core/types.h"\n',
        "micro/a.h": '#include "tflite_kernels/micro/types.h"\n',
        "micro/a.cc": '#include "tflite_kernels/micro/a.h"\n#include "tflite_kernels/micro/b.h"\n',
        "micro/b.h": "#include <stdint.h>\n",
        "micro/b.cc": '#include "tflite_kernels/micro/b.h"\n',
        "micro/unused.h": "",
        "core/types.h": "",
    }
    for path, text in texts.items():
        place = tmp_path / "tflite_kernels" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    monkeypatch.setattr(kernels, "_INSTALLED", tmp_path)
    expected = {f"tflite_kernels/{path}" for path in texts} - {"tflite_kernels/micro/unused.h"}
    assert kernels.needed(["a.h"]) == sorted(expected)
    assert "tflite_kernels/micro/a.cc" not in kernels.needed([])


def test_missing_sources_say_where_they_were_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "_INSTALLED", tmp_path)
    monkeypatch.setattr(kernels, "_CHECKOUT", tmp_path)
    with pytest.raises(FileNotFoundError, match="Install edgeax again"):
        kernels.folder()
