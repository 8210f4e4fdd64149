import warnings

import numpy as np
import pytest

from edgeax.pruning.selection import checked_choice_of, chosen_masks
from edgeax.pruning.weights import weights_of
from edgeax.transforms.structures import Blocks
from tests.pruning import nets


def weights(*units, inputs=2):
    return weights_of(nets.masked(nets.dense(*units, inputs=inputs)))


def chosen(scores, sparsity, structure="element", scope="global"):
    scores = [np.asarray(score, np.float64) for score in scores]
    found = weights(*(score.shape[1] for score in scores), inputs=scores[0].shape[0])
    masks = chosen_masks(found, scores, checked_choice_of(sparsity, structure, scope))
    return [mask.astype(int).tolist() for mask in masks]


def test_each_layer_loses_its_share_or_all_together_do():
    scores = [[[1, 2], [3, 4]], [[5], [6]]]
    assert chosen(scores, 0.5, scope="layer") == [[[0, 0], [1, 1]], [[0], [1]]]
    assert chosen(scores, 0.5) == [[[0, 0], [0, 1]], [[1], [1]]]


def test_groups_of_different_sizes_compare_by_their_mean_and_count_by_their_size():
    # Filters: 2 of 4 weights with means 1.25 and 2.75, 1 of 2 weights with mean 2.
    scores = [[[1, 3], [1, 3], [1, 3], [2, 2]], [[2], [2]]]
    # By sums the filter of two weights would go first: 4 < 5.
    assert chosen(scores, 0.4, "filter") == [[[0, 1]] * 4, [[1], [1]]]
    with pytest.warns(UserWarning, match="second"):  # 6 of 10 would be its only filter too
        assert chosen(scores, 0.6, "filter") == [[[0, 1]] * 4, [[1], [1]]]


def test_the_last_group_of_a_layer_stays_and_that_is_said():
    scores = [[[1, 2], [3, 4]], [[0.1], [0.2]]]
    with pytest.warns(UserWarning, match="would leave nothing of some.*: second"):
        assert chosen(scores, 0.5) == [[[0, 0], [1, 1]], [[0], [1]]]


def test_no_warning_where_something_is_left():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen([[[1, 2], [3, 4]], [[0.1], [5]]], 0.5)


def test_scores_too_small_or_large_for_float32_keep_their_place_and_ties_go_in_order():
    scores = [[[1e-60, 0.0], [1e60, 1.0]], [[0.0], [2.0]]]
    assert chosen(scores, 1 / 3) == [[[1, 0], [1, 1]], [[0], [1]]]


def test_two_of_four_stay():
    scores = [np.float64([[1, 4, 2, 3]]).T]
    assert chosen(scores, None, "2:4", "layer") == [[[0], [1], [0], [1]]]


@pytest.mark.parametrize(
    "given, message",
    [
        ((None, "element", "layer"), r"`sparsity` must lie in \[0, 1\).*sparsity=None"),
        ((1.0, "element", "layer"), r"`sparsity` must lie in \[0, 1\).*sparsity=1.0"),
        ((0.5, "element", "all"), r"`scope` must be one of.*'all'"),
        ((None, "2:4", "global"), r"`scope` must be 'layer' for NofM"),
        ((0.75, "2:4", "layer"), r"`sparsity` must be that of NofM.*0.5.*0.75"),
    ],
)
def test_bad_choices_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        checked_choice_of(*given)


def test_a_layer_that_would_lose_everything_is_named():
    with pytest.raises(ValueError, match="must leave something.*kernel of 'first'"):
        chosen_masks(weights(1), [np.ones((2, 1))], checked_choice_of(0.9, "filter", "layer"))


def test_blocks_reach_the_share_that_is_nearest():
    generator = np.random.default_rng(0)
    found = weights(10, 7, inputs=9)
    scores = [generator.uniform(size=weight.shape) for weight in found]
    masks = chosen_masks(found, scores, checked_choice_of(0.6, Blocks(2, 4), "global"))
    size = sum(mask.size for mask in masks)
    assert abs(sum(np.count_nonzero(~mask) for mask in masks) - 0.6 * size) <= 4
