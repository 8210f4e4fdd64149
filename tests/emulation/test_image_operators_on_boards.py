"""Steps of images and of sums give on the boards, by whatever instructions, what they give here."""

from pathlib import Path

import numpy as np
import pytest

from edgeax.formats.rounding import KINDS
from tests.emulation import boards, require
from tests.runtime.mcu import called_steps, image_cases, native_steps

_CASES = 5  # of each kind


def calls(core: str, rounding: str) -> list[called_steps.Call]:
    """Draws calls, half of them in place where a step allows it."""
    rng = np.random.default_rng(7)
    result = []
    for draw in image_cases.DRAWERS.values():
        for number in range(_CASES):
            drawn = draw(rng)
            step = drawn.file.step(rounding, core)
            inputs = drawn.file.ordered(step, drawn.inputs)
            output = drawn.file.output.shape, np.dtype(drawn.file.output.dtype).name
            expected = native_steps.run(step, inputs, output, rounding)
            place = step.in_place[0][0] if step.in_place and number % 2 else None
            result.append(called_steps.Call(step, tuple(inputs), expected, rounding, place))
    return result


@pytest.mark.parametrize("core", boards.BOARDS)
def test_a_board_gives_the_same_codes(core: str, tmp_path: Path) -> None:
    require.board_tools()
    source = tmp_path / "main.cc"
    both = [call for rounding in KINDS for call in calls(core, rounding)]
    source.write_text(called_steps.text(both))
    sources = [source, *called_steps.sources(both)]
    program = boards.build(core, sources, tmp_path / "program", ["-Werror", *called_steps.FLAGS])
    assert boards.run(core, program).code == 0
