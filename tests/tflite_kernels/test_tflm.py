"""The operators in TensorFlow Lite Micro: compiled and run against a small stand-in for its
headers, on this machine and on every rig, with warnings as errors.

With EDGEAX_TFLM_TREE=FOLDER, a source tree of TensorFlow Lite Micro, test_tflm_tree.py does the
same with the real interpreter.
"""

from pathlib import Path

import pytest

from edgeax.formats.operators import OPERATORS
from tests.emulation import golden_program, places, process
from tests.emulation.rigs import RIGS
from tests.tflite_kernels import tflm_cases
from tflite_kernels import build_library

FOLDER = Path(__file__).resolve().parent
HEADERS = FOLDER / "stand_in_tflm"
PROGRAM = FOLDER / "tflm_main.cc"
BOARDS = ("cortex-m4", "cortex-m55")


def sources() -> list[Path]:
    """The program, the adapter and the portable kernels."""
    kernels = [file for file in golden_program.sources() if file.parent.name == "core"]
    return [PROGRAM, *adapter(), *kernels]


def adapter() -> list[Path]:
    folder = build_library.KERNELS / "adapters"
    return [folder / "tflm" / "edgeax_ops.cc", folder / "tflite_check.cc"]


def flags(folder: Path, cases: list[tflm_cases.MicroCase]) -> list[str]:
    (folder / "tflm_cases.h").write_text(tflm_cases.operators_header(cases))
    words = [f"-I{folder}", f"-I{places.REPOSITORY}", f"-I{HEADERS}", "-DTF_LITE_STATIC_MEMORY"]
    return [*words, "-Wall", "-Wextra", "-Werror", "-ffp-contract=off"]


def build_here(folder: Path, cases: list[tflm_cases.MicroCase], *more: str) -> Path:
    compiler = [*build_library.find_compiler(), "-std=c++17", "-O1", "-fno-exceptions", "-fno-rtti"]
    hook = places.PROGRAMS / "print_linux.cc"
    program = folder / "tflm"
    words = [*compiler, *flags(folder, cases), *more, *sources(), hook, "-o", program]
    process.compile_or_raise(words)
    return program


def all_cases() -> list[tflm_cases.MicroCase]:
    return [*tflm_cases.accepted(), *tflm_cases.refused()]


def passed(count: int) -> process.Outcome:
    return process.Outcome(f"tflm: {count} passed, 0 failed\n", 0)


def test_every_operator_has_a_case():
    used = {case.model.operators[0].custom for case in tflm_cases.accepted()}
    assert used == set(OPERATORS)


def test_every_operator_gives_its_codes_and_damaged_models_are_refused(tmp_path):
    cases = all_cases()
    program = build_here(tmp_path, cases, "-fsanitize=address,undefined", "-fno-sanitize-recover")
    assert process.run([program], timeout_s=120) == passed(len(cases))


@pytest.mark.parametrize("name", BOARDS)
def test_every_operator_gives_its_codes_on_a_board(name, tmp_path):
    """No heap and no C++ library: firmware with them would not link."""
    rig = RIGS[name]
    rig.require()
    cases = [case for case in all_cases() if len(case.model.write()) < 3_000]
    program = rig.build([rig.print_hook, *sources()], tmp_path / "tflm", flags(tmp_path, cases))
    assert rig.run(program) == passed(len(cases))


def test_a_wrong_code_fails_the_program(tmp_path):
    case = tflm_cases.accepted()[0]
    case.output.flat[0] ^= 1
    outcome = process.run([build_here(tmp_path, [case])], timeout_s=60)
    assert (outcome.code, outcome.output.count("failed: ")) == (1, 1)


def test_single_rounding_is_the_one_of_the_tree(tmp_path):
    """TFLITE_SINGLE_ROUNDING rounds the built-in operators too."""
    cases = list(tflm_cases.golden("single"))
    program = build_here(tmp_path, cases, "-DTFLITE_SINGLE_ROUNDING=1")
    assert process.run([program], timeout_s=60) == passed(len(cases))
    assert process.run([build_here(tmp_path, cases)], timeout_s=60).code == 1


def test_without_texts_the_adapter_compiles(tmp_path):
    """Programs of release leave out what would be printed."""
    compiler = [*build_library.find_compiler(), "-std=c++17", "-O1"]
    words = [*compiler, *flags(tmp_path, []), "-DTF_LITE_STRIP_ERROR_STRINGS"]
    for file in adapter():
        made = tmp_path / f"{file.stem}.o"
        process.compile_or_raise([*words, "-c", file, "-o", made])
        assert b"Received" not in made.read_bytes()


def test_a_program_that_forgets_the_macro_is_told_when_it_is_compiled(tmp_path):
    words = [w for w in flags(tmp_path, []) if w != "-DTF_LITE_STATIC_MEMORY"]
    compiler = [*build_library.find_compiler(), "-std=c++17", "-fsyntax-only"]
    outcome = process.run([*compiler, *words, adapter()[0]], timeout_s=60)
    assert outcome.code != 0
    assert "Define TF_LITE_STATIC_MEMORY" in outcome.output


def test_a_program_holds_the_operators_that_it_registers_alone(tmp_path):
    main = tmp_path / "one.cc"
    main.write_text(
        '#include "tflite_kernels/adapters/tflm/edgeax_ops.h"\n'
        "void MicroPrintf(const char*, ...) {}\n"
        "void VMicroPrintf(const char*, __builtin_va_list) {}\n"
        "int main() { return edgeax::tflm::Register_EDGEAX_CONV_2D()->custom_name == nullptr; }\n"
    )
    program = tmp_path / "one"
    compiler = [*build_library.find_compiler(), "-std=c++17", "-O2", "-Wl,--gc-sections"]
    more = ["-ffunction-sections", "-fdata-sections", *flags(tmp_path, [])]
    files = [main, *sources()[1:]]
    process.compile_or_raise([*compiler, *more, *files, "-o", program])
    names = process.run(["nm", "--defined-only", "--demangle", program], 60).output
    assert "edgeax::Conv2D(" in names
    for other in (
        "DepthwiseConv2D",
        "SparseConv2D",
        "SignSum",
        "DecodeCodedRows",
        "kOperatorSpecs",
    ):
        assert other not in names
