import itertools

import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms.scopes import Division, checked_scope

SHAPE = (2, 3, 2, 4)  # 12 inputs of 4 channels

# Which group the weight at each place belongs to, by the words of the documentation.
GROUPS = {
    "layer": lambda place: 0,
    "network": lambda place: 0,
    "channel": lambda place: place[3],
    "kernel": lambda place: (place[2], place[3]),
    3: lambda place: np.ravel_multi_index(place[:3], SHAPE[:3]) // 3,
    12: lambda place: 0,
}


@pytest.mark.parametrize("scope", GROUPS)
@pytest.mark.parametrize("kind", [tf.constant, np.asarray])
def test_groups_hold_the_weights_that_share_a_table_and_nothing_else(scope, kind):
    weight = np.arange(48).reshape(SHAPE)
    division = Division.of(scope, SHAPE)
    rows = division.grouped(kind(weight))
    assert rows.shape == (division.groups, division.members)
    wanted = {}
    for place in np.ndindex(SHAPE):
        wanted.setdefault(GROUPS[scope](place), set()).add(int(weight[place]))
    assert [{*row} for row in np.asarray(rows).tolist()] == [wanted[key] for key in sorted(wanted)]
    back = division.ungrouped(rows)
    assert type(back) is type(kind(weight)) and np.array_equal(back, weight)


def test_a_weight_without_inputs_has_one_kernel_for_each_channel():
    division = Division.of("kernel", (3, 3, 5), input_axes=())
    weight = np.arange(45).reshape(3, 3, 5)
    assert np.array_equal(division.grouped(weight), weight.reshape(9, 5).T)


def test_axes_of_space_end_where_the_inputs_begin():
    division = Division.of("kernel", (5, 2, 3), input_axes=(1,))
    assert (division.groups, division.members) == (6, 5)


@pytest.mark.parametrize(
    "scope, codebook",
    [
        ("layer", [0, 1, 2]),
        ("channel", [[[0, 3]], [[1, 4]], [[2, 5]]]),
        (1, [[0, 3, 6], [1, 4, 7], [2, 5, 8]]),
    ],
)
def test_tables_are_laid_out_as_the_format_has_them(scope, codebook):
    division = Division.of(scope, (3, 2))
    rows = np.arange(3 * division.groups).reshape(division.groups, 3)
    assert division.codebook(rows).tolist() == codebook


def optimal_error(values, count):
    """Sum of squared distances of the best of all partitions into `count` intervals."""
    ordered = np.sort(np.float64(values))
    if ordered.size <= count:
        return 0.0
    cuts = itertools.combinations(range(1, ordered.size), count - 1)
    return min(sum(np.square(p - p.mean()).sum() for p in np.split(ordered, cut)) for cut in cuts)


@pytest.mark.parametrize("seed", range(3))
def test_granularity_a_finer_scope_never_costs_more_at_as_many_values(seed):
    source = np.random.default_rng(seed)
    layers = [source.normal(size=(4, 1, 2, 2)), source.normal(0.5, 2.0, size=(4, 1, 2, 3))]

    def error(scope):
        rows = [row for w in layers for row in Division.of(scope, w.shape).grouped(w)]
        return sum(optimal_error(row, 2) for row in rows)

    network = optimal_error(np.concatenate([w.ravel() for w in layers]), 2)
    assert error("kernel") <= error("channel") <= error("layer") <= network
    assert error(4) <= error("layer")
    assert error("kernel") < 0.8 * network


@pytest.mark.parametrize("scope", ["block", "", None, 0, -2, 1.5, True, [2]])
def test_what_is_no_scope_is_refused(scope):
    with pytest.raises(ValueError, match="`scope` must be one of .*'layer'.* or a number"):
        checked_scope(scope)


def test_scopes_are_words_or_numbers():
    assert [checked_scope(s) for s in ("layer", "kernel", np.int64(3))] == ["layer", "kernel", 3]


@pytest.mark.parametrize(
    "scope, shape, input_axes, message",
    [
        (5, (3, 4), None, "must divide the number of inputs.*scope=5 for 3 inputs"),
        (2, (4,), None, "must divide.*scope=2 for 1 inputs"),
        ("kernel", (3, 4), None, "without spatial axes.*'channel'"),
        ("kernel", (3, 5, 4), (0,), "without spatial axes"),
        ("kernel", (4,), None, "without spatial axes"),
    ],
)
def test_a_scope_that_does_not_divide_a_weight_is_refused(scope, shape, input_axes, message):
    with pytest.raises(ValueError, match=message):
        Division.of(scope, shape, input_axes)


def test_a_table_has_at_most_as_many_values_as_its_group_has_weights():
    division = Division.of("channel", (3, 4))
    assert [division.clusters(count, at_most=True) for count in (2, 3, 9)] == [2, 3, 3]
    assert Division.of("channel", (1, 4)).clusters(9, at_most=True) == 2
    assert division.clusters(3, at_most=False) == 3
    with pytest.raises(ValueError, match=r"must not exceed.*=4 .*\(3 values in each of 4 groups\)"):
        division.clusters(4, at_most=False)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
@pytest.mark.parametrize("scope", ["layer", "channel"])
def test_a_weight_without_values_is_refused(scope, shape):
    with pytest.raises(ValueError, match="must stand at a weight that has values"):
        Division.of(scope, shape).clusters(2, at_most=True)
