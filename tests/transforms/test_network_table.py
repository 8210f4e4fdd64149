import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.model.copying import compressed_layers, copy_of
from edgeax.transforms import Chain, Cluster, Prune, Quantize, kmeans
from edgeax.transforms.network_table import as_one, copies_of, one_network

layers = keras.layers

INPUTS = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
TARGETS = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)


def plain():
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="deep")], name="inner")
    given = keras.Input((5,))
    return keras.Model(given, layers.Dense(3, name="last")(inner(layers.Dense(4, name="a")(given))))


def shared(*chain, model=None):
    with one_network():
        return edgeax.compress(model or plain(), edgeax.Recipe([edgeax.Rule(".*", kernel=chain)]))


def clusters(model):
    chains = [chain for layer in compressed_layers(model) for chain in layer.chains]
    return [part for chain in chains for part in chain.transforms if isinstance(part, Cluster)]


def tables(model):
    return [np.asarray(cluster.centroids.value) for cluster in clusters(model)]


def assert_one(model, count=3):
    found = tables(model)
    assert len(found) == count
    assert all(np.array_equal(found[0], table) for table in found)


def train(model, optimizer="sgd", epochs=2, **options):
    model.compile(optimizer, "mse", **({"jit_compile": False} | options))
    model.fit(INPUTS, TARGETS, batch_size=2, epochs=epochs, verbose=0)


def test_the_table_is_found_over_the_weights_of_all_layers():
    model = shared(Cluster(4, "density", scope="network"))
    weights = [np.asarray(layer.kernel) for layer in compressed_layers(model)]
    together = tf.sort(np.concatenate([weight.ravel() for weight in weights]))
    assert_one(model)
    assert np.array_equal(tables(model)[0], kmeans.fit(together, 4, "density", 0, False))
    for layer in compressed_layers(model):
        ((_, _, encoded),) = layer.freeze_weights()
        assert np.array_equal(encoded.params["codebook"], np.sort(tables(model)[0]))


def test_every_copy_gets_the_gradients_of_all_layers():
    model = shared(Cluster(3, scope="network"))
    kernels = [layer.kernel for layer in compressed_layers(model)]
    copies = [cluster.centroids for cluster in clusters(model)]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(INPUTS, training=True) - TARGETS))
    to_kernels, to_copies = tape.gradient(
        loss, [[v.value for v in kernels], [v.value for v in copies]]
    )
    sums = np.zeros(3)
    for kernel, upstream in zip(kernels, to_kernels, strict=True):
        codes = np.abs(np.subtract.outer(np.asarray(kernel), tables(model)[0])).argmin(axis=-1)
        np.add.at(sums, codes, np.asarray(upstream))
    for gradient in to_copies:
        assert gradient.numpy() == pytest.approx(sums, rel=1e-4)


@pytest.mark.parametrize("optimizer, jit_compile", [("sgd", True), ("adam", False)])
def test_copies_stay_equal_to_the_last_bit(optimizer, jit_compile):
    model = shared(Prune(0.25), Cluster(4, scope="network"), Quantize("int8", axis=-1))
    before = tables(model)[0]
    train(model, optimizer, jit_compile=jit_compile, steps_per_execution=2)
    assert_one(model)
    assert not np.array_equal(tables(model)[0], before)
    seen = model.predict(INPUTS, verbose=0)
    assert edgeax.strip(model).predict(INPUTS, verbose=0) == pytest.approx(seen, abs=1e-5)


def test_copies_that_rounding_parted_are_one_again_after_a_step():
    model = shared(Cluster(4, scope="network"))
    clusters(model)[1].centroids.assign(tables(model)[1] * np.float32(1.000001))
    train(model, epochs=1)
    assert_one(model)


def test_a_loaded_model_and_a_copy_have_a_table_of_their_own_that_is_one(tmp_path):
    model = shared(Cluster(4, scope="network"))
    train(model)
    model.save(tmp_path / "model.keras")
    before = tables(model)[0]
    for again in (keras.models.load_model(tmp_path / "model.keras"), copy_of(model)):
        assert np.array_equal(tables(again)[0], before)
        assert np.array_equal(again.predict(INPUTS, verbose=0), model.predict(INPUTS, verbose=0))
        train(again)
        assert_one(again)
        assert not np.array_equal(tables(again)[0], before)
    assert np.array_equal(tables(model)[0], before)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = layers.Dense(4, name="first"), layers.Dense(3, name="second")

    def call(self, inputs):
        return self.second(self.first(inputs))


def test_a_subclassed_model_has_one_table():
    model = Subclassed()
    model(INPUTS)
    model = shared(Cluster(4, scope="network"), model=model)
    before = tables(model)[0]
    train(model)
    assert_one(model, count=2)
    assert not np.array_equal(tables(model)[0], before)


def test_a_layer_that_is_not_trained_keeps_its_copy():
    model = shared(Cluster(4, scope="network"))
    before = tables(model)[0]
    model.get_layer("last").trainable = False
    train(model)
    rest, last = tables(model)[:-1], tables(model)[-1]
    kept = clusters(model)[[c.centroids.trainable for c in clusters(model)].index(False)]
    assert np.array_equal(kept.centroids.value, before)
    moved = [table for table in [*rest, last] if not np.array_equal(table, before)]
    assert len(moved) == 2 and np.array_equal(*moved)


def test_layers_that_differ_in_pruning_or_grid_have_tables_of_their_own():
    cluster = Cluster(4, scope="network")
    recipe = edgeax.Recipe(
        [edgeax.Rule(".*", kernel=cluster), edgeax.Rule("last", kernel=[Prune(0.5), cluster])]
    )
    with one_network():
        model = edgeax.compress(plain(), recipe)
    train(model)
    found = {table.shape: table for table in tables(model)}
    assert sorted(found) == [(3,), (4,)]
    assert np.array_equal(*[table for table in tables(model) if table.shape == (4,)])


def test_a_placed_table_serves_all_layers():
    model = shared(Cluster(4, scope="network"))
    for cluster in clusters(model):
        cluster.place([-1.0, -0.25, 0.5, 1.0])
    for layer in compressed_layers(model):
        ((_, _, encoded),) = layer.freeze_weights()
        assert {*np.unique(encoded.decode())} <= {-1.0, -0.25, 0.5, 1.0}


def test_a_small_layer_may_have_fewer_weights_than_the_table_values():
    model = shared(Cluster(30, scope="network"))
    assert_one(model)
    assert tables(model)[0].shape == (30,)


def test_more_clusters_than_weights_of_the_network_are_refused():
    with pytest.raises(ValueError, match="number_of_clusters=100 for 48 different values"):
        shared(Cluster(100, scope="network"))
    assert tables(shared(Cluster(100, scope="network", at_most=True)))[0].shape == (100,)


def test_a_weight_alone_is_no_network():
    chain = Chain([Cluster(2, scope="network")])
    chain.bind("weight", (3, 2))
    weight = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with pytest.raises(ValueError, match=r"`scope` must not be 'network' for a weight alone"):
        chain.initialize(weight)
    with pytest.raises(ValueError, match=r"needs a table.*training without one.*place\(\)"):
        chain.call(weight, training=True)
    assert np.array_equal(chain.call(weight), weight)
    chain.transforms[0].place([1.5, 5.5])
    chain.initialize(weight)
    assert {*np.unique(chain.call(weight, training=True))} == {1.5, 5.5}
    assert copies_of(chain.transforms[0]) == [chain.transforms[0]]


def test_an_error_within_leaves_nothing_waiting():
    chain = Chain([Cluster(2, scope="network")])
    chain.bind("weight", (3, 2))
    with pytest.raises(KeyError), one_network():
        chain.initialize(tf.constant(np.arange(6, dtype=np.float32).reshape(3, 2)))
        raise KeyError
    assert not int(chain.transforms[0].found.value)
    with pytest.raises(ValueError, match="for a weight alone"):
        chain.initialize(tf.ones((3, 2)))


def test_a_network_cannot_be_found_later():
    with pytest.raises(ValueError, match="`begin_step` must be 0 with scope='network'.*=5"):
        Cluster(4, scope="network", begin_step=5)


def test_the_gradient_of_one_goes_to_all():
    own, *copies = (tf.constant([1.0, 2.0]) for _ in range(3))
    with tf.GradientTape() as tape:
        tape.watch([own, *copies])
        value = as_one(own, *copies)
    gradients = tape.gradient(value, [own, *copies], tf.constant([3.0, 4.0]))
    assert value.numpy().tolist() == [1.0, 2.0]
    assert gradients[0] is None
    assert [gradient.numpy().tolist() for gradient in gradients[1:]] == [[3.0, 4.0]] * 2
