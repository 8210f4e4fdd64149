import keras
import numpy as np
import pytest

from edgeax.pruning.granularity import granularity
from edgeax.transforms.structures import Blocks
from tests.model import small_models
from tests.pruning import nets


def convolution(seed):
    keras.utils.set_random_seed(seed)
    layer = keras.layers.Conv2D(16, 4, name="conv")
    return keras.Sequential([keras.Input((6, 6, 8)), layer])


@pytest.mark.parametrize("seed", range(3))
def test_mhp17_fine_pruning_retains_at_least_what_coarse_does(seed):
    order = ["element", "row", "kernel", "filter"]
    table = granularity(convolution(seed), structures={name: name for name in order})
    for sparsity in (0.5, 0.75):
        rows = [row for row in table.rows if row.sparsity == sparsity]
        assert [row.structure for row in rows] == order
        assert all(row.reached == sparsity for row in rows)
        retained = [row.retained for row in rows]
        assert retained == sorted(retained, reverse=True)
        assert retained[0] > retained[-1] >= 1 - sparsity


def test_small_blocks_retain_at_least_what_larger_ones_around_them_do():
    blocks = {"1": "element", "4": Blocks(1, 4), "16": Blocks(4, 4), "64": Blocks(8, 8)}
    rows = granularity(convolution(0), (0.5,), blocks).rows
    retained = [row.retained for row in rows]
    assert retained == sorted(retained, reverse=True) and len({*retained}) == 4


def test_shares_are_those_worked_out_by_hand():
    model = nets.dense(2, inputs=2)
    model.layers[0].kernel.assign([[1.0, -4.0], [2.0, 3.0]])
    table = granularity(model, (0.5,), {"one": "element", "filter": "filter"})
    assert [row.retained for row in table.rows] == pytest.approx([7 / 10, 7 / 10])
    model.layers[0].kernel.assign([[1.0, -2.0], [4.0, 3.0]])
    table = granularity(model, (0.5,), {"one": "element", "filter": "filter"})
    # 4 + 3 of 10; both filters have 5, and the last stays.
    assert [row.retained for row in table.rows] == pytest.approx([7 / 10, 5 / 10])


def test_the_table_names_what_is_left_whole():
    table = granularity(small_models.convolutional(), (0.9,))
    filters = next(row for row in table.rows if row.structure == "filter")
    assert filters.whole == ("conv", "depthwise", "head")
    assert (filters.reached, filters.retained) == (0.0, 1.0)
    text = str(table)
    assert "structure" in text and "at 0.9" in text
    assert "left whole by filter at 0.9: conv, depthwise, head" in text


def test_bad_sparsities_are_refused():
    with pytest.raises(ValueError, match=r"`sparsities` must lie in \[0, 1\).*1.5"):
        granularity(convolution(0), (1.5,))
    assert np.isfinite(granularity(convolution(0), (0.0,)).rows[0].retained)


@pytest.mark.parametrize(
    "sparsities, structures, message",
    [
        (0.5, None, r"`sparsities` must be a list of at least one share.*sparsities=0.5"),
        ("0.5", None, "`sparsities` must be a list of at least one share.*'0.5'"),
        ((), None, "`sparsities` must be a list of at least one share"),
        (("0.5",), None, r"`sparsities` must lie in \[0, 1\).*'0.5'"),
        ((0.5,), ["element"], r"`structures` must be a dict.*\['element'\].*Blocks"),
        ((0.5,), {}, "`structures` must be a dict of at least one"),
    ],
)
def test_what_is_no_list_or_table_is_refused(sparsities, structures, message):
    with pytest.raises(ValueError, match=message):
        granularity(nets.dense(3), sparsities, structures)


def test_layers_are_chosen_by_place():
    model = nets.dense(4, 2, inputs=2)
    rows = [
        granularity(model, (0.5,), {"one": "element"}, layers=layers).rows[0].retained
        for layers in ("@last", "second")
    ]
    assert rows[0] == rows[1]
