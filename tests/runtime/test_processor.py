import platform
from pathlib import Path

import pytest

from edgeax.runtime import plugin, processor


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Processor\nflags\t: fpu\n",
            "Intel(R) Xeon(R) Processor",
        ),
        (
            "processor\t: 0\nCPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model B\n",
            "Raspberry Pi 4 Model B",
        ),
        ("processor\t: 0\nmodel name\t:\n", platform.machine()),
    ],
)
def test_the_processor_is_named_as_linux_does(text, expected, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "_LINUX", tmp_path / "cpuinfo")
    assert processor.processor_name() == expected


def test_elsewhere_python_says_what_it_knows(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_LINUX", tmp_path / "none")
    assert processor.processor_name()


def test_the_fastest_kernels_are_those_of_the_instructions_that_linux_lists():
    flags = set(Path("/proc/cpuinfo").read_text().split())
    if platform.machine() == "x86_64":
        wide = {"avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_vpopcntdq"}
        expected = "avx512" if wide <= flags else "avx2" if "avx2" in flags else "reference"
    else:
        expected = "neon_dotprod" if "asimddp" in flags else "neon"
    assert processor.fastest_kernels() == expected


def test_without_the_plugin_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin, "_LIBRARY", tmp_path / "none.so")
    with pytest.raises(FileNotFoundError, match="plugin library"):
        processor.fastest_kernels()
