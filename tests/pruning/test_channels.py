"""Channels removed from a trained model in one shot."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.model.channels import channel_groups
from edgeax.model.macs import macs
from edgeax.model.select_channels import mask_channels, remove_channels
from edgeax.pruning import channel_scores, criteria
from edgeax.pruning.channel_case import ChannelCriterion
from edgeax.pruning.channels import PrunedChannels, prune_channels
from edgeax.pruning.lasso import Lasso
from tests.model import small_models
from tests.pruning import channel_models
from tests.rows import kept

layers = keras.layers

FREE = {"stem": 8, "inner": 12, "down": 10, "hidden": 16}


def outputs(model, images):
    return np.asarray(model(images, training=False))


def lists(found):
    return {name: units.tolist() for name, units in found.removed.items()}


def conv_norms(model, *names):
    return sum(
        np.abs(np.asarray(model.get_layer(name).kernel, np.float64)).sum((0, 1, 2))
        for name in names
    )


@pytest.mark.parametrize(
    "criterion",
    kept(
        sorted(channel_scores.CHANNEL_CRITERIA),
        *("batch_norm_scale", "taylor", "near_zero", "global_rank", "lasso", "thinet"),
    ),
)
def test_every_criterion_keeps_half_the_multiply_accumulates(criterion):
    model = channel_models.trained()
    images, labels = channel_models.separable()
    before = outputs(model, images[:8])
    found = prune_channels(model, macs=0.5, criterion=criterion, samples=images, labels=labels)
    assert found.macs_before == sum(macs(model).values())
    assert found.macs_after == sum(macs(found.model).values()) <= 0.5 * found.macs_before
    assert found.parameters_after == found.model.count_params() < found.parameters_before
    assert min(found.sizes[name] - len(units) for name, units in found.removed.items()) >= 1
    assert found.model.compiled
    history = found.model.fit(images[:96], labels[:96], epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][1] < history["loss"][0]
    np.testing.assert_array_equal(outputs(model, images[:8]), before)


def test_lkd17_the_smallest_filters_go_and_the_masked_model_computes_the_same():
    model = channel_models.trained()
    images, _ = channel_models.separable(16)
    found = prune_channels(model, sparsity=0.5)
    norms = {
        "stem": conv_norms(model, "stem", "back"),
        "inner": conv_norms(model, "inner"),
        "down": conv_norms(model, "down"),
        "hidden": np.abs(np.asarray(model.get_layer("hidden").kernel)).sum(0),
    }
    for name, size in FREE.items():
        expected = np.sort(np.argsort(norms[name])[: size // 2])
        assert found.removed[name].tolist() == expected.tolist()
    masked = mask_channels(model, found.removed)
    np.testing.assert_allclose(outputs(found.model, images), outputs(masked, images), atol=1e-5)


def test_cdzm19_cdzm20_one_filter_less_misses_the_target():
    """(1, 0) ranks all filters of the model by their squared norms; others shift whole layers."""
    model = channel_models.trained()
    total = sum(macs(model).values())
    norms = {}
    for group in channel_groups(model):
        if not group.reason:
            kernels = [m.path for m in group.makers if m.weight == "kernel"]
            norms[group.name] = sum(
                np.square(np.asarray(model.get_layer(path).kernel, np.float64))
                .reshape(-1, group.size)
                .sum(0)
                for path in kernels
            )
    shifts = {"inner": 100.0, "down": 0.1}
    for criterion, alpha, kappa in (
        ("global_rank", {}, {}),
        (channel_scores.GlobalRank({"stem": 2.0}, shifts), {"stem": 2.0}, shifts),
    ):
        ranked = sorted(
            (alpha.get(name, 1.0) * norm + kappa.get(name, 0.0), name, unit)
            for name, values in norms.items()
            for unit, norm in enumerate(values)
        )
        found = prune_channels(model, macs=0.6, criterion=criterion)
        gone = {(name, unit) for name, units in lists(found).items() for unit in units}
        taken, left = set(), dict(FREE)
        for _, name, unit in ranked:
            if len(taken) < len(gone) and left[name] > 1:
                taken.add((name, unit))
                left[name] -= 1
                last = (name, unit)
        assert gone == taken
        assert found.macs_after <= 0.6 * total
        fewer = {
            name: [u for u in units if (name, u) != last] for name, units in lists(found).items()
        }
        assert remove_channels(model, fewer).macs_after > 0.6 * total
    assert not found.removed["inner"].size


def test_lls17_one_percentile_of_all_gammas_is_the_threshold():
    given = keras.Input((6, 6, 2))
    x = given
    gammas = {"one": np.float32([0.9, -0.1, 0.5, 0.3]), "two": np.float32([-0.8, 0.7, 0.6, 0.2])}
    for name, values in gammas.items():
        x = layers.Conv2D(4, 3, padding="same", use_bias=False, name=name)(x)
        normalization = layers.BatchNormalization(name=f"{name}_norm")
        x = layers.ReLU()(normalization(x))
        normalization.gamma.assign(values)
    x = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(given, x)
    found = prune_channels(model, sparsity=0.5, criterion="batch_norm_scale")
    threshold = np.percentile(np.abs(np.concatenate([*gammas.values()])), 50)
    for name, values in gammas.items():
        assert found.removed[name].tolist() == np.flatnonzero(np.abs(values) < threshold).tolist()
    assert lists(found) == {"one": [1, 2, 3], "two": [3]}
    by_layer = prune_channels(model, sparsity=0.5, criterion="batch_norm_scale", scope="layer")
    assert lists(by_layer) == {"one": [1, 3], "two": [2, 3]}


def test_shares_of_some_groups_leave_the_others_whole():
    found = prune_channels(channel_models.residual(), sparsity={"inner": 0.5, "down": 0.1})
    counts = {name: len(units) for name, units in found.removed.items()}
    assert counts == {"stem": 0, "inner": 6, "down": 1, "hidden": 0}


def test_a_group_keeps_its_least_and_it_is_said():
    found = prune_channels(
        channel_models.residual(),
        sparsity=0.6,
        criterion=channel_scores.GlobalRank(kappa={"stem": -1e6}),
        min_units=3,
    )
    assert len(found.removed["stem"]) == 5
    assert "stem is down to min_units=3." in found.notes
    assert sum(map(len, found.removed.values())) == round(0.6 * sum(FREE.values()))


def test_a_group_of_fewer_units_than_its_least_keeps_them_all_and_that_is_said():
    model = channel_models.residual()
    found = prune_channels(model, sparsity=0.5, min_units=12)
    assert {name: len(units) for name, units in found.removed.items()} == {
        "stem": 0,
        "inner": 0,
        "down": 0,
        "hidden": 4,
    }
    assert set(found.notes) == {
        "stem keeps all its 8 units, because of min_units=12.",
        "inner keeps all its 12 units, because of min_units=12.",
        "down keeps all its 10 units, because of min_units=12.",
        "hidden is down to min_units=12.",
    }
    found = prune_channels(model, sparsity={"inner": 0.9}, min_units=5, multiple_of=4)
    assert found.notes == ("inner keeps 8 of its 12 units, because of min_units=5.",)


@pytest.mark.parametrize("name", sorted(channel_scores.CHANNEL_CRITERIA))
def test_every_word_stands_for_a_public_class_that_may_be_given_instead(name):
    kind = channel_scores.CHANNEL_CRITERIA[name]
    assert getattr(edgeax.pruning, kind.__name__) is kind
    assert kind.__name__ in edgeax.pruning.__all__
    assert channel_scores.channel_criterion_of(kind()).__doc__


def test_no_public_name_of_the_room_is_that_of_another_object_of_the_package():
    """Criteria of weights and of channels, and transforms, are told apart by their names."""
    for name in edgeax.pruning.__all__:
        elsewhere = getattr(edgeax, name, None)
        assert elsewhere is None or elsewhere is getattr(edgeax.pruning, name)
    weights, channels = vars(criteria), vars(channel_scores)
    own = {n for n, v in weights.items() if getattr(v, "__module__", "") == criteria.__name__}
    theirs = {
        n for n, v in channels.items() if getattr(v, "__module__", "") == channel_scores.__name__
    }
    assert not own & theirs


def test_it_prints_what_went_and_what_stayed():
    found = prune_channels(channel_models.residual(), sparsity={"inner": 0.5})
    text = str(found)
    assert "inner      12        6" in text
    assert f"MACs: {found.macs_before:,} -> {found.macs_after:,} (" in text
    assert f"parameters: {found.parameters_before:,} -> {found.parameters_after:,} (" in text
    assert "left as it was: head: " in text
    assert isinstance(found, PrunedChannels)


@pytest.mark.parametrize("criterion", ["lasso", "thinet"])
def test_reconstruction_keeps_the_outputs_nearer_than_choice_alone(criterion):
    model = channel_models.trained()
    images, _ = channel_models.separable()
    kwargs = {"sparsity": 0.4, "samples": images, "criterion": criterion}
    mended = prune_channels(model, **kwargs)
    alone = prune_channels(model, reconstruct=False, **kwargs)
    wanted = outputs(model, images)
    errors = [np.mean((outputs(m.model, images) - wanted) ** 2) for m in (mended, alone)]
    assert errors[0] < errors[1]
    assert any("stem is chosen by l1 and not reconstructed: 2 layers" in n for n in mended.notes)


@pytest.mark.parametrize("criterion", ["lasso", "thinet"])
def test_what_the_reader_does_not_use_goes_however_large_its_filter(criterion):
    model, images = channel_models.chain(), channel_models.images_for_chain()
    first, second = model.get_layer("one"), model.get_layer("two")
    first.kernel.assign(np.asarray(first.kernel) * np.float32([1, 1, 9, 1, 1]))
    second.kernel.assign(np.asarray(second.kernel) * np.float32([1, 1, 0, 1, 1])[:, None])
    found = prune_channels(model, {"one": 0.2}, criterion=criterion, samples=images)
    assert lists(found)["one"] == [2]
    assert lists(prune_channels(model, {"one": 0.8}))["one"] == [0, 1, 3, 4]


def test_other_criteria_can_be_reconstructed():
    model = channel_models.trained()
    images, _ = channel_models.separable()
    wanted = outputs(model, images)

    def error(**kwargs):
        found = prune_channels(model, sparsity={"inner": 0.5, "down": 0.5}, **kwargs)
        return np.mean((outputs(found.model, images) - wanted) ** 2), lists(found)

    plain, chosen = error()
    for reconstruct in ("least_squares", "scale"):
        mended, same = error(reconstruct=reconstruct, samples=images)
        assert mended < plain and same == chosen


def test_lasso_and_least_squares_lose_nothing_on_repeated_channels():
    """Each filter stands twice in `one`; the reader of the half that stays reads it for both."""
    model, images = channel_models.chain(), channel_models.images_for_chain(40)
    first = model.get_layer("three")
    kernel, bias = (np.array(part) for part in first.get_weights())
    kernel[:, 3:6], bias[3:6], bias[6], kernel[:, 6] = kernel[:, :3], bias[:3], -9.0, 0.0
    first.set_weights([kernel, bias])
    found = prune_channels(model, sparsity={"three": 4 / 7}, criterion="lasso", samples=images)
    assert 6 in found.removed["three"]
    np.testing.assert_allclose(outputs(found.model, images), outputs(model, images), atol=1e-4)


def test_only_the_readers_of_groups_that_lose_units_change():
    model, images = channel_models.chain(), channel_models.images_for_chain(40)
    found = prune_channels(model, sparsity={"one": 0.4}, criterion="lasso", samples=images)
    for name in ("three", "four"):
        kernel = found.model.get_layer(name).kernel
        np.testing.assert_array_equal(kernel, model.get_layer(name).kernel)
    kept = np.setdiff1d(np.arange(5), found.removed["one"])
    before = np.asarray(model.get_layer("two").kernel)[:, :, kept]
    assert not np.allclose(found.model.get_layer("two").kernel, before)


def test_hzs17_each_layer_fits_the_original_from_what_the_pruned_ones_before_give():
    """Normal equations: what is left over of the original outputs is orthogonal to the inputs."""
    model, images = channel_models.chain(), channel_models.images_for_chain(80)
    shares = {"one": 0.4, "two": 0.5, "three": 0.4}
    found = prune_channels(model, shares, criterion="lasso", samples=images, places=1000)

    def read(chain, name):
        x = images
        for layer in chain.layers:
            if layer.name == name:
                return np.asarray(x, np.float64)
            if not isinstance(layer, layers.InputLayer):
                x = layer(x)

    for name in ("three", "four"):
        given = read(found.model, name)
        kernel = np.asarray(found.model.get_layer(name).kernel, np.float64)
        original = np.asarray(model.get_layer(name).kernel, np.float64)
        wanted = read(model, name) @ original
        if name == "three":  # which loses outputs too
            kept = np.setdiff1d(np.arange(7), found.removed["three"])
            wanted = wanted[:, kept]
        left = wanted - given @ kernel
        scale = np.linalg.norm(given) * np.linalg.norm(left)
        assert np.linalg.norm(left) > 1e-3
        assert np.abs(given.T @ left).max() < 1e-4 * scale


def test_a_nested_model_is_pruned():
    found = prune_channels(small_models.nested(), macs=0.7)
    assert found.macs_after <= 0.7 * found.macs_before
    assert outputs(found.model, small_models.images(4)).shape == (4, 3)


def test_a_dataset_brings_its_labels_along():
    model = channel_models.trained()
    images, labels = channel_models.separable(64)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    given = prune_channels(model, sparsity=0.3, criterion="taylor", samples=images, labels=labels)
    shuffled = dataset.unbatch().shuffle(64, seed=1).batch(64)
    for samples in (dataset, shuffled):
        found = prune_channels(model, sparsity=0.3, criterion="taylor", samples=samples)
        assert lists(found) == lists(given)


def test_the_same_seed_gives_the_same_model():
    model = channel_models.trained()
    images, _ = channel_models.separable(32)
    kwargs = {"sparsity": 0.3, "criterion": "thinet", "samples": images, "places": 2}
    first, again = (prune_channels(model, seed=3, **kwargs).model for _ in range(2))
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    random = [lists(prune_channels(model, 0.3, criterion="random", seed=s)) for s in (0, 0, 1)]
    assert random[0] == random[1] != random[2]


def test_a_criterion_of_ones_own_may_be_given():
    class Last(ChannelCriterion):
        def scores(self, case):
            return {group.name: -np.arange(group.size, dtype=float) for group in case.groups}

    found = prune_channels(channel_models.residual(), 0.25, criterion=Last())
    assert lists(found)["inner"] == [9, 10, 11]


def test_nothing_may_go_and_the_model_stays_as_it_is():
    model = channel_models.trained()
    images, _ = channel_models.separable(8)
    found = prune_channels(model, sparsity=0.0)
    assert found.macs_after == found.macs_before
    np.testing.assert_allclose(outputs(found.model, images), outputs(model, images), atol=1e-6)


SAMPLES = np.zeros((4, 8, 8, 3), np.float32)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({}, "`sparsity` or `macs` must be given"),
        ({"sparsity": 0.5, "macs": 0.5}, "`sparsity` or `macs` must be given, and not both"),
        ({"sparsity": 1.0}, r"`sparsity` must lie in \[0, 1\)"),
        ({"sparsity": {"inner": -0.1}}, r"`sparsity` must lie in \[0, 1\)"),
        ({"sparsity": {"head": 0.5}}, r"`sparsity` must be for groups .*Received: \['head'\]"),
        ({"macs": 1.0}, r"`macs` must lie in \(0, 1\)"),
        ({"macs": 0.001}, "`macs` must be a share that can be reached.*min_units=1"),
        ({"sparsity": 0.5, "min_units": 0}, "`min_units` must be an integer, at least 1"),
        ({"sparsity": 0.5, "seed": -1}, "`seed` must be an integer, at least 0.*seed=-1"),
        ({"sparsity": "0.5"}, r"`sparsity` must lie in \[0, 1\).*'0.5'"),
        ({"sparsity": 0.5, "places": 0}, "`places` must be an integer, at least 1"),
        ({"sparsity": 0.5, "scope": "all"}, "`scope` must be one of"),
        ({"sparsity": 0.5, "criterion": "l3"}, "`criterion` must be one of"),
        (
            {"sparsity": 0.5, "criterion": "taylor"},
            "`samples` must be typical inputs: ChannelTaylor",
        ),
        (
            {"sparsity": 0.5, "criterion": "near_zero"},
            "`samples` must be typical.*NearZeroChannels",
        ),
        ({"sparsity": 0.5, "criterion": "lasso"}, "`samples` must be typical inputs: Lasso"),
        ({"sparsity": 0.5, "criterion": "thinet"}, "`samples` must be typical inputs: ThiNet"),
        ({"sparsity": 0.5, "reconstruct": "scale"}, "`samples` must be typical inputs"),
        ({"sparsity": 0.5, "reconstruct": "always"}, "`reconstruct` must be one of"),
        (
            {"sparsity": 0.5, "criterion": "taylor", "samples": SAMPLES},
            "`labels` must be those of the samples: ChannelTaylor",
        ),
        (
            {"sparsity": 0.5, "criterion": "taylor", "samples": SAMPLES, "labels": np.zeros(3)},
            "`labels` must be as many as samples",
        ),
        (
            {"sparsity": 0.5, "criterion": "taylor", "samples": SAMPLES, "labels": np.arange(4)},
            "`labels` must be numbers of the model's 3 classes, 0 to 2. Received: 0 to 3",
        ),
        (
            {"sparsity": 0.5, "criterion": Lasso(), "scope": "global", "samples": SAMPLES},
            "`scope` must be 'layer' for Lasso",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        prune_channels(channel_models.residual(), **kwargs)


def test_a_criterion_needs_a_loss():
    model = channel_models.chain()
    images, labels = channel_models.images_for_chain(4), np.zeros(4, int)
    with pytest.raises(ValueError, match="`loss` must be given"):
        prune_channels(model, 0.5, criterion="taylor", samples=images, labels=labels)


def test_scores_that_are_no_numbers_are_refused():
    class Broken(ChannelCriterion):
        def scores(self, case):
            return {group.name: np.full(group.size, np.nan) for group in case.groups}

    with pytest.raises(ValueError, match="`criterion` must give finite scores.*Broken"):
        prune_channels(channel_models.residual(), 0.5, criterion=Broken())


def test_a_model_of_which_nothing_can_go_is_refused_with_the_reasons():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="only")])
    with pytest.raises(ValueError, match="`model` must have channels that can go(.|\n)*only: "):
        prune_channels(model, 0.5)
