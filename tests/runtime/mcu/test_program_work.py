import dataclasses

import numpy as np

from edgeax.runtime.mcu.plan import plan, stages_of
from edgeax.runtime.mcu.program import Array, Struct, Window
from edgeax.runtime.mcu.program_work import argument_bytes, program_work
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.stages import Cuts, stage
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import networks, steps
from tests.runtime.mcu.steps import program, step


def test_calls_and_their_pointers_are_counted():
    first = step([0], [1], scratch_bytes=8)
    chain = program({0: 8, 1: 8, 2: 8}, [first, step([1, 0], [2])], [0], [2])
    found = program_work(plan(chain, stages_of(chain)))
    assert (found["programs"], found["calls"], found["pointers"]) == (1, 2, 3 + 3)
    assert found["row calls"] == found["stages"] == found["striped calls"] == 0


def test_stripes_are_counted_with_their_calls():
    read = read_program(networks.images(), TARGETS["cortex-m4"], "double")
    cuts = Cuts(read, TARGETS["cortex-m4"])
    (striped,) = [c for c in cuts.candidates if c.run is not None and c.run.height == 2]
    found = program_work(plan(read, [stage(read, striped)]))
    assert found["calls"] == 0
    assert (found["stages"], found["striped steps"], found["striped reads"]) == (1, 1, 1)
    assert found["lines"] == found["line reads"] == 0
    assert found["striped in a row"] == 1
    assert found["striped calls"] == 3  # 6 rows, 2 at a time
    assert found["moved bytes"] == 0


def test_rows_of_whole_images_are_counted():
    image = steps.step([0], [1], extent=Window(4, 4))
    one = program({0: 8, 1: 8}, [image], [0], [1])
    assert program_work(plan(one, stages_of(one)))["row calls"] == 1


def test_arguments_take_4_bytes_a_member():
    clamp = Struct("Clamp", {"min": -128, "max": 127})
    weights = Array("weights", np.zeros(40, np.int8))
    arguments = Struct("FArgs", {"count": 3, "clamp": clamp, "weights": weights, "shifts": None})
    some = dataclasses.replace(step([0], [1]), arguments=arguments)
    one = program({0: 8, 1: 8}, [some, step([0], [1])], [0], [1])
    assert argument_bytes(plan(one, stages_of(one))) == 4 * 5
