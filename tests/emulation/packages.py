"""The Debian packages that the rigs need. Their recommended packages are not wanted.

The libraries of libstdc++-arm-none-eabi-newlib (1.6 GB) are among those: firmware links no
C++ library, and the headers come from libstdc++-arm-none-eabi-dev.
"""

BARE_METAL = ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "libstdc++-arm-none-eabi-dev")
BOARDS = ("qemu-system-arm",)
USER_MODE = ("qemu-user",)
CROSS_COMPILER = ("g++-aarch64-linux-gnu",)
ARMV7_COMPILER = ("g++-arm-linux-gnueabihf",)
RISCV_COMPILER = ("gcc-riscv64-unknown-elf",)
HOST_COMPILER = ("gcc",)
FUZZER = ("clang-14", "libclang-rt-14-dev")  # for tests/tflite_kernels/test_fuzzing.py
CMAKE = ("cmake", "ninja-build")  # for tests/tflite_kernels/test_resolver.py
BROWSER = ("chromium", "chromium-driver", "fonts-dejavu-core")  # for the page of learning_pad
BAZEL = ("bazel-bootstrap", "bazel-rules-java", "bazel-rules-proto")  # for tests/test_bazel.py

ALL = (
    *(*BARE_METAL, *BOARDS, *USER_MODE, *CROSS_COMPILER, *ARMV7_COMPILER, *HOST_COMPILER),
    *RISCV_COMPILER,
    *FUZZER,
    *CMAKE,
    *BAZEL,
    *BROWSER,
)


def install_command(packages: tuple[str, ...]) -> list[str]:
    """The command that installs `packages`, to run or to show."""
    return ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
