import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import structures
from edgeax.transforms.structures import (
    Blocks,
    Channels,
    Filters,
    Kernels,
    NofM,
    Rows,
    Shapes,
    structure_of,
)

EVERY = [Blocks(), Blocks(2, 3), NofM(2, 4), Rows(), Kernels(), Filters(), Channels(), Shapes()]


def mask_of(structure, scores, sparsity, input_axes=None):
    scores = tf.constant(scores, tf.float32)
    return structure.mask(scores, sparsity, input_axes).numpy().astype(int)


def numbered(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
    "structure, groups",
    [
        # A kernel (2, 3, 4, 5): height, width, inputs, outputs.
        (Blocks(), 2 * 3 * 4 * 5),
        (Blocks(1, 4), 6 * 5),
        (Blocks(5, 8), 3),
        (Rows(), 2 * 4 * 5),
        (Kernels(), 4 * 5),
        (Filters(), 5),
        (Channels(), 4),
        (Shapes(), 2 * 3 * 4),
    ],
)
def test_a_kernel_has_so_many_groups(structure, groups):
    assert tf.size(structure.sums(tf.ones((2, 3, 4, 5)))) == groups


@pytest.mark.parametrize("structure", EVERY, ids=str)
def test_groups_are_zero_as_a_whole_and_in_their_rounded_share(structure):
    scores = tf.random.stateless_uniform((2, 2, 6, 8), seed=[1, 2])
    kept = structure.mask(scores, 0.5)
    sizes = structure.sums(tf.ones_like(scores)).numpy()
    left = structure.sums(tf.cast(kept, tf.float32)).numpy()
    assert np.all((left == 0) | (left == sizes))
    assert np.sum(left == 0) == round(0.5 * left.size)


@pytest.mark.parametrize(
    "structure, shape, gone",
    [
        (Filters(), (2, 3), np.s_[:, 0]),
        (Channels(), (2, 3), np.s_[0]),
        (Filters(), (2, 2, 2, 2), np.s_[..., 0]),
        (Channels(), (2, 2, 2, 2), np.s_[..., 0, :]),
        (Kernels(), (2, 2, 1, 2), np.s_[..., 0, 0]),
        (Rows(), (2, 2, 1, 1), np.s_[0]),
        (Shapes(), (1, 2, 1, 4), np.s_[:, 0]),
    ],
)
def test_the_group_of_the_lowest_mean_goes(structure, shape, gone):
    wanted = np.ones(shape, int)
    wanted[gone] = 0
    groups = tf.size(structure.sums(tf.ones(shape)))
    assert np.array_equal(mask_of(structure, numbered(*shape), 1.0 / float(groups)), wanted)


def test_ll16_shapes_are_taps_across_all_filters():
    scores = np.float32([[5, 5, 5], [0, 1, 7], [9, 0, 0], [1, 1, 1]])[None, :, None]
    # Means 5, 8/3, 3, 1: the two lowest taps go in all three filters.
    kept = mask_of(Shapes(), scores, 0.5)
    assert kept[0, :, 0].tolist() == [[1, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0]]


def test_a_depthwise_kernel_has_no_inputs():
    shape = (3, 3, 5)
    assert tf.size(Kernels().sums(tf.ones(shape), ())) == 5
    assert tf.size(Channels().sums(tf.ones(shape), ())) == 5
    assert tf.size(Rows().sums(tf.ones(shape), ())) == 3 * 5


def test_a_dense_kernel_has_rows_and_kernels_of_one_weight():
    assert tf.size(Rows().sums(tf.ones((4, 3)))) == 12
    assert tf.size(Kernels().sums(tf.ones((4, 3)))) == 12


def test_a_bias_is_pruned_weight_by_weight():
    for structure in (Blocks(1, 4), Filters(), Channels()):
        assert mask_of(structure, [3, 1, 2, 4], 0.5).tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("sparsity, left", [(0.0, 4), (0.25, 3), (0.5, 2), (0.9, 2)])
def test_n_of_every_m_inputs_stay(sparsity, left):
    scores = np.random.default_rng(0).permutation(48).reshape(2, 1, 8, 3).astype(np.float32)
    kept = mask_of(NofM(2, 4), scores, sparsity)
    columns = np.moveaxis(kept, -1, 0).reshape(3, -1, 4)
    assert np.all(columns.sum(axis=2) == left)
    largest = np.moveaxis(scores, -1, 0).reshape(3, -1, 4).argmax(axis=2)
    assert np.all(np.take_along_axis(columns, largest[..., None], 2) == 1)


def test_of_equal_scores_in_a_group_the_first_go():
    assert mask_of(NofM(2, 4), [[1], [1], [1], [1]], 0.5).ravel().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "word, structure",
    [
        ("element", Blocks()),
        ("2:4", NofM(2, 4)),
        ("filter", Filters()),
        ("channel", Channels()),
        ("kernel", Kernels()),
        ("row", Rows()),
        ("shape", Shapes()),
    ],
)
def test_words_name_structures(word, structure):
    assert structure_of(word) == structure
    assert structure_of(structure) is structure


@pytest.mark.parametrize("structure", EVERY, ids=str)
def test_settings_survive_keras(structure):
    data = keras.saving.serialize_keras_object(structure)
    assert keras.saving.deserialize_keras_object(data) == structure


def test_blocks_that_stick_out_are_said():
    with pytest.warns(UserWarning, match=r"1 channels and 4 inputs do not divide.*25 inputs"):
        Blocks(1, 4).check((5, 5, 1, 20), 0.5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: structure_of("filters"), r"`structure` must be one of.*'2:4'.*'filters'"),
        (lambda: structure_of(4), "`structure` must be one of.*structure=4"),
        (lambda: NofM(4, 4), "1 <= n < m.*n=4, m=4"),
        (lambda: NofM(0, 4), "1 <= n < m.*n=0, m=4"),
        (lambda: structure_of("5:4"), "1 <= n < m.*n=5, m=4"),
        (lambda: NofM(2, 4).check((5, 5, 1, 20), 0.5), "`m` must divide.*m=4 for 25 inputs"),
        (lambda: Filters().check((3, 3, 4, 2), 0.9), "2 groups that Filters.*all go"),
        (lambda: Blocks(2, 0), r"`block` must be \(channels, inputs\).*\(2, 0\)"),
        (lambda: structures.blocks_of((1, 2, 3)), r"`block` must be.*\(1, 2, 3\)"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


LSTM = (6, 8, 4)  # inputs, units, gates


@pytest.mark.parametrize(
    "structure, groups",
    [(Filters(), 32), (Channels(), 6), (Shapes(), 6), (Blocks(1, 2), 96), (NofM(1, 2), 192)],
    ids=str,
)
def test_the_gates_of_an_lstm_are_no_filters(structure, groups):
    assert tf.size(structure.sums(tf.ones(LSTM), (0,))) == groups


def test_blocks_of_an_lstm_run_along_its_inputs():
    scores = np.ones(LSTM, np.float32)
    scores[2:4, 5, 1] = 0.0
    kept = mask_of(Blocks(1, 2), scores, 1 / 96, (0,))
    assert np.array_equal(kept, scores)


def test_a_sparsity_that_prunes_nothing_is_said():
    with pytest.warns(UserWarning, match="prunes nothing.*makes 1 groups"):
        structures.Whole().check((3, 3), 0.4)


def test_a_weight_is_checked_inside_a_graph_too():
    @tf.function
    def check():
        Filters().check((3, 8), 0.5)
        return tf.constant(0)

    check()
