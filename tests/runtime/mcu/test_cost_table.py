import dataclasses
import re

import pytest

from edgeax.runtime.mcu import cost_table, kernels
from edgeax.runtime.mcu.cost_table import CostTable, signature, table_for
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.targets import TARGETS
from edgeax.runtime.mcu.work import Work
from tests.runtime.mcu import networks

TABLE = CostTable(
    target="cortex-m4",
    date="2026-11-30",
    compiler="g++ 12",
    instructions={"F int8": {"calls": 100.0, "outputs": 2.5}},
    stack={"F int8": 64},
    sections={"f F": 40, "f G": 60, "shared H": 7},
    code={"F(FArgs, int8)": ["f F", "shared H"], "G(GArgs, int8)": ["f G", "shared H"]},
    program_code={"programs": 20.0},
    program_instructions={"calls": 5.0},
    program_stack={"programs": 48.0},
)
BOARDS = ("cortex-m4", "cortex-m7", "cortex-m55")


def test_instructions_are_amounts_times_prices():
    done = Work("F int8", {"calls": 1, "outputs": 40, "macs": 9})
    assert TABLE.instructions_of(done) == 100 + 40 * 2.5


def test_code_that_kernels_share_counts_once():
    assert TABLE.code_of(["F(FArgs, int8)"]) == 47
    assert TABLE.code_of(["F(FArgs, int8)", "G(GArgs, int8)"]) == 107
    assert TABLE.code_of([]) == 0


def test_other_types_of_a_kernel_stand_in_for_one_that_was_not_measured():
    assert TABLE.instructions_of(Work("F int16 any", {"calls": 2})) == 200
    assert TABLE.stack_of(Work("F int16", {})) == 64
    assert TABLE.code_of(["F(FArgs, int16)"]) == 47


def test_what_was_not_measured_is_unknown():
    assert TABLE.instructions_of(Work("FullF int8", {"calls": 1})) is None
    assert TABLE.stack_of(Work("FullF int8", {})) is None
    assert TABLE.code_of(["F(FArgs, int8)", "FullF(FArgs, int8)"]) is None


def test_a_table_is_read_as_it_was_written(tmp_path):
    TABLE.write(tmp_path / "table.json")
    assert CostTable.read(tmp_path / "table.json") == TABLE


def test_a_signature_names_kernel_rounding_arguments_and_types():
    program = read_program(networks.images(), TARGETS["cortex-m4"], "double")
    (step,) = program.steps
    assert signature(program, step, "single") == "Conv2D<single>(Conv2DArgs, int8)"
    fixed = dataclasses.replace(step, kernel="Conv2D<Rounding::kDouble>", rounds=False)
    assert signature(program, fixed, "single") == "Conv2D<double>(Conv2DArgs, int8)"
    plain = dataclasses.replace(step, kernel="Add", rounds=False)
    assert signature(program, plain, "single") == "Add(Conv2DArgs, int8)"


@pytest.mark.parametrize("target", BOARDS)
def test_tables_say_when_and_how_they_were_measured(target):
    table = table_for(target)
    assert table is not None and table.target == target
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", table.date)
    assert "arm-none-eabi-g++" in table.compiler and "-O2" in table.compiler
    assert all(price > 0 for prices in table.instructions.values() for price in prices.values())


@pytest.mark.parametrize("target", sorted({*TARGETS} - {*BOARDS}))
def test_targets_without_a_board_have_no_table(target):
    assert table_for(target) is None


def test_a_product_takes_more_code_with_saturation_than_a_copy():
    table = table_for("cortex-m4")
    assert table.code_of(["Conv2D<double>(Conv2DArgs, int8)"]) > 2000
    assert table.code_of(["Relocate(RelocateArgs, int8)"]) < 800


def test_tables_lie_where_the_package_has_them():
    assert cost_table.FOLDER == kernels.folder() / "edgeax" / "runtime" / "mcu" / "costs"
