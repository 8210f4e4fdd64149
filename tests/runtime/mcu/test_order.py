from edgeax.runtime.mcu.order import reordered
from edgeax.runtime.mcu.plan import plan, stages_of
from tests.runtime.mcu import steps
from tests.runtime.mcu.steps import step

SIZES = {0: 8, 1: 800, 2: 800, 3: 8, 4: 8}
BRANCHES = [step([0], [1]), step([0], [2]), step([1], [3]), step([2], [4])]


def arena_bytes(program):
    return plan(program, stages_of(program)).arena_bytes


def test_a_branch_ends_before_the_next_one_begins():
    program = steps.program(SIZES, BRANCHES, [0], [3, 4])
    better = reordered(program)
    assert arena_bytes(program) == 1608 and arena_bytes(better) == 816
    assert {*better.steps} == {*program.steps} and better.values == program.values


def test_a_chain_stays_as_it_is():
    program = steps.program({0: 8, 1: 80, 2: 8}, [step([0], [1]), step([1], [2])], [0], [2])
    assert reordered(program).steps == program.steps


def test_aliases_count_as_the_value_that_they_are():
    some = [step([0], [1]), step([0], [2]), step([5], [3]), step([2], [4])]
    program = steps.program({**SIZES, 5: 800}, some, [0], [3, 4], aliases={5: 1})
    assert arena_bytes(reordered(program)) == 816


def test_writers_and_readers_of_a_state_keep_their_order():
    some = [step([0], [1]), step([0, 7], [2]), step([1], [3, 7]), step([2], [4])]
    program = steps.program({**SIZES, 7: 8}, some, [0], [3, 4], states={7})
    order = reordered(program).steps
    assert order.index(some[1]) < order.index(some[2])
