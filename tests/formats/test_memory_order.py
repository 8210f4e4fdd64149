import itertools

import numpy as np
import pytest

from edgeax.formats import memory
from edgeax.formats.memory_order import Task, best_order, peak


def drawn_tasks(seed, count):
    """Task `i` writes value `i + 1` from values before it."""
    rng = np.random.default_rng(seed)
    sizes = {0: int(rng.integers(1, 9))}
    tasks = []
    for index in range(count):
        chosen = rng.choice(index + 1, size=min(index + 1, int(rng.integers(1, 3))), replace=False)
        reads = tuple(map(int, chosen))
        sizes[index + 1] = int(rng.integers(1, 9))
        in_place = ((reads[0], index + 1),) if rng.random() < 0.4 else ()
        tasks.append(Task(reads, (index + 1,), int(rng.integers(3)), in_place))
    return tasks, sizes


def runs(order, tasks):
    known = {0}
    for index in order:
        if not known.issuperset(tasks[index].reads):
            return False
        known.update(tasks[index].writes)
    return True


@pytest.mark.parametrize("seed", range(60))
def test_small_graphs_get_an_optimal_order(seed):
    tasks, sizes = drawn_tasks(seed, 6)
    ends = sizes, [0], [6]
    order = best_order(tasks, *ends)
    assert runs(order, tasks) and sorted(order) == list(range(6))
    every = (p for p in itertools.permutations(range(6)) if runs(p, tasks))
    least = min(peak([tasks[index] for index in p], *ends) for p in every)
    assert peak([tasks[index] for index in order], *ends) == least


@pytest.mark.parametrize("seed", range(20))
def test_the_peak_without_in_place_is_that_of_the_plan(seed):
    tasks, sizes = drawn_tasks(seed, 8)
    plain = [Task(task.reads, task.writes) for task in tasks]
    steps = [(task.reads, task.writes) for task in tasks]
    assert peak(plain, sizes, [0], [8]) == memory.peak_bytes(sizes, steps, [0], [8])


def test_an_order_that_is_as_good_as_any_is_kept():
    tasks = [Task((0,), (1,)), Task((0,), (2,)), Task((1, 2), (3,))]
    assert best_order(tasks, {0: 1, 1: 4, 2: 4, 3: 1}, [0], [3]) == (0, 1, 2)


def test_one_branch_is_finished_before_the_next_one_begins():
    # Two branches that widen to 100 bytes and end in 1: widening both first takes 200.
    tasks = [Task((0,), (1,)), Task((0,), (2,)), Task((1,), (3,)), Task((2,), (4,))]
    sizes = {0: 1, 1: 100, 2: 100, 3: 1, 4: 1}
    assert peak(tasks, sizes, [0], [3, 4]) == 201  # both wide ones, and the input or an end
    order = best_order(tasks, sizes, [0], [3, 4])
    assert order.index(2) < order.index(1) or order.index(3) < order.index(0)
    assert peak([tasks[index] for index in order], sizes, [0], [3, 4]) == 102


def test_a_wide_graph_is_ordered_frugally_when_the_search_ends():
    width = 20
    tasks = [Task((0,), (1 + i,)) for i in range(width)]
    tasks += [Task((1 + i,), (21 + i,)) for i in range(width)]
    tasks += [Task(tuple(range(21, 41)), (41,))]
    sizes = {0: 10, 41: 1} | {1 + i: 10 for i in range(width)} | {21 + i: 1 for i in range(width)}
    assert peak(tasks, sizes, [0], [41]) == 210
    order = best_order(tasks, sizes, [0], [41])
    assert runs(order, tasks)
    # 19 ends, the last wide value and its end, and the input or the value 41.
    assert peak([tasks[index] for index in order], sizes, [0], [41]) <= 40


def test_tasks_that_use_a_state_keep_their_order():
    state = 9
    tasks = [Task((0,), (1,)), Task((0, state), (2,)), Task((1,), (3, state)), Task((2,), (4,))]
    sizes = {0: 1, 1: 100, 2: 100, 3: 1, 4: 1}
    order = best_order(tasks, sizes, [0], [3, 4], kept={state})
    assert order.index(1) < order.index(2)
    assert best_order(tasks, sizes, [0], [3, 4]) != order
