"""Every board and CPU by its name, for tests that hold on all of them."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.emulation import aarch64, armv7, boards, cpus, places, process, require


@dataclass(frozen=True)
class Rig:
    """How a program comes to run somewhere.

    Attributes:
        require: Skips or fails the test when a tool is missing.
        print_hook: The source file that defines `edgeax_print` there.
        build: Compiles (sources, output, flags).
        run: Runs (program, counter), the counter being optional.
    """

    require: Callable[[], None]
    print_hook: Path
    build: Callable[..., Path]
    run: Callable[..., process.Outcome]


_ON_BOARD = places.FIRMWARE / "print.cc"
_ON_LINUX = places.PROGRAMS / "print_linux.cc"

RIGS = {
    **{
        core: Rig(
            require.board_tools,
            _ON_BOARD,
            functools.partial(boards.build, core),
            functools.partial(boards.run, core),
        )
        for core in boards.BOARDS
    },
    **{
        f"{armv7.CPU}-{fpu}": Rig(
            require.armv7_tools, _ON_LINUX, functools.partial(armv7.build, fpu), armv7.run
        )
        for fpu in armv7.FPUS
    },
    **{
        cpu: Rig(require.cross_tools, _ON_LINUX, aarch64.build, functools.partial(aarch64.run, cpu))
        for cpu in cpus.CPUS
    },
}
