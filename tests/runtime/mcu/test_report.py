import dataclasses
import json

from edgeax.runtime.mcu.plan import plan, stages_of
from edgeax.runtime.mcu.report import Report, StepReport, by_cmsis_nn, steps_of
from tests.runtime.mcu import steps
from tests.runtime.mcu.steps import step

ROW = StepReport("0 CONV_2D, a", "Conv2D", 1200, 90, 32, 2048)
REPORT = Report("out", ("a.cc", "a.h"), "cortex-m4", "double", 4096, 96, 1090, (ROW,), ("so",))


def test_a_report_prints_as_tables():
    assert str(REPORT).splitlines() == [
        "fact         value",
        "folder       out",
        "target       cortex-m4, double rounding",
        "static RAM   4,096 bytes",
        "of it state  96 bytes",
        "constants    1,090 bytes",
        "note         so",
        "",
        "step          kernel   MACs  constants  scratch  RAM in use",
        "0 CONV_2D, a  Conv2D  1,200         90       32       2,048",
    ]


def test_a_report_is_json():
    plain = json.loads(json.dumps(REPORT.as_dict()))
    assert plain["steps"][0]["live_bytes"] == 2048 and plain["files"] == ["a.cc", "a.h"]


def test_rows_come_from_the_plan():
    some = [step([0], [1], scratch_bytes=20, macs=7), step([1], [2], macs=5)]
    program = steps.program({0: 8, 1: 16, 2: 8}, some, [0], [2])
    rows = steps_of(plan(program, stages_of(program)))
    assert [(row.label, row.macs, row.scratch_bytes, row.live_bytes) for row in rows] == [
        ("1 F", 7, 20, 44),
        ("2 F", 5, 0, 24),
    ]


def test_a_report_tells_of_the_program_by_cmsis_nn():
    some = [step([0], [1], header="cmsis_nn.h", scratch_bytes=20), step([1], [2])]
    program = steps.program({0: 8, 1: 16, 2: 8}, some, [0], [2])
    found = by_cmsis_nn(plan(program, stages_of(program)), 70)
    assert (found.ram_bytes, found.theirs, found.ours) == (48, ("1 F",), ("2 F",))
    line = str(dataclasses.replace(REPORT, cmsis_nn=found)).splitlines()[6]
    assert line.split("  ", 1)[1].strip() == (
        "1 of 2 steps, without 2 F; static RAM 48 bytes, constants 70 bytes"
    )
