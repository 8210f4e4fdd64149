import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.rewrite import paths_of_compressed
from edgeax.sharing import GROUPINGS, KMeans, Optimal
from edgeax.sharing.api import cluster
from edgeax.sharing.weights import weights_of
from tests.model import small_models
from tests.pruning import nets
from tests.rows import kept

layers = keras.layers


def small_net(seed=0):
    """Returns a trained convolution and dense layer, images and classes."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    images, labels = small_models.images(24), small_models.labels(24)
    model.fit(images, labels, epochs=1, verbose=0)
    return model, images, labels


def values_of(model):
    """Returns the kernels that a model computes with, by layer."""
    return {weight.name: frozen(weight).decode() for weight in weights_of(model)}


def frozen(weight):
    return weight.chain.freeze(weight.layout.to_canonical(np.asarray(weight.variable)))


@pytest.fixture(scope="module")
def trained():
    return small_net()


@pytest.fixture(scope="module")
def rounded(trained):
    """The same in 8 bits, trained a little."""
    model, images, labels = trained
    int8 = edgeax.Quantize("int8")
    rule = edgeax.Rule(".*", kernel=edgeax.Quantize("int8", axis=-1), input=int8, output=int8)
    small = edgeax.compress(model, edgeax.Recipe([rule]))
    small.fit(images, labels, epochs=1, verbose=0)
    return small


# Values that are the nearest and that are not; what counts of samples and of optimizers.
SOME_GROUPINGS = kept(GROUPINGS, "kmeans", "hessian", "optimizer", "weighted_entropy")


@pytest.mark.parametrize("grouping", SOME_GROUPINGS)
def test_a_grouped_model_trains_is_saved_and_exported(grouping, rounded, trained, tmp_path):
    _, images, labels = trained
    small = cluster(rounded, 8, grouping, samples=images, labels=labels)
    before = values_of(small)
    assert all(1 < np.unique(frozen(weight).codes).size <= 8 for weight in weights_of(small))
    small.fit(images, labels, epochs=2, verbose=0)
    assert any(not np.array_equal(value, before[name]) for name, value in values_of(small).items())
    assert all(np.unique(frozen(weight).codes).size <= 8 for weight in weights_of(small))
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    assert np.array_equal(loaded(images), small(images))
    path = tmp_path / "small.tflite"
    result = edgeax.export(small, path, images, io="int8", measure=False)
    assert len(result.kernels) == 2 and not result.stays_float
    found = edgeax.Interpreter(path).run(images)
    assert np.mean(np.argmax(found, -1) == np.argmax(small(images), -1)) > 0.9


def test_sh16_the_error_is_that_of_the_grouping_and_the_optimum_is_least(trained):
    model, images, _ = trained
    errors = {}
    for grouping in ("kmeans", "density", "kmeans++", "optimal", "uniform"):
        small = cluster(model, 5, grouping)
        kernel = np.asarray(model.get_layer("head").kernel, np.float64)
        errors[grouping] = np.sum((values_of(small)["head"] - kernel) ** 2)
        wanted = GROUPINGS[grouping]().group(kernel, None, 5).error(kernel)
        assert errors[grouping] == pytest.approx(wanted, rel=1e-5)
    assert errors["optimal"] <= min(errors.values()) * (1 + 1e-6)


def test_the_hessian_makes_the_loss_less_than_plain_k_means_does():
    model = nets.dense(16, activation="linear")
    x = np.random.default_rng(0).normal(size=(500, 6)) * [0.01, 0.1, 0.3, 1, 3, 10]
    x = x.astype(np.float32)
    y = model(x).numpy()  # a minimum of the loss
    plain, weighted = (
        cluster(model, 3, grouping, samples=x, labels=y)
        for grouping in (Optimal(), Optimal("hessian"))
    )
    assert nets.loss_of(weighted, x, y) < nets.loss_of(plain, x, y)


@pytest.mark.parametrize("scope, tables", [("layer", 1), ("channel", 4), ("kernel", 8), (6, 3)])
def test_each_group_of_a_scope_has_its_own_values(scope, tables, trained):
    model, *_ = trained
    small = cluster(model, 3, "optimal", scope=scope, layers="conv")
    (weight,) = weights_of(small)
    raw = weight.cluster.division.grouped(weight.value)
    found = weight.cluster.division.grouped(values_of(small)["conv"])
    assert found.shape[0] == tables
    for row, values in zip(raw, found, strict=True):
        assert np.allclose(values, Optimal().group(row, None, 3).values, atol=1e-6)


@pytest.mark.parametrize("grouping", ["optimal", "entropy"])
def test_one_table_serves_a_network(grouping, trained):
    model, *_ = trained
    small = cluster(model, 6, grouping, scope="network")
    kernels = [np.asarray(model.get_layer(name).kernel).ravel() for name in ("conv", "head")]
    wanted = GROUPINGS[grouping]().group(np.concatenate(kernels), None, 6).values
    found = np.concatenate([values.ravel() for values in values_of(small).values()])
    assert np.allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("grouping", SOME_GROUPINGS)
def test_zeros_of_a_pruning_stay_and_count_as_one_value(grouping, trained):
    model, images, labels = trained
    pruned = edgeax.prune(model, 0.6)
    if grouping == "optimizer":
        pruned.compile("adam", "sparse_categorical_crossentropy")
        pruned.fit(images, labels, epochs=1, verbose=0)
    small = cluster(pruned, 5, grouping, samples=images, labels=labels)
    for _ in range(2):
        for weight in weights_of(small):
            values = values_of(small)[weight.name]
            mask = np.asarray(weight.chain.transforms[0].mask)
            assert not values[~mask].any() and 0.5 < np.mean(~mask) < 0.7
            assert np.unique(values).size <= 5
        small.fit(images, labels, epochs=1, verbose=0)


def test_codes_that_are_not_the_nearest_stay_in_training(trained):
    model, images, labels = trained
    small = cluster(model, 6, "weighted_entropy", layers="head")
    (weight,) = weights_of(small)
    assert weight.cluster.assign_every == 0
    codes = frozen(weight).codes
    small.fit(images, labels, epochs=3, verbose=0)
    groups = [np.unique(frozen(weight).codes[codes == code]) for code in np.unique(codes)]
    assert all(group.size == 1 for group in groups)


def test_a_subclassed_model_is_clustered_too():
    from tests.post_training import cases

    model, samples = cases.subclassed()
    small = cluster(edgeax.compress(model, [edgeax.Prune(0.5)]), 4, "optimal")
    assert all(np.unique(values).size <= 4 for values in values_of(small).values())
    assert small(samples).shape == (120, 3)


def test_the_model_is_not_changed(trained):
    model, images, labels = trained
    small = cluster(model, 8)
    for given in (model, small):
        before, outputs = given.get_weights(), given(images).numpy()
        cluster(given, 4, "hessian", samples=images, labels=labels)
        assert all(np.array_equal(a, b) for a, b in zip(before, given.get_weights(), strict=True))
        assert np.array_equal(given(images), outputs)


def test_a_channel_of_zeros_keeps_them():
    model = nets.dense(4, 3)
    kernel = np.asarray(model.layers[0].kernel).copy()
    kernel[:, 2] = 0
    model.layers[0].kernel.assign(kernel)
    small = cluster(model, 3, "optimal", scope="channel", layers="first")
    values = values_of(small)["first"]
    assert not values[:, 2].any() and (np.abs(values).sum(axis=0)[[0, 1, 3]] > 0).all()


X, _ = nets.data()


def constant(value):
    model = nets.dense(4, 3)
    model.layers[1].kernel.assign(np.full((4, 3), value, np.float32))
    return model


@pytest.mark.parametrize(
    "model, arguments, message",
    [
        (nets.dense(4, 3), {"number_of_clusters": 20}, "`number_of_clusters`.*12 values.*'second'"),
        (constant(0.5), {"number_of_clusters": 4}, "4 for 1 different.*'second'"),
        (constant(np.nan), {}, "`model` must have finite weights.*second/kernel"),
        (nets.dense(4, 3), {"number_of_clusters": 1}, r"`number_of_clusters` must lie in \[2, 256"),
        (nets.dense(4, 3), {"grouping": "median"}, "`grouping` must be one of.*'median'"),
        (nets.dense(4, 3), {"scope": "row"}, "`scope` must be one of.*'row'"),
        (nets.dense(4, 3), {"scope": 5, "number_of_clusters": 2}, "5.*'first'"),
        (nets.dense(4, 3), {"scope": "kernel"}, "`scope` must not be 'kernel'.*'first'"),
        (nets.dense(4, 3), {"seed": -1}, "`seed` must be an integer"),
        (nets.dense(4, 3), {"batch_size": 0}, "`batch_size` must be an integer"),
        (nets.dense(4, 3), {"layers": "third"}, "`layers` must pick.*'third'"),
        (
            nets.dense(4, 3),
            {"grouping": "hessian", "number_of_clusters": 4},
            "`samples` must be given for grouping 'hessian'.*needs samples, loss",
        ),
        (
            nets.dense(4, 3),
            {"grouping": KMeans(importance="hessian"), "number_of_clusters": 4},
            "`samples` must be given for grouping 'KMeans'",
        ),
        (
            nets.dense(4, 3, loss=None),
            {"grouping": "hessian", "samples": X, "number_of_clusters": 4},
            "`loss` must be given for a model that is not compiled",
        ),
        (
            nets.dense(4, 3),
            {"grouping": "hessian", "samples": X, "loss": "mae", "number_of_clusters": 4},
            "`loss` must be a mean squared error.*'mae'.*grouping='optimal'",
        ),
        (
            nets.dense(4, 3),
            {"grouping": "optimizer", "number_of_clusters": 4},
            "'optimizer'.*trained by Adam.*sgd",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        cluster(model, **arguments)


def test_clusters_of_a_compressed_model_need_as_many_values_too():
    small = edgeax.prune(nets.dense(4, 3), 0.75)
    with pytest.raises(ValueError, match="`number_of_clusters`.*5 for 4 different.*'second'"):
        cluster(small, 5)
    assert paths_of_compressed(cluster(small, 4, "optimal"))
