"""The optimal partition against all others, in exact fractions and by the plain recurrence."""

import ctypes
import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.tflite_kernels import native
from tests.tflite_kernels.guarded import GuardedArrays


def call(values, weights, count, memory=np.ascontiguousarray):
    """Returns the status and the edges, -7 where nothing was written."""
    values, weights = memory(np.float64(values)), memory(np.float64(weights))
    edges = memory(np.full(count + 1, -7, np.int32))
    size, wanted = ctypes.c_size_t(values.size), ctypes.c_size_t(count)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (values, weights, edges)]
    status = native.load().edgeax_partition(*pointers[:2], size, wanted, pointers[2])
    return status, edges


def partition(values, weights, count, memory=np.ascontiguousarray):
    """Returns the edges of a partition that has to work."""
    status, edges = call(values, weights, count, memory)
    assert status == native.OK
    assert edges[0] == 0 and edges[-1] == len(values) and (np.diff(edges) > 0).all()
    return edges


def exact_costs(values, weights):
    """The cost of each interval `[i][j]`, in fractions."""
    sums = [(Fraction(0),) * 3]
    for value, weight in zip(map(Fraction, map(float, values)), weights, strict=True):
        weight = Fraction(float(weight))
        parts = (weight, weight * value, weight * value**2)
        sums.append(tuple(a + b for a, b in zip(sums[-1], parts, strict=True)))

    def cost(i, j):
        weight, first, second = (b - a for a, b in zip(sums[i], sums[j], strict=True))
        return second - first**2 / weight if weight else Fraction(0)

    n = len(values)
    return [[cost(i, j) if i < j else None for j in range(n + 1)] for i in range(n + 1)]


def least_costs(cost):
    """The least cost of each number of intervals by the recurrence over the last one."""
    n = len(cost) - 1
    best = {0: Fraction(0)}
    found = {}
    for count in range(1, n + 1):
        best = {j: min(best[i] + cost[i][j] for i in best if i < j) for j in range(count, n + 1)}
        found[count] = best[n]
    return found


def cost_of(cost, edges):
    return sum(cost[i][j] for i, j in itertools.pairwise(edges.tolist()))


KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "ties": lambda rng, n: rng.integers(0, 5, n),
    "grid": lambda rng, n: np.arange(n),
    "clusters": lambda rng, n: rng.choice([0.0, 1.0, 5.0], n) + rng.normal(size=n) * 1e-8,
    "far from zero": lambda rng, n: 1e6 + rng.normal(size=n) * 1e-6,
    "heavy tails": lambda rng, n: rng.standard_cauchy(n) ** 3,
}
WEIGHTS = [
    lambda rng, n: np.ones(n),
    lambda rng, n: rng.integers(1, 4, n),
    lambda rng, n: rng.gamma(0.1, 1, n) + 1e-12,
    lambda rng, n: rng.random(n) < 0.7,
]


@pytest.mark.parametrize("kind", KINDS)
def test_no_partition_of_few_values_is_better(kind):
    """All partitions of up to 12 values are tried; for 30 values the recurrence is trusted."""
    rng = np.random.default_rng([*KINDS].index(kind))
    for trial, draw in enumerate(WEIGHTS * 4):
        n = int(rng.integers(1, 13)) if trial % 4 else 30
        values, weights = np.sort(KINDS[kind](rng, n)), draw(rng, n)
        cost = exact_costs(values, weights)
        least = least_costs(cost)
        for count in range(1, n + 1):
            if n <= 12:
                cuts = itertools.combinations(range(1, n), count - 1)
                tried = min(cost_of(cost, np.array([0, *cut, n])) for cut in cuts)
                assert tried == least[count]
            found = cost_of(cost, partition(values, weights, count))
            assert found <= least[count] * (1 + Fraction(1, 10**13)), (values, weights, count)


def plain_recurrence(values, weights, count):
    """The least cost in O(n**2 count), by running sums of centred values."""
    values = np.longdouble(values - values.mean())
    weight, first, second = (
        np.concatenate([[0], np.cumsum(weights * values**power)]) for power in range(3)
    )
    i, j = np.triu_indices(values.size + 1, 1)
    cost = np.full((values.size + 1,) * 2, np.inf)
    mass, total, squares = (sums[j] - sums[i] for sums in (weight, first, second))
    cost[i, j] = squares - total**2 / mass
    best = np.where(np.arange(values.size + 1) > 0, np.inf, 0.0)
    for _ in range(count):
        best = (best[:, np.newaxis] + cost).min(axis=0)
    return best[-1]


@pytest.mark.parametrize("size, count", [(300, 2), (300, 16), (700, 40), (700, 350)])
@pytest.mark.parametrize("kind", ["normal", "grid", "lognormal"])
def test_more_values_cost_what_the_plain_recurrence_finds(kind, size, count):
    rng = np.random.default_rng(size + count)
    lognormal = {"lognormal": lambda rng, n: np.exp(2 * rng.normal(size=n))}
    values = np.sort(np.float64({**KINDS, **lognormal}[kind](rng, size)))
    for weights in (np.ones(size), rng.gamma(0.5, 1, size) + 1e-3):
        edges = partition(values, weights, count)
        found = 0.0
        for begin, end in itertools.pairwise(edges):
            part, mass = values[begin:end], weights[begin:end]
            found += mass @ (part - np.average(part, weights=mass)) ** 2
        assert found == pytest.approx(plain_recurrence(values, weights, count), rel=1e-8)


def test_many_values_come_to_a_fixed_point_that_lloyd_does_not_better():
    """Coarse levels first: with 200,000 values and 16 intervals there are three."""
    values = np.unique(np.random.default_rng(0).laplace(size=200_000))
    edges = partition(values, np.ones(values.size), 16)
    means = np.array([values[a:b].mean() for a, b in itertools.pairwise(edges)])
    limits = (means[:-1] + means[1:]) / 2
    assert np.array_equal(np.searchsorted(values, limits, "right"), edges[1:-1])


def test_equal_costs_are_spliced_from_a_cut_with_fewer_and_one_with_more():
    """Of the numbers 0 to 11 any pair costs 0.5, so that 6 and 12 intervals are corners of the
    convex hull and 7 to 11 lie on the line between them."""
    for count in range(6, 13):
        edges = partition(np.arange(12), np.ones(12), count)
        assert np.diff(edges).max() <= 2
        assert np.count_nonzero(np.diff(edges) == 2) == 12 - count


@pytest.mark.parametrize("at_end", [True, False], ids=["beyond_the_end", "before_the_start"])
def test_nothing_outside_its_memory_is_touched(at_end):
    rng = np.random.default_rng(3)
    for size, count in ((1, 1), (2, 2), (5, 3), (40, 39), (3000, 7)):
        values, weights = np.sort(rng.normal(size=size)), rng.random(size)
        expected = partition(values, weights, count)
        found = partition(values, weights, count, GuardedArrays(at_end))
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "values, weights, count, status",
    [
        ([], [], 1, native.BAD_SHAPE),
        ([1.0], [1.0], 0, native.BAD_SHAPE),
        ([1.0, 2.0], [1.0, 1.0], 3, native.BAD_SHAPE),
        ([2.0, 1.0], [1.0, 1.0], 1, native.BAD_ARGUMENT),
        ([1.0, np.nan], [1.0, 1.0], 1, native.BAD_ARGUMENT),
        ([1.0, 1e61], [1.0, 1.0], 1, native.BAD_ARGUMENT),
        ([1.0, 2.0], [1.0, -1.0], 1, native.BAD_ARGUMENT),
        ([1.0, 2.0], [1.0, np.inf], 1, native.BAD_ARGUMENT),
    ],
)
def test_bad_arguments_are_refused_and_the_edges_untouched(values, weights, count, status):
    found, edges = call(values, weights, count)
    assert found == status
    assert (edges == -7).all()
