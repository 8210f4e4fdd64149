"""Scores of channels, against sums worked out apart from them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.model.objective import Objective
from edgeax.pruning import channel_scores as scores_of
from edgeax.pruning.lasso import Lasso
from tests.pruning import channel_models
from tests.pruning.test_channel_case import case_of

layers = keras.layers


def kernel(model, name):
    return np.asarray(model.get_layer(name).kernel, np.float64)


def ranks(values):
    return np.argsort(np.argsort(values))


def test_the_l1_score_is_the_sum_of_magnitudes():
    model = channel_models.trained()
    found = scores_of.FilterL1().scores(case_of(model))
    inner = np.abs(kernel(model, "inner")).sum((0, 1, 2))
    np.testing.assert_allclose(found["inner"], inner, rtol=1e-5)
    # The residual connection ties the filters of the stem to those that are added to them.
    both = sum(np.abs(kernel(model, name)).sum((0, 1, 2)) for name in ("stem", "back"))
    np.testing.assert_allclose(found["stem"], both, rtol=1e-5)
    np.testing.assert_allclose(found["hidden"], np.abs(kernel(model, "hidden")).sum(0), rtol=1e-5)


def test_l2_is_the_root_of_the_sum_of_squares_of_all_that_make_a_unit():
    model = channel_models.trained()
    found = scores_of.FilterL2().scores(case_of(model))
    both = sum((kernel(model, name) ** 2).sum((0, 1, 2)) for name in ("stem", "back"))
    np.testing.assert_allclose(found["stem"], np.sqrt(both), rtol=1e-5)


def test_the_rank_is_affine_in_the_squared_norm():
    model = channel_models.trained()
    norms = {
        "stem": sum((kernel(model, n) ** 2).sum((0, 1, 2)) for n in ("stem", "back")),
        "inner": (kernel(model, "inner") ** 2).sum((0, 1, 2)),
        "hidden": (kernel(model, "hidden") ** 2).sum(0),
    }
    case = case_of(model)
    plain = scores_of.GlobalRank().scores(case)
    ranked = scores_of.GlobalRank({"inner": 3.0, "hidden": 0.5}, {"inner": -2.0}).scores(case)
    same = scores_of.GlobalRank(2.0, 1.0).scores(case)
    for name, norm in norms.items():
        alpha = {"inner": 3.0, "hidden": 0.5}.get(name, 1.0)
        np.testing.assert_allclose(plain[name], norm, rtol=1e-5)
        np.testing.assert_allclose(ranked[name], alpha * norm - 2.0 * (name == "inner"), rtol=1e-5)
        np.testing.assert_allclose(same[name], 2.0 * norm + 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"alpha": 0.0}, "`alpha` must be above 0"),
        ({"alpha": {"inner": -1.0}}, "`alpha` must be above 0"),
        ({"kappa": float("nan")}, "`kappa` must be finite"),
        ({"kappa": "high"}, "`kappa` must be finite"),
    ],
)
def test_a_rank_of_no_numbers_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        scores_of.GlobalRank(**kwargs)


def test_a_rank_of_no_group_is_refused():
    with pytest.raises(ValueError, match=r"`kappa` must be for groups .*\['nowhere'\]"):
        scores_of.GlobalRank(kappa={"nowhere": 1.0}).scores(case_of(channel_models.residual()))


def test_gammas_are_taken_by_their_magnitude_and_averaged_where_coupled():
    model = channel_models.residual()
    for name, values in {
        "stem_norm": [1, -2, 3, 0, 0, 0, 0, 0],
        "back_norm": [3, 4, -1, 0, 0, 0, 0, 2],
        "inner_norm": [-0.5] * 12,
    }.items():
        model.get_layer(name).gamma.assign(np.float32(values))
    case = case_of(model)
    found = scores_of.BatchNormScale().scores(case)
    assert found["stem"].tolist() == [2, 3, 2, 0, 0, 0, 0, 1]
    assert found["inner"].tolist() == [0.5] * 12
    assert set(case.skipped) == {"down", "hidden"}
    assert "no batch normalization" in case.skipped["down"]


def taylor_case(model, images, labels, loss="sparse_categorical_crossentropy", **kwargs):
    objective = Objective(model, loss)
    return case_of(model, [images], labels=labels, objective=objective, **kwargs)


def test_taylor_is_the_mean_of_activation_times_gradient():
    """Pooled, the reader of `two` sees one position; of `one` 36."""
    model, images = channel_models.chain(), channel_models.images_for_chain(6)
    wanted = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    case = taylor_case(model, images, wanted, "mean_squared_error", batch_size=4)
    found = scores_of.ChannelTaylor().scores(case)
    expected = {"one": np.zeros(5), "three": np.zeros(7)}
    one, two, pool, three, four = model.layers
    for sample in range(6):
        with tf.GradientTape(persistent=True) as tape:
            a = one(images[sample : sample + 1])
            tape.watch(a)
            b = three(pool(two(a)))
            tape.watch(b)
            loss = tf.reduce_mean((four(b) - wanted[sample]) ** 2)
        for name, value in {"one": a, "three": b}.items():
            product = np.asarray(value * tape.gradient(loss, value), np.float64)
            expected[name] += np.abs(product.mean(axis=tuple(range(product.ndim - 1)))) / 6
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value / np.linalg.norm(value), rtol=1e-3, atol=1e-6)


def test_taylor_takes_off_what_a_unit_costs():
    model, images = channel_models.chain(), channel_models.images_for_chain(6)
    labels = np.int32([0, 1, 2, 0, 1, 2])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain = scores_of.ChannelTaylor().scores(taylor_case(model, images, labels, loss))
    less = scores_of.ChannelTaylor(macs_weight=2.0).scores(taylor_case(model, images, labels, loss))
    # Multiply-accumulates: 36 * 9 * 2 * 5, 36 * 9 * 5 * 6, 6 * 7, 7 * 3.
    total = 3240 + 9720 + 42 + 21
    np.testing.assert_allclose(plain["one"] - less["one"], 2 * (36 * 9 * (2 + 6)) / total)
    np.testing.assert_allclose(plain["three"] - less["three"], 2 * (6 + 3) / total, rtol=1e-6)


def test_mtk16_ranks_like_the_change_of_the_loss_better_than_norms():
    """Rank correlation with the oracle, |L without the unit - L|, over the units of all layers."""
    model = channel_models.trained()
    images, labels = channel_models.separable(96, seed=1)
    case = taylor_case(model, images, labels)

    def loss(gates):
        outputs = np.asarray(case.run([images], gates))
        return -np.mean(np.log(outputs[np.arange(len(labels)), labels]))

    before = loss({})
    criteria = {
        "taylor": scores_of.ChannelTaylor(),
        "l1": scores_of.FilterL1(),
        "l2": scores_of.FilterL2(),
    }
    found = {name: criterion.scores(case) for name, criterion in criteria.items()}
    correlations = {name: [] for name in criteria}
    for group in case.groups:
        closed = 1.0 - np.eye(group.size, dtype=np.float32)
        oracle = [abs(loss({group.name: gate[None]}) - before) for gate in closed]
        for name, scores in found.items():
            both = np.corrcoef(ranks(oracle), ranks(scores[group.name]))
            correlations[name].append(both[0, 1])
    means = {name: np.mean(values) for name, values in correlations.items()}
    assert means["taylor"] > 0.5
    assert means["taylor"] > max(means["l1"], means["l2"]) + 0.1


def test_taylor_normalizes_each_layer():
    model = channel_models.trained()
    images, labels = channel_models.separable(16)
    for values in scores_of.ChannelTaylor().scores(taylor_case(model, images, labels)).values():
        assert np.linalg.norm(values) == pytest.approx(1.0)


def test_near_zero_counts_what_readers_read():
    model, images = channel_models.chain(), channel_models.images_for_chain(6)
    found = scores_of.NearZeroChannels(0.05).scores(case_of(model, [images], batch_size=4))
    read = np.asarray(model.layers[0](images))
    np.testing.assert_allclose(found["one"], np.mean(np.abs(read) >= 0.05, axis=(0, 1, 2)))
    assert 0.0 < found["one"].min() and found["one"].max() < 1.0


def test_random_scores_are_those_of_the_seed():
    case = case_of(channel_models.residual())
    first = scores_of.RandomChannels().scores(case)
    again = scores_of.RandomChannels().scores(case)
    other = scores_of.RandomChannels().scores(case_of(channel_models.residual(), seed=1))
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
        assert not np.array_equal(values, other[name])


@pytest.mark.parametrize("make, message", [
    (lambda: scores_of.NearZeroChannels(0.0), "`threshold` must be above 0"),
    (lambda: scores_of.ChannelTaylor(-1.0), "`macs_weight` must be at least 0"),
])  # fmt: skip
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_criteria_are_known_by_name_or_given():
    assert isinstance(scores_of.channel_criterion_of("lasso"), Lasso)
    given = scores_of.GlobalRank()
    assert scores_of.channel_criterion_of(given) is given
    with pytest.raises(ValueError, match="`criterion` must be one of .*Did you mean .*'taylor'"):
        scores_of.channel_criterion_of("tailor")
