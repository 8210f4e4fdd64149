"""What the golden program, tests/tflite_kernels/golden_main.cc, is built from on the Arm rigs."""

from pathlib import Path

from tests.emulation import places, process
from tests.golden import cases, int16_cases, sign_sum_cases, to_header
from tflite_kernels import build_library


def sources() -> list[Path]:
    """The program and the portable kernels."""
    listed = [file for file, _ in build_library.list_sources("other") if file.startswith("core/")]
    program = places.REPOSITORY / "tests" / "tflite_kernels" / "golden_main.cc"
    return [program, *(build_library.KERNELS / file for file in listed)]


def flags(folder: Path, header: str | None = None) -> list[str]:
    """Compiler flags; the vectors, `header` or the true ones, are written to `folder`."""
    (folder / "golden_vectors.h").write_text(to_header.text() if header is None else header)
    return [f"-I{folder}", f"-I{places.REPOSITORY}", "-Werror", "-ffp-contract=off"]


def count() -> int:
    """Vectors that the program runs: multipliers, roundings, rows of codes, operators, those of
    int16 activations, of sums of signs and of floats, coded rows.
    """
    rounding = sum(map(len, cases.load("rounding.json").values()))
    operators = sum(len(cases.load(name)) for name in cases.OPERATOR_FILES)
    operators += len(int16_cases.load()) + len(sign_sum_cases.load())
    coded = sum(len(case["buffers"]) for case in cases.load("coded.json"))
    floats = len(cases.load("float.json"))
    return rounding + len(cases.rows_of_codes()) + operators + floats + coded


def success() -> process.Outcome:
    """What the program says when every vector passes."""
    return process.Outcome(f"golden: {count()} passed, 0 failed\n", 0)
