"""Where the rigs lie: folders of the repository and of `build/`."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build"
FIRMWARE = Path(__file__).resolve().parent / "firmware"
COUNTER = Path(__file__).resolve().parent / "counter"
PROGRAMS = Path(__file__).resolve().parent / "programs"  # stand-ins that prove the rigs

ROOT = BUILD / "aarch64-root"  # arm64 Debian files: Python and the C and C++ run-time libraries
SITE = BUILD / "aarch64-site"  # aarch64 wheels: LiteRT and what it imports
CPU_ROOTS = BUILD / "aarch64-cpu"  # one view of ROOT per CPU, with that CPU's /proc and /sys files

BAZEL = Path("/usr/bin/bazel")  # Debian's, which finds these rules on the disk
BAZEL_RULES = {f"rules_{name}": Path("/usr/share/bazel/rules", name) for name in ("java", "proto")}

PYTHON_VERSION = "3.11"  # of the arm64 Python, and so of the wheels in SITE
