"""Group lasso: norms of groups, their sum and its gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training.group_lasso import (
    GroupLasso,
    group_norms,
    group_penalty,
)
from edgeax.transforms.structures import Blocks, Channels, Filters, Whole, structure_of

layers = keras.layers

WEIGHT = np.float32([[3.0, 0.0], [4.0, 12.0]])  # filters: norms 5 and 12; channels: 3, 4 sqrt(10)


def term_and_gradient(regularizer, weight=WEIGHT):
    weight = tf.constant(weight)
    with tf.GradientTape() as tape:
        tape.watch(weight)
        term = regularizer(weight)
    return float(term), tape.gradient(term, weight).numpy()


@pytest.mark.parametrize(
    "structure, expected",
    [
        ("filter", np.sqrt(2) * (5 + 12)),
        ("channel", np.sqrt(2) * (3 + np.sqrt(160))),
        ("layer", np.sqrt(4) * 13),
        ("element", 19),
        (Blocks(2, 1), np.sqrt(2) * (3 + np.sqrt(160))),
    ],
)
def test_yl06_is_the_sum_worked_out_by_hand(structure, expected):
    term, _ = term_and_gradient(GroupLasso(0.5, structure))
    assert term == pytest.approx(0.5 * expected)


def test_yl06_the_gradient_has_the_same_length_for_all_groups_of_a_size():
    _, gradient = term_and_gradient(GroupLasso(0.5))
    expected = 0.5 * np.sqrt(2) * WEIGHT / [5.0, 12.0]
    assert gradient == pytest.approx(expected)


def test_ll16_the_groups_are_taps_across_filters():
    weight = np.zeros((2, 1, 2, 3), np.float32)
    weight[1, 0, 0] = [2.0, 1.0, 2.0]  # one tap of three filters, norm 3
    weight[0, 0, 1] = [0.0, -4.0, 0.0]  # another, norm 4
    term, _ = term_and_gradient(GroupLasso(1.0, "shape"), weight)
    assert term == pytest.approx(np.sqrt(3) * (3 + 4))


def test_ll16_only_taps_below_the_threshold_shrink():
    weight = np.float32([[3.0, 4.0], [0.3, 0.4]])
    term, gradient = term_and_gradient(GroupLasso(1.0, "shape", threshold=1.0), weight)
    assert term == pytest.approx(np.sqrt(2) * (1.0 + 0.5))
    assert gradient == pytest.approx(np.sqrt(2) * np.float32([[0.0, 0.0], [0.6, 0.8]]))


def test_a_group_of_zeros_gets_no_gradient_and_no_nan():
    weight = np.float32([[0.0, 3.0], [0.0, 4.0]])
    _, gradient = term_and_gradient(GroupLasso(1.0), weight)
    assert gradient == pytest.approx(np.sqrt(2) * np.float32([[0.0, 0.6], [0.0, 0.8]]))
    _, gradient = term_and_gradient(GroupLasso(1.0), np.float32([[1e-30], [1e-30]]))
    assert np.isfinite(gradient).all()
    _, gradient = term_and_gradient(GroupLasso(1.0), np.float32([[np.nan, 1.0], [0.0, 0.0]]))
    assert np.isnan(gradient[0, 0]) and gradient[0, 1] == pytest.approx(np.sqrt(2))


def test_norms_and_penalty_know_the_axes_of_inputs():
    depthwise = tf.constant([[[3.0, 1.0]], [[4.0, 1.0]]])  # canonical: no axis of inputs
    norms, sizes = group_norms(depthwise, Channels(), input_axes=())
    assert norms.numpy().ravel() == pytest.approx([5.0, np.sqrt(2)])
    assert sizes.numpy().ravel().tolist() == [2.0, 2.0]
    penalty = group_penalty(depthwise, Filters(), (), by_size=False)
    assert float(penalty) == pytest.approx(5.0 + np.sqrt(2))


def test_the_word_layer_is_the_whole_weight():
    assert structure_of("layer") == Whole()
    norms, sizes = group_norms(tf.constant(WEIGHT), Whole())
    assert norms.numpy().tolist() == [13.0] and sizes.numpy().tolist() == [4.0]
    assert Whole().spread(norms, (2, 2)).shape == (2, 2)


def test_it_stays_with_the_weight_through_wrapping_and_a_file(tmp_path):
    regularizer = GroupLasso(0.1)
    plain = keras.Sequential([keras.Input((2,)), layers.Dense(2, kernel_regularizer=regularizer)])
    plain.layers[0].kernel.assign(WEIGHT)
    compressed = edgeax.compress(plain, [edgeax.Prune(0.5), "int8"])
    compressed.save(tmp_path / "model.keras")
    for model in (plain, compressed, keras.models.load_model(tmp_path / "model.keras")):
        (loss,) = model.losses
        assert float(loss) == pytest.approx(0.1 * np.sqrt(2) * 17, rel=1e-6)


def test_it_trains_in_half_precision_under_xla():
    policy = keras.dtype_policies.DTypePolicy("mixed_float16")
    dense = layers.Dense(2, kernel_regularizer=GroupLasso(0.1), dtype=policy)
    model = keras.Sequential([keras.Input((2,)), dense])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=True)
    loss = model.fit(np.ones((4, 2)), np.ones((4, 2)), verbose=0).history["loss"]
    assert np.isfinite(loss).all()


@pytest.mark.parametrize("item", [GroupLasso(0.1, "shape", 0.5), GroupLasso(0.1, Blocks(4, 2))])
def test_the_settings_go_round(item):
    data = keras.saving.serialize_keras_object(item)
    copy = keras.saving.deserialize_keras_object(data)
    assert type(copy) is type(item) and copy.get_config() == item.get_config()
    assert copy.structure == item.structure


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: GroupLasso(-1.0), "`strength` must be at least 0"),
        (lambda: GroupLasso(structure="column"), "`structure` must be one of.*'column'"),
        (lambda: GroupLasso(threshold=0.0), "`threshold` must be above 0"),
        (lambda: GroupLasso(float("nan")), "`strength` must be.*nan"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
