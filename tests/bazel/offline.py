"""Debian's Bazel without network: `python -m tests.bazel.offline test //...` in the root.

The repositories that it would download are Debian's own or the stubs of this folder, and the
configuration `aarch64()` builds for 64-bit Arm.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.emulation import places

FOLDER = Path(__file__).resolve().parent
OUTPUT = places.BUILD / "bazel"
REPOSITORIES = {
    **places.BAZEL_RULES,
    "remote_coverage_tools": FOLDER / "coverage_tools",
    "rules_cc": FOLDER / "rules_cc",
}
_STARTUP = (
    f"--output_user_root={OUTPUT}",
    "--max_idle_secs=60",  # of the server
    "--nohome_rc",
)
_OPTIONS = (
    *(f"--override_repository={name}={folder}" for name, folder in REPOSITORIES.items()),
    "--incompatible_enable_cc_toolchain_resolution",  # the default from Bazel 7 on
    f"--action_env=PATH={Path(sys.executable).parent}:/usr/bin:/bin",  # a python3 with numpy
    "--symlink_prefix=/",  # no links into the root
    "--nosandbox_debug",  # Debian's default prints each call of the sandbox
    "--per_file_copt=.*@-O1",  # after -O3, which takes twice as long; tests compare those flags
    "--jobs=2",
)


def command(verb: str, *words: str) -> list[str]:
    """The words of a call.

    Args:
        verb: "build", "test", "cquery" or another that takes the options of a build.
        *words: Options and targets.
    """
    return [str(places.BAZEL), *_STARTUP, verb, *_OPTIONS, *words]


def shutdown() -> list[str]:
    """The words that end the server which a call leaves behind."""
    return [str(places.BAZEL), *_STARTUP, "shutdown"]


def aarch64(qemu: Sequence[str] = ()) -> list[str]:
    """Options that build for aarch64 Linux by Debian's cross compiler.

    Args:
        qemu: What runs a test program there.
    """
    options = ["--platforms=//tests/bazel/aarch64:platform"]
    options += ["--extra_toolchains=//tests/bazel/aarch64:toolchain"]
    options += ["--platform_suffix=aarch64"]  # a folder of its own beside the host's
    return [*options, f"--run_under={' '.join(qemu)}"] if qemu else options


if __name__ == "__main__":
    sys.exit(subprocess.run(command(*sys.argv[1:]), cwd=places.REPOSITORY, check=False).returncode)
