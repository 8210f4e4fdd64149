"""Each rig starts a program well, computes floats right and tells a fault from success."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.emulation import aarch64, armv7, boards, cpus, places, process, require
from tests.emulation.rigs import RIGS

WRONG_ISA_CODE = 128 + 4  # ended by SIGILL, as a shell says it

RunProgram = Callable[[str], process.Outcome]  # the name of a program in programs/ -> its outcome


@pytest.fixture(params=RIGS)
def run_program(request: pytest.FixtureRequest, tmp_path: Path) -> RunProgram:
    """Builds a program of programs/ for the rig and runs it there."""
    rig = RIGS[request.param]
    rig.require()

    def build_and_run(name: str) -> process.Outcome:
        sources = [places.PROGRAMS / f"{name}.cc", rig.print_hook]
        return rig.run(rig.build(sources, tmp_path / name))

    return build_and_run


def test_a_program_starts_with_its_data_and_gives_back_its_exit_code(
    run_program: RunProgram,
) -> None:
    assert run_program("hello") == process.Outcome("hello\n", 7)


def test_float_products_and_quotients_are_right_bit_for_bit(run_program: RunProgram) -> None:
    assert run_program("float") == process.Outcome("float right\n", 0)


@pytest.mark.parametrize("core", boards.BOARDS)
def test_a_fault_on_a_board_ends_with_its_code_and_place(core: str, tmp_path: Path) -> None:
    require.board_tools()
    program = boards.build(core, [places.PROGRAMS / "fault.cc"], tmp_path / "fault")
    outcome = boards.run(core, program)
    assert outcome.code == boards.FAULT_CODE
    assert outcome.output.startswith("FAULT at 0x"), outcome.output


def test_vector_code_of_an_m55_runs_on_it_and_faults_on_an_m4(tmp_path: Path) -> None:
    require.board_tools()
    sources = [places.PROGRAMS / "int8_sum.cc", places.FIRMWARE / "print.cc"]
    own = boards.build("cortex-m55", sources, tmp_path / "own")
    assert boards.run("cortex-m55", own) == process.Outcome("sum right\n", 0)
    flags = ["-mcpu=cortex-m55", "-mfpu=auto"]  # its instructions in the M4's memory layout
    foreign = boards.build("cortex-m4", sources, tmp_path / "foreign", flags)
    assert boards.run("cortex-m4", foreign).code == boards.FAULT_CODE


def test_dot_product_code_runs_on_an_a76_and_faults_on_an_a72(tmp_path: Path) -> None:
    require.cross_tools()
    sources = [places.PROGRAMS / "int8_sum.cc", places.PROGRAMS / "print_linux.cc"]
    program = aarch64.build(sources, tmp_path / "sum", ["-march=armv8.2-a+dotprod"])
    assert aarch64.run("cortex-a76", program) == process.Outcome("sum right\n", 0)
    assert aarch64.run("cortex-a72", program).code == WRONG_ISA_CODE


def test_code_of_an_a7_faults_on_the_arm11_of_the_first_raspberry_pi(tmp_path: Path) -> None:
    require.armv7_tools()
    sources = [places.PROGRAMS / "hello.cc", places.PROGRAMS / "print_linux.cc"]
    program = armv7.build("no_neon", sources, tmp_path / "hello")
    assert armv7.run(program, cpu="arm1176").code == WRONG_ISA_CODE


def test_a_program_that_needs_a_heap_does_not_link_for_a_board(tmp_path: Path) -> None:
    require.board_tools()
    source = tmp_path / "heap.cc"
    source.write_text(
        "#include <cstdlib>\n"
        "void* volatile kept;\n"
        "int main() { kept = std::malloc(8); return 0; }\n"
    )
    with pytest.raises(RuntimeError, match="undefined reference to `_sbrk'"):
        boards.build("cortex-m4", [source], tmp_path / "heap")


@pytest.mark.parametrize("cpu", cpus.CPUS)
def test_arm_python_computes_with_numpy_and_loads_litert(cpu: str, tmp_path: Path) -> None:
    require.arm_python()
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import platform, sys
            import numpy as np
            from ai_edge_litert import interpreter
            product = np.float32([1.5, 2]) @ np.float32([2.25, 4])
            print(platform.machine(), product, interpreter.Interpreter.__name__, sys.argv[1])
            sys.exit(5)
        """)
    )
    outcome = aarch64.run_python(cpu, script, "an argument")
    assert outcome == process.Outcome("aarch64 11.375 Interpreter an argument\n", 5)


def test_an_unknown_core_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cortex-m4.*Received: cortex-m3"):
        boards.run("cortex-m3", tmp_path / "none")
    with pytest.raises(ValueError, match=r"cortex-a72.*Received: cortex-a53"):
        aarch64.run("cortex-a53", tmp_path / "none")
    with pytest.raises(ValueError, match=r"neon.*Received: vfp2"):
        armv7.build("vfp2", [], tmp_path / "none")


@pytest.mark.parametrize(
    "value, raised", [(None, pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
def test_a_missing_tool_skips_or_fails_naming_it_and_its_cure(
    value: str | None,
    raised: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv(require.REQUIRE_VARIABLE, value or "")
    with pytest.raises(raised, match=r"arm-none-eabi-g\+\+.*apt-get install"):
        require.board_tools()
    with pytest.raises(raised, match=r"qemu-aarch64.*apt-get install .* qemu-user"):
        require.arm_python()
    with pytest.raises(
        raised, match=r"gnueabihf-g\+\+.*apt-get install .* g\+\+-arm-linux-gnueabi"
    ):
        require.armv7_tools()
    with pytest.raises(raised, match=r"clang\+\+-14.*apt-get install .* libclang-rt-14-dev"):
        require.fuzzer()
    monkeypatch.setattr(places, "BAZEL", tmp_path / "bazel")
    with pytest.raises(raised, match=r"/bazel\. .*apt-get install .* bazel-bootstrap"):
        require.bazel()
