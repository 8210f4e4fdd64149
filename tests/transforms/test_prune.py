import json
from fractions import Fraction

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import Chain, ConstantSparsity, PolynomialDecay, Prune, Quantize
from edgeax.transforms.prune import magnitude_mask
from edgeax.transforms.structures import Blocks
from tests.transforms.modes import compiled, graph, in_every_mode

SPARSITIES = ("0", "0.1", "0.25", "0.3", "0.5", "0.75", "0.9", "0.99")


def mask_of(weight, sparsity, block=(1, 1)):
    return magnitude_mask(tf.constant(weight, tf.float32), sparsity, block).numpy()


def chain_of(prune, shape):
    chain = Chain([prune])
    chain.bind("weight", shape)
    return chain


def stable_reference(weight, gone):
    """Which weights stay, by sorting all of them; of equal ones the first go."""
    kept = np.ones(weight.size, bool)
    kept[np.argsort(np.abs(weight).ravel(), kind="stable")[:gone]] = False
    return kept.reshape(weight.shape)


def test_sh16_the_smallest_magnitudes_become_zero():
    weight = np.float32([[0.5, -0.1], [0.02, 3.0], [-0.4, 0.3]])
    chain = chain_of(Prune(0.5), weight.shape)
    pruned = chain.call(tf.constant(weight), training=True)
    # The three smallest of six: 0.02, 0.1, 0.3.
    assert pruned.numpy().tolist() == np.float32([[0.5, 0], [0, 3.0], [-0.4, 0]]).tolist()


def test_lkd17_filters_of_smallest_l1_norm_go():
    kernel = np.zeros((3, 3, 2, 4), np.float32)
    kernel[...] = [0.5, -0.1, 0.2, 0.0]
    kernel[0, 0, 0, 3] = 9.0  # l1 norms 9, 1.8, 3.6, 9
    chain = chain_of(Prune(0.5, structure="filter"), kernel.shape)
    pruned = chain.call(tf.constant(kernel), training=True).numpy()
    assert np.any(pruned, axis=(0, 1, 2)).tolist() == [True, False, False, True]


def test_the_root_mean_square_sees_single_large_weights():
    weight = np.float32([[3, 0, 2, 2]]).T
    by_mean = chain_of(Prune(0.5, block=(1, 2)), weight.shape)
    by_square = chain_of(Prune(0.5, block=(1, 2), criterion="l2"), weight.shape)
    for chain, kept in ((by_mean, [0, 0, 2, 2]), (by_square, [3, 0, 0, 0])):
        assert chain.call(tf.constant(weight), training=True).numpy().ravel().tolist() == kept


def test_two_of_four_needs_no_sparsity():
    prune = Prune(structure="2:4")
    assert prune.schedule.last_sparsity == 0.5
    weight = np.random.default_rng(0).normal(size=(3, 3, 4, 2)).astype(np.float32)
    kept = chain_of(prune, weight.shape).call(tf.constant(weight), training=True).numpy() != 0
    assert np.all(np.moveaxis(kept, -1, 0).reshape(2, -1, 4).sum(axis=2) == 2)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 15, 64])
def test_exactly_the_rounded_share_goes(size):
    weight = np.random.default_rng(size).permutation(size).astype(np.float32) - size // 2
    for sparsity in SPARSITIES:
        gone = round(Fraction(sparsity) * size)  # half to even
        kept = mask_of(weight.reshape(1, size), float(sparsity))
        assert np.array_equal(kept, stable_reference(weight.reshape(1, size), gone))


@in_every_mode
def test_of_equal_magnitudes_the_first_go(mode):
    run = mode(magnitude_mask)
    weights = np.random.default_rng(0).integers(-3, 4, size=(4, 6, 2, 10)).astype(np.float32)
    weights[0] = 0.0
    weights[1] = -1.0
    for weight in weights:
        for share in (0.0, 0.3, 0.9):
            kept = run(tf.constant(weight), tf.constant(share))
            assert np.array_equal(kept, stable_reference(weight, round(share * weight.size)))


def test_magnitudes_of_every_size_are_told_apart():
    tiny, huge = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    weight = np.float32([[1.0, -huge, tiny, 1.0000001, -tiny * 2, np.inf, 0.0, huge]])
    order = [6, 2, 4, 0, 3, 1, 7, 5]
    for gone in range(8):
        assert np.flatnonzero(~mask_of(weight, gone / 8)[0]).tolist() == sorted(order[:gone])


def test_nan_stays_visible():
    assert mask_of([[np.nan, 1.0, -2.0, 0.5]], 0.75).tolist() == [[True, False, False, False]]
    chain = chain_of(Prune(0.5), (1, 4))
    pruned = chain.call(tf.constant([[np.nan, 1.0, -2.0, 0.5]]), training=True).numpy()
    assert np.isnan(pruned[0, 0])
    assert pruned[0, 1:].tolist() == [0.0, -2.0, 0.0]


def test_a_pruned_weight_is_zero_even_if_it_becomes_nan():
    chain = chain_of(Prune(ConstantSparsity(0.5, 0, 0)), (1, 2))
    chain.call(tf.constant([[1.0, 2.0]]), training=True)
    assert chain.call(tf.constant([[np.nan, 3.0]]), training=True).numpy().tolist() == [[0.0, 3.0]]


@pytest.mark.parametrize(
    "weight, block, sparsity, kept",
    [
        # Two inputs of one channel: means 2, 3 / 2, 0 (columns are channels).
        ([[1, 6], [3, 0], [2, 0], [2, 0]], (1, 2), 0.25, [[1, 1], [1, 1], [1, 0], [1, 0]]),
        # Two channels of one input: means 3.5, 1.5, 1, 1.
        ([[1, 6], [3, 0], [2, 0], [2, 0]], (2, 1), 0.5, [[1, 1], [1, 1], [0, 0], [0, 0]]),
        # Both at once: means 2.5 and 1.
        ([[1, 6], [3, 0], [2, 0], [2, 0]], (2, 2), 0.5, [[1, 1], [1, 1], [0, 0], [0, 0]]),
        # Blocks that stick out: means 5 / 4, 6 / 2, 3 / 2 and 2 / 1; the last sum is the smallest.
        ([[1, 1, 3], [-2, 1, 3], [1, -2, 2]], (2, 2), 0.5, [[0, 0, 1], [0, 0, 1], [0, 0, 1]]),
        # A block larger than the weight holds all of it.
        ([[1, 2], [3, 4]], (4, 8), 0.4, [[1, 1], [1, 1]]),
        # Inputs run over height, width and channel; here 2 x 1 x 2 inputs of 1 channel.
        ([[[[5], [0]]], [[[1], [1]]]], (1, 4), 0.4, [[[[1], [1]]], [[[1], [1]]]]),
        ([[[[5], [0]]], [[[1], [1]]]], (1, 2), 0.5, [[[[1], [1]]], [[[0], [0]]]]),
        # A bias: every channel is a block of its own.
        ([3, -1, 2, 0], (1, 4), 0.5, [1, 0, 1, 0]),
    ],
)
def test_blocks_of_smallest_mean_magnitude_go_as_worked_out_by_hand(weight, block, sparsity, kept):
    assert mask_of(weight, sparsity, block).astype(int).tolist() == kept


@in_every_mode
@pytest.mark.parametrize("shape, block", [((3, 2, 5, 6), (1, 4)), ((10, 7), (4, 3))])
def test_whole_blocks_go_in_their_rounded_share(shape, block, mode):
    weight = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    kept = mode(lambda x: magnitude_mask(x, 0.7, block))(tf.constant(weight)).numpy()
    rows = kept.reshape(-1, shape[-1])
    blocks = [
        rows[top : top + block[1], left : left + block[0]]
        for top in range(0, rows.shape[0], block[1])
        for left in range(0, rows.shape[1], block[0])
    ]
    assert all(part.all() or not part.any() for part in blocks)
    assert sum(not part.any() for part in blocks) == round(0.7 * len(blocks))


@in_every_mode
def test_a_pruned_weight_gets_no_gradient_and_the_others_get_all(mode):
    weight = tf.constant([[0.5, -0.1, 0.02, 3.0]])
    upstream = tf.constant([[1.0, 2.0, np.nan, 4.0]])
    chain = chain_of(Prune(0.5), (1, 4))

    @mode
    def run():
        with tf.GradientTape() as tape:
            tape.watch(weight)
            value = chain.call(weight, training=True)
        return tape.gradient(value, weight, upstream)

    assert run().numpy().tolist() == [[1.0, 0.0, 0.0, 4.0]]


@in_every_mode
def test_a_choice_holds_until_the_schedule_acts_again(mode):
    chain = chain_of(Prune(ConstantSparsity(0.5, begin_step=1, frequency=2)), (4,))
    step = mode(lambda weight: chain.call(weight, training=True))
    rising, falling = tf.constant([1.0, 2.0, 3.0, 4.0]), tf.constant([4.0, 3.0, 2.0, 1.0])

    assert step(rising).numpy().tolist() == [1, 2, 3, 4]  # step 0: not yet
    assert step(rising).numpy().tolist() == [0, 0, 3, 4]  # step 1: chosen
    assert step(falling).numpy().tolist() == [0, 0, 2, 1]  # step 2: kept
    assert chain.call(falling, training=False).numpy().tolist() == [0, 0, 2, 1]
    assert step(falling).numpy().tolist() == [4, 3, 0, 0]  # step 3: chosen anew, two come back
    assert step(rising).numpy().tolist() == [1, 2, 0, 0]


def test_inference_never_chooses():
    chain = chain_of(Prune(0.5), (4,))
    weight = tf.constant([1.0, 2.0, 3.0, 4.0])
    assert chain.call(weight, training=False).numpy().tolist() == [1, 2, 3, 4]
    assert np.asarray(chain.transforms[0].mask.value).all()


def test_the_sparsity_follows_the_schedule():
    chain = chain_of(Prune(PolynomialDecay(0.0, 0.8, 0, 4, power=1, frequency=2)), (10,))
    weight = tf.constant(np.arange(1.0, 11.0, dtype=np.float32))
    zeros = [int(np.sum(chain.call(weight, training=True) == 0.0)) for _ in range(7)]
    assert zeros == [0, 0, 4, 4, 8, 8, 8]


@pytest.mark.parametrize(
    "schedule, zeros",
    [(0.5, 2), (ConstantSparsity(0.5, 1), 0), (PolynomialDecay(0.25, 0.75, 0, 10), 1)],
)
def test_a_schedule_that_acts_at_step_0_prunes_before_training(schedule, zeros):
    chain = chain_of(Prune(schedule), (4,))
    weight = tf.constant([1.0, 2.0, 3.0, 4.0])
    chain.initialize(weight)
    assert int(np.sum(chain.call(weight) == 0.0)) == zeros
    assert int(chain.calls.value) == 0


def test_a_second_initialization_does_not_undo_training():
    chain = chain_of(Prune(PolynomialDecay(0.0, 0.75, 0, 1)), (4,))
    weight = tf.constant([1.0, 2.0, 3.0, 4.0])
    for _ in range(2):
        chain.call(weight, training=True)
    chain.initialize(weight)
    assert chain.call(weight).numpy().tolist() == [0, 0, 0, 4]


@pytest.mark.parametrize("mode", [graph, compiled])
def test_a_step_without_a_choice_does_not_look_for_one(mode):
    # Choosing a mask is a loop over the weight; it must stand behind a condition.
    chain = chain_of(Prune(ConstantSparsity(0.5, 0)), (50, 4))
    run = mode(lambda weight: chain.call(weight, training=True))
    body = run.get_concrete_function(tf.TensorSpec((50, 4))).graph
    operators = {operation.type for operation in body.get_operations()}
    assert operators & {"If", "StatelessIf"}
    assert not operators & {"While", "StatelessWhile", "Cumsum", "Abs", "TopKV2"}


def test_steps_do_not_retrace():
    chain = chain_of(Prune(ConstantSparsity(0.5, 1, frequency=2)), (4,))
    run = graph(lambda weight: chain.call(weight, training=True))
    for _ in range(4):
        run(tf.ones([4]))
    assert run.experimental_get_tracing_count() == 1


def test_freeze_gives_the_pruned_weight_and_its_mask():
    weight = np.float32([[0.5, -0.1, 0.02, -3.0]])
    chain = chain_of(Prune(0.5), (1, 4))
    chain.call(tf.constant(weight), training=True)
    encoded = chain.freeze(weight)
    assert encoded.mask.tolist() == [[True, False, False, True]]
    assert encoded.decode().tolist() == [[0.5, 0.0, 0.0, -3.0]]
    assert np.array_equal(encoded.decode(), chain.call(tf.constant(weight)))
    assert encoded.sparsity == 0.5


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Prune(1.0), r"`target_sparsity` must lie in \[0, 1\).*target_sparsity=1.0"),
        (lambda: Prune(-0.5), r"`target_sparsity` must lie in \[0, 1\).*target_sparsity=-0.5"),
        (lambda: Prune(0.75, structure="2:4"), "`schedule` must come to.*0.5.*comes to 0.75"),
        (lambda: Prune(0.5, (1, 4), "row"), "`structure` must be left out where `block`"),
        (lambda: Prune(0.5, criterion="l3"), "`criterion` must be one of"),
        (
            lambda: chain_of(Prune(0.9, structure="filter"), (8, 2)),
            "`sparsity` must leave something.*2 groups",
        ),
        (lambda: Prune("half"), "`schedule` must be a sparsity.*or a schedule.*'half'"),
        (lambda: Prune(None), "`schedule` must be a sparsity.*or a schedule.*None"),
        (lambda: Prune(0.5, block=(1, 0)), r"`block` must be \(channels, inputs\).*\(1, 0\)"),
        (lambda: Prune(0.5, block=(4,)), r"`block` must be \(channels, inputs\).*\(4,\)"),
        (
            lambda: Chain([Quantize("int8"), Prune(0.5)]),
            "`Prune` must come first in a chain.*Quantize before Prune",
        ),
        (
            lambda: Chain([Prune(0.5)]).bind("activation", ()),
            "`Prune` must stand in the chain of a weight",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "schedule", [0.25, ConstantSparsity(0.5, 7), PolynomialDecay(0, 0.5, 1, 9)]
)
def test_settings_survive_json(schedule):
    prune = Prune(schedule, block=(2, 4))
    text = json.dumps(keras.saving.serialize_keras_object(prune))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.structure == Blocks(2, 4)
    assert type(again.schedule) is type(prune.schedule)
    assert again.schedule.get_config() == prune.schedule.get_config()


def test_a_whole_number_and_a_numpy_number_are_sparsities_too():
    assert Prune(0).schedule.target_sparsity == 0.0
    assert Prune(np.float32(0.5)).schedule.target_sparsity == 0.5
