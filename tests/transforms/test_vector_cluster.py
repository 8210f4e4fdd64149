import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.formats.vector_codebook import TABLES, VectorCodebook
from edgeax.transforms import Chain, Prune, Quantize
from edgeax.transforms.base import fresh
from edgeax.transforms.vector_cluster import VectorCluster
from tests.transforms.bound import value_and_gradients, weight_chain
from tests.transforms.modes import compiled, eager, graph, in_every_mode

# Sub-vectors of pairs, those of the first output channel (0, 0) and (10, 10), of the second
# (0, 2) and (10, 14), of the third (1, 1) and (10, 12).
WEIGHT = np.float32([[0, 0, 1], [0, 2, 1], [10, 10, 10], [10, 14, 12]])
UPSTREAM = np.float32([[1, 2, 4], [8, 16, 32], [64, 128, 256], [512, 1024, 2048]])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_wlw15_sub_vectors_take_the_means_of_their_clusters():
    chain = weight_chain(VectorCluster(2, 2), WEIGHT)
    value = chain.call(tf.constant(WEIGHT)).numpy()
    third = np.float32(1 / 3)
    assert value[:, 0] == pytest.approx([third, 1.0, 10.0, 12.0])
    assert np.array_equal(value, np.repeat(value[:, :1], 3, axis=1))


@in_every_mode
def test_a_codeword_gets_the_sum_of_its_members_gradients(mode):
    chain = weight_chain(VectorCluster(2, 2), WEIGHT)
    codewords = chain.transforms[0].codewords
    chain.transforms[0].set_codewords([[[0, 1], [10, 12]]])
    run = mode(lambda: value_and_gradients_of(chain, codewords))
    value, to_weight, to_codewords = (tensor.numpy() for tensor in run())
    assert value.tolist() == [[0, 0, 0], [1, 1, 1], [10, 10, 10], [12, 12, 12]]
    assert to_codewords.tolist() == [[[7, 56], [448, 3584]]]
    assert np.array_equal(to_weight, UPSTREAM)  # the weights move too, and may change sides


def value_and_gradients_of(chain, variable):
    weight = tf.constant(WEIGHT)
    with tf.GradientTape() as tape:
        tape.watch(weight)
        value = chain.call(weight, training=True)
    return value, *tape.gradient(value, [weight, variable.value], tf.constant(UPSTREAM))


def test_a_step_of_gradient_descent_moves_a_sub_vector_to_the_other_codeword():
    chain = weight_chain(VectorCluster(2, 2), WEIGHT)
    chain.transforms[0].set_codewords([[[0, 0], [10, 10]]])
    weight = WEIGHT.copy()
    _, to_weight = value_and_gradients(chain, weight, 0 * UPSTREAM - 9 * np.eye(4, 3, dtype="f4"))
    moved = chain.call(tf.constant(weight - to_weight)).numpy()
    assert moved[:2, 0].tolist() == [0, 0]  # (9, 0) is still nearer to (0, 0)
    assert moved[:2, 1].tolist() == [10, 10]  # (0, 11) is not


@pytest.mark.parametrize("tables", TABLES)
@pytest.mark.parametrize("mode", [eager, graph, compiled])
def test_what_training_computes_with_is_what_freeze_stores(tables, mode):
    weight = normal(3, 3, 4, 6)
    chain = weight_chain(VectorCluster(5, 2, tables), weight)
    value = mode(lambda x: chain.call(x, training=True))(tf.constant(weight)).numpy()
    encoded = chain.freeze(weight)
    assert encoded.format == VectorCodebook(5, 2, tables)
    assert np.array_equal(encoded.decode(), value)
    assert np.array_equal(encoded.format.encode(weight, encoded.params), encoded.codes)
    for vectors in encoded.format.cut(value):
        assert len(np.unique(vectors, axis=0)) <= 5


def test_more_tables_err_less():
    weight = normal(16, 40)

    def error(tables):
        encoded = weight_chain(VectorCluster(8, 2, tables), weight).freeze(weight)
        return np.mean((encoded.decode() - weight) ** 2)

    assert error("per_position") < error("shared")


@pytest.mark.parametrize("mode", [eager, graph, compiled])
def test_codewords_are_found_at_their_step_from_the_weights_of_that_time(mode):
    chain = Chain([VectorCluster(3, 2, begin_step=2)])
    chain.bind("weight", (4, 5))
    weights = [normal(4, 5, seed=seed) for seed in range(4)]
    chain.initialize(tf.constant(weights[0]))
    step = mode(lambda x: chain.call(x, training=True))
    for weight in weights[:2]:
        assert np.array_equal(step(tf.constant(weight)), weight)
        assert np.array_equal(chain.freeze(weight).decode(), weight)
    value = step(tf.constant(weights[2])).numpy()
    assert len(np.unique(VectorCodebook(3, 2).cut(value)[0], axis=0)) == 3
    found = np.asarray(chain.transforms[0].codewords.value)
    again = weight_chain(VectorCluster(3, 2), weights[2]).transforms[0].codewords
    assert found == pytest.approx(np.asarray(again.value), abs=1e-6)
    step(tf.constant(weights[3]))  # found once, then trained only
    assert np.array_equal(chain.transforms[0].codewords.value, found)
    assert VectorCluster(3, 2, begin_step=2).settled_step == 3
    assert VectorCluster(3, 2).settled_step == 0
    assert VectorCluster(3, 2, begin_step=2).at_once().begin_step == 0


def test_a_weight_that_is_not_finite_has_no_codewords_until_it_is():
    weight = normal(4, 3)
    broken = weight.copy()
    broken[0, 0] = np.nan
    chain = weight_chain(VectorCluster(2, 2), broken)
    assert not chain.transforms[0].is_found
    chain.call(tf.constant(broken), training=True)
    assert not chain.transforms[0].is_found
    chain.call(tf.constant(weight), training=True)
    assert chain.transforms[0].is_found
    assert np.isfinite(chain.freeze(weight).decode()).all()


def test_more_clusters_than_different_sub_vectors_are_refused():
    with pytest.raises(ValueError, match=r"number_of_clusters=7 .*\(4, 3\), which has 6 sub-vec"):
        weight_chain(VectorCluster(7, 2), WEIGHT)
    with pytest.raises(ValueError, match="which has 3 sub-vectors for each table.*at_most=True"):
        weight_chain(VectorCluster(4, 2, "per_position"), WEIGHT)
    with pytest.raises(ValueError, match="=2 .*which has 1 different ones for a table"):
        weight_chain(VectorCluster(2, 2), np.full((4, 3), 0.5, np.float32))


@pytest.mark.parametrize("tables", TABLES)
def test_with_at_most_a_weight_of_few_sub_vectors_is_stored_exactly(tables):
    for weight in (WEIGHT, np.full((4, 3), 0.5, np.float32), np.zeros((4, 1), np.float32)):
        chain = weight_chain(VectorCluster(16, 2, tables, at_most=True), weight)
        encoded = chain.freeze(weight)
        assert np.array_equal(encoded.decode(), weight)
        assert encoded.format.entries <= 6


def test_an_integer_grid_may_follow():
    chain = Chain([VectorCluster(4, 2), Quantize("int8")])
    weight = normal(6, 5)
    chain.bind("weight", weight.shape)
    chain.initialize(tf.constant(weight))
    value = chain.call(tf.constant(weight), training=True).numpy()
    assert np.array_equal(chain.freeze(weight).decode(), value)
    assert len(np.unique(VectorCodebook(4, 2).cut(value)[0], axis=0)) <= 4


@pytest.mark.parametrize("rounding, keeps", [({}, True), ({"axis": -1}, False)])
def test_sub_vectors_stay_shared_on_a_grid_of_one_step(rounding, keeps):
    chain = Chain([VectorCluster(4, 2), Quantize("int8", **rounding)])
    weight = normal(6, 5)
    chain.bind("weight", weight.shape)
    chain.initialize(tf.constant(weight))
    encoded = chain.freeze(weight)
    assert isinstance(encoded.format, VectorCodebook) == keeps
    assert len(np.unique(encoded.decode())) > 4


def test_without_retracing_steps_repeat_themselves():
    weight = normal(20, 10)
    chain = weight_chain(VectorCluster(8, 4), weight)
    step = graph(lambda x: chain.call(x, training=True))
    first = step(tf.constant(weight)).numpy()
    assert np.array_equal(step(tf.constant(weight)), first)
    assert step.experimental_get_tracing_count() == 1


def test_settings_survive_json():
    cluster = VectorCluster(12, 3, "per_input", begin_step=4, seed=7, at_most=True)
    text = json.dumps(keras.saving.serialize_keras_object(cluster))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == cluster.get_config()
    assert fresh(cluster).get_config() == cluster.get_config()


def network():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", name="head"),
        ]
    )


def recipe():
    conv = edgeax.Rule("conv", kernel=VectorCluster(12, 2, "per_input"))
    return edgeax.Recipe([conv, edgeax.Rule("head", kernel=VectorCluster(12, 4))])


@functools.cache
def trained():
    model = edgeax.compress(network(), edgeax.Recipe.from_json(recipe().to_json()))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    images, labels = normal(64, 6, 6, 2), np.arange(64) % 4
    history = model.fit(images, labels, epochs=6, batch_size=16, verbose=0, shuffle=False)
    return model, images, history.history["loss"]


def test_a_model_trains_and_survives_saving(tmp_path):
    model, images, losses = trained()
    assert losses[-1] < losses[0]
    before = edgeax.compress(network(), recipe()).get_layer("conv").weight_chains[0].chain
    after = model.get_layer("conv").weight_chains[0].chain
    assert np.any(after.transforms[0].codewords != before.transforms[0].codewords)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(again(images), model(images))
    summary = {row.path: row for row in edgeax.summary(model).rows}
    # 3 * 3 * 2 * 8 / 2 indices of 4 bits, 12 codewords of 2 floats, 8 biases.
    assert summary["conv"].size_bytes == 72 * 4 // 8 + 12 * 2 * 4 + 8 * 4


@pytest.mark.parametrize("activations", ["int8", "float32"])
def test_a_model_is_exported(tmp_path, activations):
    model, images, _ = trained()
    result = edgeax.export(
        model, tmp_path / "model.tflite", images, activations=activations, measure=False
    )
    interpreter = edgeax.Interpreter(str(tmp_path / "model.tflite"))
    assert result.size_bytes == (tmp_path / "model.tflite").stat().st_size
    found = interpreter.run(images[:8])
    assert found == pytest.approx(np.asarray(model(images[:8])), abs=0.05)


def test_a_stripped_model_computes_the_same():
    model, images, _ = trained()
    assert np.asarray(edgeax.strip(model)(images)) == pytest.approx(
        np.asarray(model(images)), abs=1e-6
    )


@pytest.mark.parametrize("settings", [{"jit_compile": True}, {"steps_per_execution": 2}])
def test_it_trains_compiled_and_several_steps_at_once(settings):
    def losses(**settings):
        keras.utils.set_random_seed(0)
        wrapped = edgeax.Compressed(keras.layers.Dense(6), kernel=VectorCluster(4, 2, begin_step=1))
        model = keras.Sequential([wrapped, keras.layers.Dense(2)])
        model.compile(keras.optimizers.SGD(0.05), "mse", **settings)
        data = normal(32, 6)
        fitted = model.fit(data, data[:, :2], epochs=2, batch_size=8, shuffle=False, verbose=0)
        return fitted.history["loss"]

    plain = losses(jit_compile=False)
    assert losses(**{"jit_compile": False, **settings}) == pytest.approx(plain, rel=0.03)


def test_a_layer_that_cannot_be_cut_is_named():
    rule = edgeax.Rule(".*", kernel=VectorCluster(4, 5))
    with pytest.raises(ValueError, match="`length` must divide.*It stands in layer 'conv'"):
        edgeax.compress(network(), edgeax.Recipe([rule]))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: VectorCluster(1, 2), "`number_of_clusters` must be an integer, at least 2.*=1"),
        (lambda: VectorCluster(4.5, 2), "`number_of_clusters` must be an integer.*=4.5"),
        (lambda: VectorCluster(70000, 2), "`entries` must be in"),
        (lambda: VectorCluster(4, 0), "`length` must be at least 1"),
        (lambda: VectorCluster(4, 2, "some"), "`tables` must be one of.*'some'"),
        (lambda: VectorCluster(4, 2, begin_step=-1), "`begin_step` must be an integer, at least 0"),
        (lambda: VectorCluster(4, 2, seed=-1), "`seed` must be an integer, at least 0"),
        (
            lambda: Chain([Prune(0.5), VectorCluster(4, 2)]),
            "`VectorCluster` must come first in a chain.*Prune before it",
        ),
        (lambda: Chain([VectorCluster(4, 2)]).bind("activation", ()), "in the chain of a weight"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
