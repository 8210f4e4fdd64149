"""Cross-builds the release wheels with ziglang, each against an old glibc.

`python tflite_kernels/build_wheels.py [FOLDER]` (build/wheels) needs the packages build, setuptools
and ziglang, and no compiler of the system.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The platform tag of a wheel, and for which glibc zig has to compile to earn it.
TARGETS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_27_aarch64": "aarch64-linux-gnu.2.27",
}


def build_wheel(platform: str, folder: Path) -> None:
    """Writes the wheel for one platform.

    Args:
        platform: A key of `TARGETS`.
        folder: Where the wheel goes; made when missing.

    Raises:
        subprocess.CalledProcessError: the build failed; its output has been shown.
    """
    compiler = [sys.executable, "-m", "ziglang", "c++", "-target", TARGETS[platform]]
    option = f"--config-setting=--build-option=--plat-name={platform}"
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", option]
    subprocess.run(
        [*command, "--outdir", str(folder.absolute()), str(ROOT)],
        env={**os.environ, "CXX": shlex.join(compiler)},
        check=True,
    )


if __name__ == "__main__":
    for name in TARGETS:
        build_wheel(name, Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "wheels"))
