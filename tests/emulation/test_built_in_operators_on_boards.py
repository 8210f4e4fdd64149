"""Kernels of built-in operators give LiteRT's outputs on boards, some by other code than here."""

from pathlib import Path

import numpy as np
import pytest

from tests.emulation import boards, places, require
from tests.runtime.mcu import board_cases, drawn
from tests.runtime.mcu.built_in_cases import Case, case, kernels
from tests.runtime.mcu.operators import test_activation as activation
from tests.runtime.mcu.operators import test_extremes as extremes
from tests.runtime.mcu.operators import test_join as join
from tests.runtime.mcu.operators import test_pad as pad
from tests.runtime.mcu.operators import test_prelu as prelu
from tests.runtime.mcu.operators import test_quantize as quantize
from tests.runtime.mcu.operators import test_resize as resize
from tests.runtime.mcu.operators import test_slices as slices

WORDS_ANYWHERE = ()
WORDS_AT_MULTIPLES = ("-mno-unaligned-access", "-DTRAPS_UNALIGNED_WORDS")


def moves(rng: np.random.Generator) -> list[Case]:
    """Copies of runs that begin at any byte."""
    parts = [drawn.codes(rng, (1, 3, size)) for size in (5, 16, 1, 35)]
    image = drawn.codes(rng, (1, 5, 6, 7))
    borders = np.int32([[0, 0], [1, 2], [3, 1], [0, 0]])
    return [
        join.concatenation(parts, 2),
        join.split_v(parts, 2),
        join.pack([part[0, 0, :1] for part in parts], 0),
        pad.pad(image, borders),
        pad.pad(drawn.codes(rng, (2, 3, 4), np.int16), borders[1:], -77),
        slices.transpose(image, np.int32([0, 3, 1, 2])),
        slices.transpose(drawn.codes(rng, (3, 4, 5), np.int16), np.int32([2, 1, 0])),
        slices.slice_of(image, np.int32([0, 1, 1, 0]), np.int32([1, 3, 4, 7])),
        slices.strided(image, [(0, 1, 1), (4, 0, -2), (1, 6, 2), (0, 7, 1)], (1, 2, 3, 7)),
        resize.resize(resize.NEAREST, image, (9, 4), (False, True)),
    ]


def computed(rng: np.random.Generator, rounding: str) -> list[Case]:
    """Everything that computes."""
    image = drawn.codes(rng, (1, 5, 6, 7))
    numbers = (np.arange(-40, 41, dtype=np.float32) / 8)[None]
    x, y = (drawn.tensor(name, image.shape) for name in "xy")
    reals = [quantize.quantize(numbers, dtype, 0.25, 3, rounding) for dtype in drawn.TYPES]
    return [
        activation.draw(rng, "HARD_SWISH", np.int8, rounding),
        activation.draw(rng, "RELU", np.int16, rounding, version=3),
        case("RELU6", [x], [y], [image], rounding, version=2),
        activation.sigmoid_like(rng, "LOGISTIC", np.int16, rounding),
        activation.sigmoid_like(rng, "TANH", np.int16, rounding),
        prelu.prelu(rng, (1, 1, 5), np.int8, rounding),
        prelu.prelu(rng, (3, 1, 5), np.int16, rounding),
        quantize.again(np.int8, np.int16, (0.1, 0.001), (-5, 0), rounding),
        quantize.dequantize(np.int8, 0.3, -7),
        *reals,
        resize.resize(resize.BILINEAR, image, (8, 13), (False, True), rounding),
        resize.resize(resize.BILINEAR, image.astype(np.int16) * 200, (8, 3), (True, False)),
        extremes.arg_extreme("ARG_MAX", extremes.few_codes(rng, (3, 4, 5)), 1),
        extremes.arg_extreme("ARG_MIN", extremes.few_codes(rng, (3, 4, 5)), 2, np.int64),
        extremes.extreme_of("MAXIMUM", [image, image[0, 0, 0]]),
    ]


def run(core: str, program: str, cases: list[Case], folder: Path, flags: tuple[str, ...]) -> int:
    """Returns the exit code of a program on a board."""
    require.board_tools()
    source = folder / "cases.cc"
    source.write_text(program)
    flags = (f"-I{places.REPOSITORY}", *flags)
    built = boards.build(core, [source, *kernels(cases)], folder / "cases", flags)
    return boards.run(core, built).code


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_outputs_are_the_interpreters(core: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(20)
    cases = moves(rng) + computed(rng, "double") + computed(rng, "single")
    assert run(core, board_cases.program(cases), cases, tmp_path, WORDS_ANYWHERE) == 0


@pytest.mark.parametrize("skip", [0, 1])
def test_words_lie_at_multiples_of_4_where_they_must(skip: int, tmp_path: Path) -> None:
    cases = [one for one in moves(np.random.default_rng(21)) if one.inputs[0].itemsize == 1]
    program = board_cases.program(cases, skip)
    assert run("cortex-m4", program, cases, tmp_path, WORDS_AT_MULTIPLES) == 0


def test_a_word_elsewhere_and_a_wrong_output_are_found(tmp_path: Path) -> None:
    cases = moves(np.random.default_rng(22))[:3]
    cases[1].inputs[0][...] = 7
    program = board_cases.program(cases, 1)
    flags = WORDS_AT_MULTIPLES[1:]
    assert run("cortex-m4", program, cases, tmp_path, flags) == boards.FAULT_CODE
    wrong = program.replace("wanted1_0[] = {7", "wanted1_0[] = {8")
    assert run("cortex-m4", wrong, cases, tmp_path, WORDS_ANYWHERE) == 2
