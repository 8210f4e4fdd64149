"""libFuzzer finds nothing in the operators, and finds faults that are put into them."""

import re
from pathlib import Path

import pytest

from tests.emulation import aarch64, cpus, places, process, require
from tests.tflite_kernels import fuzz_corpus, fuzzing, test_programs
from tflite_kernels import build_library

SECONDS = 20  # that the fuzzing takes in `make test`
SOAK_SECONDS = 1800
REPLAY = fuzzing.MAIN.with_name("fuzz_replay.cc")
FAULTS = {  # by what is wrong: a file, what stands there, what is put in its place, what is seen,
    # and how the file begins that is compiled anew
    "the size of the weights is not checked": (
        "core/tensors.cc",
        "HasSize(tensors.weights.size, weight_bytes)",
        "weight_bytes >= 0",
        "AddressSanitizer: heap-buffer-overflow",
        "core/tensors",
    ),
    "the fast sets take a row for shorter than it is": (
        "arch/fully_connected.h",
        "row_bytes = PackedBytes(args.depth, bits)",
        "row_bytes = args.depth / 8 * bits",
        ": differs",
        "arch/fully_connected_",
    ),
}


pytestmark = pytest.mark.timeout(900)  # the first build takes half a minute of two idle cores


@pytest.fixture(scope="module")
def objects() -> fuzzing.Objects:
    require.fuzzer()
    return fuzzing.compile_all()


@pytest.fixture(scope="module")
def program(objects: fuzzing.Objects, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fuzzing.link(objects, tmp_path_factory.mktemp("program") / "fuzz_main")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The folder, and how many of its calls are right."""
    folder = tmp_path_factory.mktemp("seeds")
    return folder, fuzz_corpus.write(folder)


def fuzz(
    program: Path, seeds: tuple[Path, int], folder: Path, *flags: str, seconds: int
) -> process.Outcome:
    """Runs libFuzzer; it keeps what it finds in `folder`."""
    corpus = folder / "corpus"
    corpus.mkdir()
    command = [program, f"-artifact_prefix={folder}/", f"-max_total_time={seconds}", *flags]
    return process.run([*command, *fuzzing.LIMITS, corpus, seeds[0]], seconds + 120)


def counted(outcome: process.Outcome) -> tuple[int, int]:
    """Calls, and how many of them were right and computed."""
    calls, computed = re.findall(r"^fuzz: (\d+) calls, (\d+) computed$", outcome.output, re.M)[-1]
    return int(calls), int(computed)


def test_every_input_to_begin_with_is_a_right_call(program, seeds, tmp_path):
    outcome = fuzz(program, seeds, tmp_path, "-runs=0", seconds=60)
    assert outcome.code == 0, outcome.output[-3000:]
    calls, computed = counted(outcome)
    assert calls == 1 + len(list(seeds[0].iterdir()))  # libFuzzer begins with an empty input
    assert computed >= seeds[1] > 500


@pytest.fixture(scope="module")
def arm_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require.cross_tools()
    objects = test_programs.kernel_objects([aarch64.COMPILER], "aarch64")
    output = tmp_path_factory.mktemp("aarch64") / "fuzz_replay"
    flags = ["-Werror", f"-I{places.REPOSITORY}"]
    return aarch64.build([fuzzing.MAIN, REPLAY, *objects], output, flags)


@pytest.mark.parametrize("cpu", cpus.CPUS)
def test_an_arm_processor_agrees_on_every_input_to_begin_with(cpu, arm_program, seeds):
    """Its kernels are those that read prepared weights."""
    outcome = aarch64.run(cpu, arm_program, *sorted(seeds[0].iterdir()))
    assert outcome.code == 0, outcome.output
    calls, computed = counted(outcome)
    assert calls == len(list(seeds[0].iterdir())) and computed >= seeds[1]


def test_fuzzing_finds_nothing(program, seeds, tmp_path):
    outcome = fuzz(program, seeds, tmp_path, "-seed=1", seconds=SECONDS)
    assert outcome.code == 0, outcome.output[-5000:]
    calls, computed = counted(outcome)
    assert computed > seeds[1] and calls > 2 * seeds[1]


@pytest.mark.soak
def test_long_fuzzing_finds_nothing(program, seeds, tmp_path):
    """Another seed in every run, which the output names."""
    outcome = fuzz(program, seeds, tmp_path, seconds=SOAK_SECONDS)
    assert outcome.code == 0, outcome.output[:500] + outcome.output[-5000:]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name, objects, seeds, tmp_path):
    file, right, wrong, seen, compiled = FAULTS[name]
    text = (build_library.KERNELS / file).read_text()
    assert text.count(right) == 1
    damaged = tmp_path / "tflite_kernels" / file
    damaged.parent.mkdir(parents=True)
    damaged.write_text(text.replace(right, wrong))
    flags = dict(build_library.list_sources(fuzzing.architecture()))
    changed = next(other for other in flags if other.startswith(compiled))
    source = damaged if changed == file else build_library.KERNELS / changed
    output = fuzzing.compile_one(source, flags[changed], tmp_path / "damaged.o", tmp_path)
    program = fuzzing.link(objects | {changed: output}, tmp_path / "fuzz_main")
    outcome = fuzz(program, seeds, tmp_path, "-seed=1", seconds=60)
    assert outcome.code != 0
    assert seen in outcome.output
    assert list(tmp_path.glob("crash-*"))
