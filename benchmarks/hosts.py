"""The interpreters that users have, each in an environment of its own, made when first asked for.

Emulated processors are those of tests/emulation; their environment lies in build/aarch64-*.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import REPOSITORY
from benchmarks.peers import other_pins, peer_python
from edgeax.runtime.plugin import delegate_path
from tests.emulation import aarch64, packages, places, process, setup
from tflite_kernels import build_library

CHILD = Path(__file__).resolve().parent / "children" / "run_file.py"
X86_COMPILER = "gcc"

_LITERT_NEEDS = (
    "backports.strenum",
    "flatbuffers",
    "ml_dtypes",
    "numpy",
    "protobuf",
    "tqdm",
    "typing_extensions",
)
_TENSORFLOW_NEEDS = tuple(
    "absl-py astunparse certifi charset-normalizer flatbuffers gast google-pasta grpcio h5py idna "
    "keras libclang markdown-it-py mdurl ml_dtypes namex numpy opt_einsum optree packaging "
    "protobuf Pygments requests rich setuptools six termcolor typing_extensions urllib3 wheel "
    "wrapt".split()
)


@dataclass(frozen=True)
class Interpreter:
    """One interpreter of one release on one processor.

    Attributes:
        name: As the issue names it.
        distribution: What pip installs.
        version: Its release.
        package: What Python imports, as `children/run_file.py` knows it.
        needs: What the distribution needs, in the versions of constraints.txt; None where a
            constraints file of its own, `constraints-<distribution>.txt`, pins everything.
        cpu: Name of the emulated CPU; None for this machine.
    """

    name: str
    distribution: str
    version: str
    package: str
    needs: tuple[str, ...] | None
    cpu: str | None = None


def _litert(version: str) -> Interpreter:
    name = f"ai-edge-litert {version}"
    return Interpreter(name, "ai-edge-litert", version, "ai_edge_litert", _LITERT_NEEDS)


def _arm_litert(cpu: str) -> Interpreter:
    name = f"aarch64 ai-edge-litert 2.3.0 on {cpu}"
    return Interpreter(name, "ai-edge-litert", "2.3.0", "ai_edge_litert", None, cpu)


NEWEST = _litert("2.3.0")
INTERPRETERS = (
    _litert("1.4.0"),
    _litert("2.0.3"),
    _litert("2.1.6"),
    NEWEST,
    Interpreter("tflite-runtime 2.14.0", "tflite-runtime", "2.14.0", "tflite_runtime", None),
    Interpreter("tf.lite 2.21.0", "tensorflow", "2.21.0", "tensorflow", _TENSORFLOW_NEEDS),
    _arm_litert("cortex-a72"),
    _arm_litert("cortex-a76"),
)


@dataclass(frozen=True)
class Answer:
    """What one run of a file gave.

    Attributes:
        outputs: One row per image, in the type of the file's output.
        version: Release of the interpreter, read where it ran.
        peak_mib: By how much the peak of memory lies above the interpreter without a model.
    """

    outputs: np.ndarray
    version: str
    peak_mib: float


@dataclass(frozen=True)
class Host:
    """An interpreter that is ready to run files.

    Attributes:
        interpreter: Which it is.
        plugin: edgeax's library for its processor.
        execute: Runs the child with arguments, where the interpreter is.
    """

    interpreter: Interpreter
    plugin: Path
    execute: Callable[[Sequence[str]], process.Outcome]

    def run(
        self,
        file: Path,
        images: np.ndarray,
        *,
        plugin: bool = False,
        isa: str = "auto",
        xnnpack: bool = True,
    ) -> Answer:
        """Runs a file in a fresh process, image by image.

        Args:
            file: A `.tflite` for batch 1.
            images: Rows for its input, in the input's type.
            plugin: Whether the file needs edgeax's plugin.
            isa: The plugin's kernels.
            xnnpack: Whether the interpreter may use XNNPACK, as it does by default.
        Raises:
            RuntimeError: the process failed, or another release than the named one answered.
        """
        with tempfile.TemporaryDirectory() as folder:
            given, result = Path(folder, "images.npy"), Path(folder, "result.npz")
            np.save(given, images)
            words = [self.interpreter.package, str(file), str(given), str(result)]
            words += ["--plugin", str(self.plugin), "--isa", isa] if plugin else []
            words += [] if xnnpack else ["--without-xnnpack"]
            outcome = self.execute(words)
            if outcome.code != 0:
                raise RuntimeError(
                    f"{self.interpreter.name} must run {file}. Received: exit code {outcome.code}. "
                    f"It said:\n{outcome.output}"
                )
            with np.load(result) as found:
                answer = Answer(found["outputs"], str(found["version"]), float(found["peak_mib"]))
        if answer.version != self.interpreter.version:
            raise RuntimeError(
                f"{self.interpreter.name} must be release {self.interpreter.version}. Received: "
                f"{answer.version}. Name the release that is installed in benchmarks/hosts.py."
            )
        return answer


def prepare(interpreter: Interpreter) -> Host:
    """Gets an interpreter ready; the first call installs its environment.

    Raises:
        RuntimeError: The environment could not be made; says which, and what to do.
    """
    return _prepare_here(interpreter) if interpreter.cpu is None else _prepare_arm(interpreter)


def _prepare_here(interpreter: Interpreter) -> Host:
    """An environment of this machine's Python."""
    pinned = f"{interpreter.distribution}=={interpreter.version}"
    try:
        if interpreter.needs is None:
            python = peer_python(interpreter.distribution)
        else:
            name = f"{interpreter.distribution}-{interpreter.version}"
            versions = {interpreter.distribution: interpreter.version}
            python = peer_python(name, other_pins(name, versions, interpreter.needs))
    except subprocess.CalledProcessError as error:
        raise RuntimeError(
            f"{interpreter.name} must have an environment below {REPOSITORY / 'build' / 'peers'}. "
            f"Received: exit code {error.returncode} while making it, with the messages above. It "
            f"needs a package registry that has {pinned} for Python "
            f"{sys.version_info.major}.{sys.version_info.minor} (constraints are for 3.11). Run "
            "this again with a network."
        ) from error

    def execute(words: Sequence[str]) -> process.Outcome:
        # Isolated: neither PYTHONPATH nor this folder can bring in another package.
        return process.run([python, "-I", CHILD, *words], timeout_s=600)

    return Host(interpreter, Path(delegate_path()), execute)


def _prepare_arm(interpreter: Interpreter) -> Host:
    """The arm64 Python of the emulated CPUs, and the plugin built for it."""
    plugin, cpu = prepare_arm(interpreter.name), str(interpreter.cpu)
    return Host(interpreter, plugin, lambda words: aarch64.run_python(cpu, CHILD, *words))


def prepare_x86(user: str) -> Path:
    """Checks that this Python and its LiteRT can run on emulated x86-64 processors.

    Args:
        user: What needs them, for messages.
    Returns:
        edgeax's plugin.
    Raises:
        RuntimeError: A tool is missing, or this is another processor; says what to do.
    """
    if platform.machine() != "x86_64":
        raise RuntimeError(
            f"{user} must run on x86-64. Received: {platform.machine()}. Run it on such a machine."
        )
    tools = ("qemu-x86_64", X86_COMPILER)
    _check_tools(user, tools, (*packages.USER_MODE, *packages.HOST_COMPILER))
    return Path(delegate_path())


def _check_tools(user: str, tools: Sequence[str], wanted: tuple[str, ...]) -> None:
    """Raises RuntimeError where a program is missing, with the packages that hold all of them."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise RuntimeError(
            f"{user} must have {' and '.join(tools)} on PATH. Missing: "
            f"{', '.join(missing)}. Run: {' '.join(packages.install_command(wanted))}"
        )


def prepare_arm(user: str) -> Path:
    """Gets arm64 Python and LiteRT ready for every emulated CPU.

    Args:
        user: What needs them, for messages.
    Returns:
        edgeax's plugin, built for aarch64.
    Raises:
        RuntimeError: They could not be made; says what is missing, and what to do.
    """
    wanted = (*packages.USER_MODE, *packages.CROSS_COMPILER)
    _check_tools(user, ("qemu-aarch64", aarch64.COMPILER), wanted)
    try:
        said = [setup.build_root(), setup.build_site(), setup.build_cpu_roots()]
    except setup.SetupError as error:
        raise RuntimeError(
            f"{user} must have an arm64 Python. Received: {error} Run this again with "
            "a network, or see tests/emulation/README.md."
        ) from error
    if not places.CPU_ROOTS.is_dir():
        raise RuntimeError(
            f"{user} must have an arm64 Python. Received: {'; '.join(said)}. See "
            "tests/emulation/README.md."
        )
    library = places.BUILD / "interpreters" / "aarch64" / "libedgeax.so"
    return build_library.build(library, [aarch64.COMPILER, "-Werror"], "aarch64")
