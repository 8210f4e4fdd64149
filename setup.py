"""Installs edgeax with C++ sources, builds its plugin library with the system's C++17 compiler."""

import re
import shutil
import sys
from pathlib import Path

from setuptools import Command, Distribution, errors, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # pip runs this file without its folder on the path
from tflite_kernels import build_library  # noqa: E402

LIBRARY = "edgeax/runtime/lib/libedgeax.so"
# Programs for microcontrollers carry these sources along, see edgeax/runtime/mcu/kernels.py.
SOURCES = [f for room in ("core", "micro") for f in ROOT.glob(f"tflite_kernels/{room}/*.*")]
SOURCES_FOLDER = Path("edgeax/runtime/mcu/sources")


class BuildKernels(Command):
    """Builds the plugin library: among the files to install, or in the tree when editable.

    A step of its own and not part of build_py, whose errors an editable install swallows.
    """

    description = "build the plugin library"
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib = ""

    def finalize_options(self) -> None:
        self.build_lib = self.get_finalized_command("build_py").build_lib

    def run(self) -> None:
        folder = ROOT if self.editable_mode else Path(self.build_lib)
        try:
            build_library.build(folder / LIBRARY)
        except build_library.BuildError as error:
            raise errors.CompileError(str(error)) from error
        for file in () if self.editable_mode else SOURCES:
            place = folder / SOURCES_FOLDER / file.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)

    def get_source_files(self) -> list[str]:
        return []  # MANIFEST.in names them

    def get_outputs(self) -> list[str]:
        return [str(Path(self.build_lib) / LIBRARY)]

    def get_output_mapping(self) -> dict[str, str]:
        return {output: LIBRARY for output in self.get_outputs()}


class Build(build):
    """Adds the library, and drops what an earlier build left: its files would be installed too."""

    sub_commands = [*build.sub_commands, ("build_kernels", None)]

    def run(self) -> None:
        shutil.rmtree(Path(self.build_lib) / "edgeax", ignore_errors=True)
        super().run()


class PlatformWheel(bdist_wheel):
    """The library is loaded by ctypes, so one wheel per platform serves every Python."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class PlatformDistribution(Distribution):
    """Belongs to one platform, though it has no extension module."""

    def has_ext_modules(self) -> bool:
        return True


def read_version() -> str:
    text = (ROOT / "edgeax" / "_version.py").read_text(encoding="utf-8")
    return re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)[0]


setup(
    name="edgeax",
    version=read_version(),
    description="Compression-aware training in Keras 3 for phones, Raspberry Pi and small boards",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: C++",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    packages=find_packages(include=["edgeax", "edgeax.*"]),
    package_data={
        "edgeax.formats": ["targets/*.json"],
        "edgeax.runtime.mcu": ["costs/*.json"],
    },
    zip_safe=False,
    python_requires=">=3.11",
    # Exact versions that the tests run with stand in constraints.txt.
    install_requires=[
        "absl-py>=1.4",
        "ai-edge-litert>=2.1,<3",
        "flatbuffers>=24.3.25",
        "numpy>=1.26",
    ],
    extras_require={
        "train": ["keras>=3.15,<4", "tensorflow>=2.21,<3"],
        # In an environment of its own: see constraints-tfmot.txt.
        "tfmot": ["tensorflow-model-optimization>=0.8.1", "tf-keras>=2.21"],
        "plot": ["matplotlib>=3.9"],
        "dev": [
            "build>=1.2",
            "clang-format==18.*",  # each major version lays some code out differently
            "litert-quantizer>=0.11",
            "mypy>=1.11",
            "pytest>=8.3",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.15",
            "selenium>=4.30",
            "setuptools>=77",
            "ziglang>=0.15",
        ],
    },
    entry_points={"console_scripts": ["edgeax = edgeax.cli:main"]},
    distclass=PlatformDistribution,
    cmdclass={"bdist_wheel": PlatformWheel, "build": Build, "build_kernels": BuildKernels},
)
