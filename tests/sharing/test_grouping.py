import numpy as np
import pytest

from edgeax.formats.weighted_values import WeightedValues
from edgeax.sharing.grouping import Grouping, Groups, groups_at
from edgeax.sharing.named import GROUPINGS
from tests.sharing.drawn import heavy_tailed


def test_groups_know_their_values_their_error_and_the_bits_of_a_code():
    groups = Groups(np.array([0.0, 2.0]), np.int32([[0, 1], [1, 1]]))
    assert groups.values.tolist() == [[0.0, 2.0], [2.0, 2.0]]
    given = [[1.0, 2.0], [2.0, 0.0]]
    assert groups.error(given) == 5.0
    assert groups.error(given, np.array([[2.0, 1.0], [1.0, 0.5]])) == 4.0
    assert groups.entropy_bits == pytest.approx(2 - 0.75 * np.log2(3))


def test_intervals_without_values_are_no_groups():
    points, places = WeightedValues.of([3.0, 1.0, 3.0, 2.0])
    groups = groups_at(points, places, np.array([0, 0, 2, 3, 3]))
    assert groups.centroids.tolist() == [1.5, 3.0]
    assert groups.codes.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("count", [1, 2, 7, 40])
@pytest.mark.parametrize("name", GROUPINGS)
def test_every_grouping_gives_sorted_finite_centroids_and_codes_of_the_shape(name, count):
    grouping = GROUPINGS[name]()
    values = heavy_tailed(600).reshape(20, 30)
    importance = np.random.default_rng(1).random(values.shape)
    for given in (None, importance):
        groups = grouping.group(values, given, count, seed=3)
        assert groups.codes.shape == values.shape and groups.codes.dtype == np.int32
        assert 1 <= groups.centroids.size <= count
        assert groups.centroids.dtype == np.float64 and (np.diff(groups.centroids) > 0).all()
        assert values.min() <= groups.centroids.min() <= groups.centroids.max() <= values.max()
        assert set(np.unique(groups.codes)) <= {*range(groups.centroids.size)}


@pytest.mark.parametrize("name", GROUPINGS)
def test_every_grouping_takes_as_many_groups_as_there_are_values(name):
    values = np.array([0.5, -1.0, 0.5, 2.0, 0.0, -1.0])
    groups = GROUPINGS[name]().group(values, None, 4)
    if name in ("optimal", "kmeans++", "weighted_entropy"):  # others may put some together
        assert np.allclose(groups.values, values)


@pytest.mark.parametrize("name", GROUPINGS)
def test_every_grouping_is_repeatable_and_takes_one_value_many_times(name):
    grouping, values = GROUPINGS[name](), heavy_tailed(300)
    one, other = (grouping.group(values, None, 5, seed=2) for _ in range(2))
    assert np.array_equal(one.values, other.values)
    assert np.allclose(grouping.group(np.full(9, -0.25), None, 1).centroids, [-0.25])


@pytest.mark.parametrize("name", GROUPINGS)
def test_where_codes_are_not_kept_values_take_the_nearest(name):
    grouping, values = GROUPINGS[name](), heavy_tailed(500)
    groups = grouping.group(values, None, 8)
    nearest = np.abs(np.subtract.outer(values, groups.centroids)).min(axis=1)
    takes_nearest = np.allclose(np.abs(values - groups.values), nearest)
    assert takes_nearest or grouping.keeps_codes


@pytest.mark.parametrize(
    "values, importance, count, message",
    [
        ([], None, 1, r"`values` must hold a value. Received: an empty array of shape \(0,\)"),
        ([1.0, np.nan], None, 1, "`values` must be finite"),
        ([1.0, 1.0, 2.0], None, 3, "`count` must not exceed.*count=3 for 2 different ones"),
        ([1.0, 1.0], None, 2, "`count` must not exceed.*count=2 for 1 different ones"),
        ([1.0, 2.0], [1.0], 2, r"`importance` must be.*shape of `values`, \(2,\).*\(1,\)"),
        ([1.0, 2.0], [1.0, -1.0], 2, "`importance` must be.*least -1.0"),
        ([1.0, 2.0], [1.0, np.inf], 2, "`importance` must be finite"),
        ([1.0, 2.0], None, 0, "`count` must be an integer, at least 1"),
    ],
)
def test_what_cannot_be_grouped_is_refused(values, importance, count, message):
    with pytest.raises(ValueError, match=message):
        GROUPINGS["kmeans"]().group(values, importance, count)


def test_a_grouping_of_ones_own_needs_one_method():
    class Halves(Grouping):
        def grouped(self, values, importance, count, seed):
            return Groups(np.array([-1.0, 1.0]), (values > 0).astype(np.int32))

    assert Halves().group([[-3.0], [0.5]], None, 2).values.tolist() == [[-1.0], [1.0]]
    assert Halves().needs == () and Halves("hessian").needs == ("samples", "loss")
    with pytest.raises(ValueError, match="`importance` must be one of.*'hessian'.*'curvature'"):
        Halves("curvature")
