import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.formats.outlier_codebook import OutlierCodebook
from edgeax.transforms import Chain, Cluster, Prune, Quantize, transform_of
from edgeax.transforms.outlier_cluster import OutlierCluster
from tests.rows import soaked
from tests.transforms.bound import value_and_gradients, weight_chain
from tests.transforms.modes import compiled, eager, graph, in_every_mode

layers = keras.layers


def weight_with_tails(*shape, deviation=0.1, seed=0):
    """A normal weight in which one value of 50 lies far out."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0.0, deviation, size=shape)
    far = rng.random(shape) < 0.02
    return np.where(far, np.sign(weight) * 0.7 + weight, weight).astype(np.float32)


def test_zeam20_outliers_stay_and_the_rest_share_values():
    weight = weight_with_tails(60, 40)
    value = weight_chain(OutlierCluster(3), weight).call(tf.constant(weight)).numpy()
    far = np.abs(weight) > 0.6
    assert far.sum() > 20 and np.array_equal(value[far], weight[far])
    assert len(np.unique(value[value != weight])) == 8


WEIGHTS = [(3, 0.0), (1, 0.05), (3, 0.05), (6, 1.0), (3, 30.0)]


@pytest.mark.parametrize(
    "bits, deviation, mode",
    [
        *((*weight, mode) for weight in WEIGHTS for mode in (eager, graph)),
        *((*weight, compiled) for weight in (WEIGHTS[0], WEIGHTS[3])),
        *(soaked(*weight, compiled) for weight in (*WEIGHTS[1:3], WEIGHTS[4])),
    ],
)
def test_zeam20_the_graph_finds_what_the_format_finds(bits, deviation, mode):
    weight = weight_with_tails(30, 20, deviation=deviation) + np.float32(0.01)
    chain = Chain([OutlierCluster(bits)])
    chain.bind("weight", weight.shape)
    value = mode(lambda x: chain.call(x, training=True))(tf.constant(weight)).numpy()
    frozen = chain.freeze(weight)
    expected = OutlierCodebook(bits).fit(weight)
    for name in ("codebook", "low", "high", "outliers"):
        assert frozen.params[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-7)
    assert np.array_equal(frozen.decode(), value)
    assert np.array_equal(chain.call(tf.constant(weight)), value)


def test_zeam20_outliers_get_their_own_gradients_alone():
    weight = np.float32([[0.0, 1.0, 10.0], [-9.0, 0.2, 1.1]])
    upstream = np.float32([[1, 2, 4], [8, 16, 32]])
    chain = weight_chain(OutlierCluster(1), weight)
    cluster = chain.transforms[0]
    cluster.low.assign(-2.0)
    cluster.high.assign(2.0)
    cluster.centroids.assign([1.0, 0.0])  # in any order
    value, to_weight, to_centroids = value_and_gradients(
        chain, weight, upstream, [cluster.centroids], training=True
    )
    assert value.tolist() == [[0.0, 1.0, 10.0], [-9.0, 0.0, 1.0]]
    assert np.array_equal(to_weight, upstream)  # weights move too
    assert to_centroids.tolist() == [2 + 32, 1 + 16]


@in_every_mode
def test_values_are_found_at_their_step_and_the_ends_stay(mode):
    chain = Chain([OutlierCluster(2, begin_step=2)])
    weights = [weight_with_tails(20, 10, seed=seed) for seed in range(4)]
    chain.bind("weight", (20, 10))
    chain.initialize(tf.constant(weights[0]))
    step = mode(lambda x: chain.call(x, training=True))
    for weight in weights[:2]:
        assert np.array_equal(step(tf.constant(weight)), weight)
        assert np.array_equal(chain.freeze(weight).decode(), weight)
    step(tf.constant(weights[2]))
    expected = OutlierCodebook(2).fit(weights[2])
    value = step(tf.constant(weights[3])).numpy()
    frozen = chain.freeze(weights[3])
    assert frozen.params["codebook"] == pytest.approx(expected["codebook"], rel=1e-6)
    assert frozen.params["high"] == pytest.approx(expected["high"], rel=1e-6)
    assert np.array_equal(frozen.decode(), value)
    assert chain.transforms[0].settled_step == 3


def test_a_first_weight_that_is_not_finite_is_passed_over():
    weight = weight_with_tails(10, 10)
    chain = Chain([OutlierCluster(2)])
    chain.bind("weight", weight.shape)
    for bad in (np.nan, np.inf):
        broken = weight.copy()
        broken[3, 4] = bad
        chain.call(tf.constant(broken), training=True)
        assert not int(chain.transforms[0].found.value)
    chain.call(tf.constant(weight), training=True)
    assert int(chain.transforms[0].found.value)


def encoder_block(length=6, width=24, heads=4):
    """A block of a transformer, its projections as dense layers."""
    given = keras.Input((length, width))
    parts = [layers.Dense(width, name=name)(given) for name in ("query", "key", "value")]
    split = [layers.Reshape((length, heads, width // heads))(part) for part in parts]
    query, key, value = (layers.Permute((2, 1, 3))(part) for part in split)
    scores = keras.ops.matmul(query, keras.ops.transpose(key, (0, 1, 3, 2)))
    mixed = keras.ops.matmul(keras.ops.softmax(scores / (width // heads) ** 0.5), value)
    joined = layers.Reshape((length, width))(layers.Permute((2, 1, 3))(mixed))
    tokens = layers.LayerNormalization()(given + layers.Dense(width, name="out")(joined))
    hidden = layers.Dense(4 * width, activation="gelu", name="up")(tokens)
    tokens = layers.LayerNormalization()(tokens + layers.Dense(width, name="down")(hidden))
    pooled = layers.GlobalAveragePooling1D()(tokens)
    return keras.Model(given, layers.Dense(3, name="head")(pooled))


X = np.random.default_rng(0).normal(size=(48, 6, 24)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 48)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    recipe = edgeax.Recipe([edgeax.Rule(".*", kernel=[OutlierCluster(3)])])
    model = edgeax.compress(encoder_block(), edgeax.Recipe.from_json(recipe.to_json()))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    history = model.fit(X, Y, epochs=4, batch_size=8, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]
    return model


def test_zeam20_the_dense_kernels_of_a_transformer_share_values(trained):
    for name in ("query", "key", "value", "out", "up", "down"):
        ((_, _, encoded),) = trained.get_layer(name).freeze_weights()
        is_outlier = encoded.codes >= 8
        assert np.mean(is_outlier) < 0.1
        assert len(np.unique(encoded.decode()[~is_outlier])) <= 8
    rows = {row.path: row for row in edgeax.summary(trained).rows}
    assert rows["up"].weight_bits == 3
    assert rows["up"].size_bytes - 4 * 96 < 24 * 96 * 4 / 7  # without its biases


def test_a_trained_model_comes_back_from_a_file(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(again.predict(X, verbose=0), trained.predict(X, verbose=0))
    stripped = edgeax.strip(trained).predict(X, verbose=0)
    assert stripped == pytest.approx(trained.predict(X, verbose=0), abs=1e-5)


@pytest.mark.parametrize("activations", ["int8", "float32"])
def test_a_dense_network_ends_in_a_file(activations, tmp_path):
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(40, activation="relu", name="hidden")
    plain = keras.Sequential([keras.Input((24,)), hidden, layers.Dense(3, name="head")])
    plain.get_layer("hidden").kernel.assign(weight_with_tails(24, 40))
    model = edgeax.compress(plain, [OutlierCluster(3)])
    path = tmp_path / "model.tflite"
    result = edgeax.export(model, path, X[:, 0], activations=activations, measure=False)
    if activations == "float32":
        assert result.parity.most_output_difference < 1e-5
    else:
        kernels = {kernel.path: kernel for kernel in result.kernels}
        assert kernels["hidden"].how == "int8" and kernels["hidden"].snr_db > 35


def test_a_word_stands_for_it():
    made = transform_of("gobo3")
    assert type(made) is OutlierCluster and made.get_config()["bits"] == 3
    assert transform_of("gobo4").get_config()["log_density"] == -4.0


def test_at_once_it_begins_at_step_0():
    assert OutlierCluster(4, -5.0, begin_step=7).at_once().get_config() == {
        "bits": 4,
        "log_density": -5.0,
        "begin_step": 0,
    }


@pytest.mark.parametrize(
    "members, message",
    [
        ([Prune(0.5), OutlierCluster(3)], "`OutlierCluster` must not follow Prune: it has no zero"),
        ([OutlierCluster(3), Quantize("int8")], "`Quantize` must be the only quantizer"),
        ([Cluster(4), OutlierCluster(3)], "`OutlierCluster` must not follow Cluster"),
    ],
)
def test_chains_that_would_undo_something_are_refused(members, message):
    with pytest.raises(ValueError, match=message):
        Chain(members)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: OutlierCluster(0), r"`bits` of OutlierCluster .*\[1, 8\].*bits=0"),
        (lambda: OutlierCluster(9), r"`bits` of OutlierCluster .*\[1, 8\].*bits=9"),
        (lambda: OutlierCluster(3, float("-inf")), "`log_density` must be finite.*-inf"),
        (lambda: OutlierCluster(begin_step=-1), "`begin_step` must be.*at least 0"),
        (
            lambda: Chain([OutlierCluster(3)]).bind("weight", (7,)),
            r"no more values than there are weights.*8 values.*\(7,\)",
        ),
        (
            lambda: Chain([OutlierCluster(3)]).bind("weight", (0, 4)),
            r"no more values than there are weights.*\(0 values\)",
        ),
        (lambda: Chain([OutlierCluster(3)]).bind("activation", ()), "chain of a weight"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_settings_survive_json():
    cluster = OutlierCluster(4, -6.0, 5)
    text = json.dumps(keras.saving.serialize_keras_object(cluster))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(again) is OutlierCluster and again.get_config() == cluster.get_config()
