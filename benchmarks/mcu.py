"""Generated programs on emulated microcontrollers, beside TensorFlow Lite Micro with CMSIS-NN.

Each row is a model on a board: the instructions of one `invoke`, counted exactly; `ram_bytes`, all
static bytes without the stack; `stack_bytes` that `invoke` uses; `program_bytes`, flash without the
constants; `constant_bytes`. `ratio` is to the instructions of TensorFlow Lite Micro with CMSIS-NN
(GCC 12 -O2, the same counter, measured on 2026-11-23), as `constant_ratio` is to the bytes of the
file's constants that are read at all. Instructions are not cycles.

The models are those of MLPerf Tiny in the folder EDGEAX_TEST_DATA/models, where they are, and one
with drawn weights. Pictures of the plans go beside the report. Where EDGEAX_CMSIS_NN names a tree
of CMSIS-NN, see tests/emulation/cmsis_nn.py, the same programs run by it too.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import edgeax
from benchmarks import packed_versions
from benchmarks.drawn_network import separable_network
from benchmarks.firmware import Bench, Outcome
from benchmarks.harness import REPOSITORY, Benchmark, run
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu import oracle
from edgeax.runtime.mcu.report import Report
from tests.emulation.boards import BOARDS
from tests.emulation.cmsis_nn import Library, of_user

PICTURES = REPOSITORY / "build" / "mcu_plans"
RATIOS = {"cortex-m4": 0.80, "cortex-m55": 0.85}
"""Board to the most instructions that the issue wants, as part of TensorFlow Lite Micro's."""


@dataclass(frozen=True)
class Wanted:
    """What an issue wants of a model, and what it is compared with.

    Attributes:
        instructions: Of TensorFlow Lite Micro with CMSIS-NN, by board.
        ram_bytes: The most.
        program_bytes: The most.
        used_bytes: Constants of the file that are read.
        constant_ratio: The most constants, as a multiple of them.
        output_crc: crc32 of the outputs.
    """

    instructions: Mapping[str, int]
    ram_bytes: int
    program_bytes: int
    used_bytes: int
    constant_ratio: float
    output_crc: int


@dataclass(frozen=True)
class Subject:
    """A model.

    Attributes:
        name: Of the rows.
        content: Of the file.
        wanted: What an issue wants of it.
    """

    name: str
    content: bytes
    wanted: Wanted | None = None


@dataclass(frozen=True)
class Known:
    """A model of MLPerf Tiny."""

    file: str
    wanted: Wanted


@dataclass(frozen=True)
class Packed:
    """A version of a model whose weights are packed, and what an issue wants of it.

    Attributes:
        change: Makes its file of the int8 one.
        constants: The most constants, as part of those of the int8 program.
        instructions: The most instructions, as part of those of the int8 program.
    """

    change: Callable[[bytes], bytes]
    constants: float
    instructions: float


def _on(m4: int, m55: int) -> dict[str, int]:
    return {"cortex-m4": m4, "cortex-m55": m55}


KNOWN = {
    "vww": Known(
        "vww_mobilenetv1_int8.tflite",
        Wanted(_on(24_101_872, 6_558_238), 56_320, 20_480, 219_072, 1.07, 0xCCF8C6C3),
    ),
    "ic": Known(
        "ic_resnet8_int8.tflite",
        Wanted(_on(29_864_091, 4_912_243), 50_176, 16_384, 78_752, 1.03, 0x930F0C26),
    ),
    "ad": Known(
        "ad_autoencoder_int8.tflite",
        Wanted(_on(582_952, 149_973), 1_536, 8_192, 270_880, 1.02, 0x3D1A6596),
    ),
}
PACKED = {
    "4-bit codebook": Packed(packed_versions.codebook, 0.55, 1.1),
    "ternary": Packed(packed_versions.ternary, 0.30, 1.0),
    "75 % block-sparse": Packed(packed_versions.block_sparse, 0.35, 0.6),
}
"""Versions of ic that the issue names."""

DRAWN = "drawn separable network"
SMALL_RAM = 40_960
MOST_FOR_SMALL, MOST_FOR_LEAST = 1.05, 1.25


@dataclass(frozen=True)
class Measured:
    """A generated program and what it did."""

    report: Report
    ram_bytes: int
    program_bytes: int
    outcome: Outcome
    by_cmsis_nn: bool = False

    @property
    def constant_bytes(self) -> int:
        """Bytes of the constants that it links."""
        used = self.report.cmsis_nn if self.by_cmsis_nn else None
        return used.constant_bytes if used else self.report.constant_bytes


@dataclass
class Runner:
    """Generates, builds and runs programs in a folder.

    Attributes:
        bench: What builds and runs.
        folder: Where programs are written.
        pictures: Where the pictures of plans go; None: nowhere.
    """

    bench: Bench
    folder: Path
    pictures: Path | None = None
    _expected: dict[bytes, int] = field(default_factory=dict)

    def measure(
        self,
        subject: Subject,
        core: str,
        ram_bytes: int | None = None,
        picture: str = "",
        cmsis_nn: Library | None = None,
    ) -> Measured:
        """Measures a model on a board.

        Args:
            subject: The model.
            core: Name of the board.
            ram_bytes: The most static RAM, as `edgeax.mcu.generate` takes it.
            picture: Name of the picture of the plan; empty: none is kept.
            cmsis_nn: What computes what it can; None: our kernels compute all.
        """
        program = self.folder / "program"
        report = edgeax.mcu.generate(
            subject.content, program, target=core, ram_bytes=ram_bytes, name="net"
        )
        firmware = self.bench.build(core, program, "net", cmsis_nn)
        drawn = program / "net_plan.png"
        if self.pictures is not None and picture and drawn.exists():
            self.pictures.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(drawn, self.pictures / f"{picture}.png")
        found = Measured(report, firmware.ram_bytes, 0, self.bench.run(firmware), bool(cmsis_nn))
        program_bytes = firmware.flash_bytes - found.constant_bytes
        return dataclasses.replace(found, program_bytes=program_bytes)

    def output_crc(self, subject: Subject) -> int:
        """Returns the crc32 that the outputs of a model should have: the interpreter's."""
        if subject.content not in self._expected:
            self._expected[subject.content] = interpreted_crc(subject.content)
        return self._expected[subject.content]


def interpreted_crc(content: bytes) -> int:
    """Returns the crc32 of the outputs of a model, by the interpreter with double rounding.

    The inputs are those of `firmware.main_text`.
    """
    graph = Model.from_bytes(content).subgraphs[0]
    x, inputs = 1, []
    for tensor in (graph.tensors[number] for number in graph.inputs):
        codes = bytearray()
        for _ in range(tensor.size_bytes or 0):
            x = (x * 1664525 + 1013904223) % 2**32
            codes.append(x >> 24)
        inputs.append(np.frombuffer(bytes(codes), tensor.dtype).reshape(tensor.shape))
    outputs = oracle.outputs_of(content, inputs, "double")
    return zlib.crc32(b"".join(output.tobytes() for output in outputs))


def subjects(known: Sequence[str] = tuple(KNOWN)) -> Iterator[Subject]:
    """Yields the models that the data folder has, and the drawn one; says what is missing."""
    folder = Path(os.environ.get("EDGEAX_TEST_DATA", REPOSITORY / ".." / "shared" / "data"))
    for name in known:
        file = folder / "models" / KNOWN[name].file
        if file.is_file():
            yield Subject(name, file.read_bytes(), KNOWN[name].wanted)
        else:
            print(f"skipped: {name}, no file {file} (EDGEAX_TEST_DATA)", file=sys.stderr)
    yield Subject(DRAWN, separable_network())


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each model and board, and the targets."""
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Bench(Path(folder)), Path(folder), None if quick else PICTURES)
        for subject in subjects(("ad",) if quick else tuple(KNOWN)):
            found = measure_subject(benchmark, runner, subject)
            if subject.name == "vww":
                measure_small(benchmark, runner, subject)
            if subject.name == "ic":
                measure_packed(benchmark, runner, subject, found)


def measure_subject(benchmark: Benchmark, runner: Runner, subject: Subject) -> dict[str, Measured]:
    """Adds the rows of a model on all boards."""
    found = {}
    for core in BOARDS:
        found[core] = runner.measure(subject, core, picture=f"{subject.name} {core}")
        add_rows(benchmark, subject, core, found[core], runner.output_crc(subject))
        measure_cmsis_nn(benchmark, runner, subject, core, found[core])
    return found


def measure_cmsis_nn(
    benchmark: Benchmark, runner: Runner, subject: Subject, core: str, ours: Measured
) -> None:
    """Adds a row of a model by the user's CMSIS-NN, where there is one for the board."""
    library = of_user(core)
    if library is None:
        return
    found = runner.measure(subject, core, cmsis_nn=library)
    name, instructions = f"{subject.name}, by CMSIS-NN", found.outcome.instructions
    right = found.outcome.output_crc == runner.output_crc(subject)
    peer = subject.wanted.instructions.get(core) if subject.wanted else None
    place = benchmark.row(
        **row_of(name, core, found),
        to_ours=instructions / ours.outcome.instructions,
        **({"tflm_instructions": peer, "ratio": instructions / peer} if peer else {}),
        outputs="equal" if right else "WRONG",
    )
    target = _targets(benchmark, f"{core}, {name}", place)
    target("outputs equal", float(right), 1.0, at_least=True)


def add_rows(
    benchmark: Benchmark, subject: Subject, core: str, found: Measured, output_crc: int
) -> None:
    """Adds a row, and the targets of a model that has some.

    Args:
        benchmark: Where they go.
        subject: The model.
        core: Name of the board.
        found: What was measured.
        output_crc: What the interpreter gave.
    """
    wanted = subject.wanted
    peer = wanted.instructions.get(core) if wanted else None
    instructions = found.outcome.instructions
    right = found.outcome.output_crc == output_crc
    row = row_of(subject.name, core, found)
    if peer:
        row |= {"tflm_instructions": peer, "ratio": instructions / peer}
    if wanted:
        row |= {"constant_ratio": found.report.constant_bytes / wanted.used_bytes}
        right = right and found.outcome.output_crc == wanted.output_crc
    place = benchmark.row(**row, outputs="equal" if right else "WRONG")
    print(row, file=sys.stderr, flush=True)
    target = _targets(benchmark, f"{core}, {subject.name}", place)
    target("outputs equal", float(right), 1.0, at_least=True)
    if peer and core in RATIOS:
        target("instructions to TFLM's", instructions / peer, RATIOS[core])
    if wanted:
        target("RAM bytes", found.ram_bytes, wanted.ram_bytes)
        target("program bytes", found.program_bytes, wanted.program_bytes)
        ratio = found.report.constant_bytes / wanted.used_bytes
        target("constants to those used", ratio, wanted.constant_ratio)


def row_of(name: str, core: str, found: Measured) -> dict[str, object]:
    """Returns what all rows tell."""
    return {
        "model": name,
        "board": core,
        "instructions": found.outcome.instructions,
        "ram_bytes": found.ram_bytes,
        "stack_bytes": found.outcome.stack_bytes,
        "program_bytes": found.program_bytes,
        "constant_bytes": found.constant_bytes,
    }


def measure_small(benchmark: Benchmark, runner: Runner, subject: Subject) -> None:
    """Adds rows of a model in little RAM on all boards: what the issue names, and the least."""
    for core in BOARDS:
        free = runner.measure(subject, core)
        fits = runner.measure(subject, core, SMALL_RAM)
        name = f"{subject.name} in {SMALL_RAM:,}"
        ratio = fits.outcome.instructions / free.outcome.instructions
        place = benchmark.row(**row_of(name, core, fits), to_free=ratio)
        target = _targets(benchmark, f"{core}, {name}", place)
        target("RAM bytes", fits.ram_bytes, SMALL_RAM)
        target("instructions to those without a limit", ratio, MOST_FOR_SMALL)
        is_same = fits.outcome.output_crc == free.outcome.output_crc
        target("outputs equal", float(is_same), 1.0, at_least=True)
        most = free.outcome.instructions * MOST_FOR_LEAST
        least = least_ram(functools.partial(runner.measure, subject, core), most)
        benchmark.row(
            **row_of(f"{subject.name}, least RAM", core, least),
            to_free=least.outcome.instructions / free.outcome.instructions,
        )


def measure_packed(
    benchmark: Benchmark, runner: Runner, subject: Subject, dense: Mapping[str, Measured]
) -> None:
    """Adds rows of a model with packed weights on all boards, beside the int8 program's.

    A version that no program can be generated for misses its targets.
    """
    for name, packed in PACKED.items():
        version = Subject(f"{subject.name}, {name}", packed.change(subject.content))
        for core, of in dense.items():
            try:
                found = runner.measure(version, core)
            except ValueError as error:
                print(f"{version.name}: {error}", file=sys.stderr, flush=True)
                benchmark.wanted(f"{core}, {version.name}: is generated", 0.0, ">= 1.0", False)
                continue
            right = found.outcome.output_crc == runner.output_crc(version)
            instructions = found.outcome.instructions / of.outcome.instructions
            constants = found.report.constant_bytes / of.report.constant_bytes
            place = benchmark.row(
                **row_of(version.name, core, found),
                to_int8=instructions,
                constants_to_int8=constants,
                outputs="equal" if right else "WRONG",
            )
            target = _targets(benchmark, f"{core}, {version.name}", place)
            target("outputs equal", float(right), 1.0, at_least=True)
            target("constants to int8", constants, packed.constants)
            target("RAM bytes to int8", found.ram_bytes / of.ram_bytes, 1.0)
            target("instructions to int8", instructions, packed.instructions)


def least_ram(measured: Callable[[int], Measured], most_instructions: float) -> Measured:
    """Returns the program in the least RAM that takes so many instructions at most.

    Args:
        measured: Measures a program with a limit of RAM; raises ValueError where none fits.
        most_instructions: The most of one invoke; a program without a limit must take no more.
    """
    low, high, best = 0, SMALL_RAM, measured(SMALL_RAM)
    while high - low > 64:
        middle = (low + high) // 2
        try:
            found = measured(middle)
        except ValueError:
            low = middle
            continue
        if found.outcome.instructions <= most_instructions:
            best, high = found, min(middle, found.ram_bytes)
        else:
            low = middle
    return best


def _targets(benchmark: Benchmark, of: str, row: int) -> Callable[..., None]:
    def target(name: str, value: float, limit: float, at_least: bool = False) -> None:
        holds = value >= limit if at_least else value <= limit
        sign = ">=" if at_least else "<="
        benchmark.wanted(f"{of}: {name}", value, f"{sign} {limit}", holds, row=row)

    return target


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark from the command line."""
    return run("mcu", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
