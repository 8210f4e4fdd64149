"""lookup_tables(): a trained model's layers computed by looking up."""

import functools

import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.lookup import lookup_tables
from edgeax.transforms.cluster_activations import ClusterActivations

layers = keras.layers


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(6, 3, padding="same", strides=2, activation="relu", name="conv"),
            layers.MaxPooling2D(),
            layers.Flatten(name="flatten"),
            layers.Dense(8, activation="tanh", name="dense"),
            layers.Dense(4, activation="softmax", name="head"),
        ]
    )


def recipe():
    weights = edgeax.Cluster(5, scope="channel")
    points = ClusterActivations(7)
    return edgeax.Recipe([edgeax.Rule(".*", kernel=weights, input=points, output=points)])


def trained():
    model = edgeax.compress(network(), recipe())
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    images = normal(64, 6, 6, 2)
    labels = np.argmax(images.mean(axis=(1, 2)) @ normal(2, 4, seed=1), axis=-1)
    return model, images, model.fit(images, labels, epochs=10, verbose=0).history["loss"]


@functools.cache
def seen():
    """A model that saw one batch."""
    model = edgeax.compress(network(), recipe())
    model(normal(64, 6, 6, 2), training=True)
    return model


def to_eighths(model):
    """Puts weights and points on multiples of 1/8, so that every sum is exact in float32."""
    for layer in model.layers:
        if not isinstance(layer, edgeax.Compressed):
            continue
        for weight in layer.weight_chains:
            centroids = weight.chain.transforms[0].centroids
            centroids.assign(np.rint(np.asarray(centroids) * 8) / 8)
        if getattr(layer.layer, "use_bias", False):
            layer.layer.bias.assign(np.rint(np.asarray(layer.layer.bias) * 64) / 64)
        for chain in layer.chains:
            if chain.role == "activation":
                mean = chain.transforms[0].points.mean
                mean.assign(np.rint(np.asarray(mean) * 8) / 8)


def looked_up(tables, images):
    """The codes between the layers, and the sums of the last, from tables alone."""
    conv, dense, head = (tables[name] for name in ("conv", "dense", "head"))
    codes = conv.outputs(conv.sums(conv.codes_of(images)))
    pooled = codes[:, :2, :2].reshape(-1, 1, 2, 1, 2, 6).max(axis=(2, 4))  # points are sorted
    hidden = dense.outputs(dense.sums(pooled.reshape(len(images), -1)))
    return codes, hidden, head.sums(hidden)


def test_rikr17_looked_up_a_network_gives_every_bit_of_the_keras_model():
    model, images, losses = trained()
    assert losses[-1] < losses[0]  # it retrains with both codebooks in place
    to_eighths(model)
    tables = lookup_tables(model)
    assert [*tables] == ["conv", "dense", "head"]
    codes, hidden, sums = looked_up(tables, images)

    conv, dense, head = (model.get_layer(name) for name in ("conv", "dense", "head"))
    of_conv = np.asarray(conv(images))
    assert np.array_equal(tables["conv"].output_points[codes], of_conv)
    flat = model.get_layer("flatten")(model.layers[1](of_conv))
    of_dense = np.asarray(dense(flat))
    assert np.array_equal(tables["dense"].output_points[hidden], of_dense)
    assert np.array_equal(sums, sums_of(head, of_dense))


def sums_of(layer, inputs):
    kernel = next(e for v, _, e in layer.freeze_weights() if v.name == "kernel").decode()
    return inputs @ kernel + np.asarray(layer.layer.bias)


def test_each_neuron_has_weights_of_its_own_and_the_tables_their_products():
    model = seen()
    tables = lookup_tables(model)
    for name, (inputs, outputs) in {"conv": (18, 6), "dense": (6, 8), "head": (8, 4)}.items():
        made = tables[name]
        assert made.codes.shape == (inputs, outputs)
        count, values, points = made.table.shape
        assert (count, points) == (outputs, 7) and 3 <= values <= 5
        encoded = next(
            e for v, _, e in model.get_layer(name).freeze_weights() if v.name == "kernel"
        )
        weight = encoded.decode().reshape(inputs, outputs)
        unit = np.searchsorted(made.points, 0.0)
        other = 0 if unit else 1
        products = made.table[np.arange(outputs), made.codes, other]
        assert np.array_equal(products, weight * made.points[other])
    assert tables["conv"].window.same and tables["conv"].window.strides == (2, 2)
    assert tables["dense"].window is None
    # The dense layer reads what the convolution gives, moved by pooling and flattening.
    assert np.array_equal(tables["dense"].points, tables["conv"].output_points)


def test_what_is_no_rising_function_of_each_value_stays_a_function():
    head = lookup_tables(seen())["head"]
    assert head.boundaries is None and head.output_points is None


def test_layers_may_have_points_at_their_inputs_alone_and_any_clustered_kernel():
    rules = [
        edgeax.Rule("conv", kernel=edgeax.Cluster(6), input=ClusterActivations(4)),
        edgeax.Rule("dense", kernel="ternary", input=ClusterActivations(8)),
    ]
    model = edgeax.compress(network(), edgeax.Recipe(rules))
    images = normal(16, 6, 6, 2)
    model(images, training=True)
    tables = lookup_tables(model)
    assert tables["conv"].table.shape == (1, 6, 4)  # one table for all neurons
    assert tables["dense"].table.shape[1:] == (3, 8)
    assert tables["conv"].boundaries is None
    found = tables["conv"].sums(tables["conv"].codes_of(images))
    conv = model.get_layer("conv")
    expected = np.asarray(conv(images))
    assert np.maximum(found, 0) == pytest.approx(expected, abs=1e-5)


def test_a_convolution_over_one_axis_without_bias_is_looked_up():
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [keras.Input((9, 3)), layers.Conv1D(4, 3, dilation_rate=2, use_bias=False, name="conv")]
    )
    rule = edgeax.Rule(".*", kernel=edgeax.Cluster(4), input=ClusterActivations(5))
    model = edgeax.compress(plain, edgeax.Recipe([rule]))
    x = normal(7, 9, 3)
    model(x, training=True)
    made = lookup_tables(model)["conv"]
    assert made.sums(made.codes_of(x)) == pytest.approx(np.asarray(model(x)), abs=1e-5)
    assert not made.bias.any()


def test_a_layer_that_reads_points_of_two_kinds_has_no_table():
    given = keras.Input((5,))
    branches = [layers.Dense(6, name=name)(given) for name in ("one", "other")]
    head = layers.Dense(3, name="head")
    plain = keras.Model(given, [head(branch) for branch in branches])
    rules = [
        edgeax.Rule("one|other", kernel="int8", input="int8", output=ClusterActivations(4)),
        edgeax.Rule("head", kernel=edgeax.Cluster(4)),
    ]
    model = edgeax.compress(plain, edgeax.Recipe(rules))
    model(normal(20, 5), training=True)
    with pytest.raises(ValueError, match="'head': 'its inputs are not put on points"):
        lookup_tables(model)


def test_a_model_with_nothing_to_look_up_is_refused_with_the_reasons():
    with pytest.raises(ValueError, match="must have a dense layer.*no compressed kernel"):
        lookup_tables(network())
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Conv2D(4, 3, groups=2, name="grouped"),
            layers.Flatten(),
            layers.Dense(3, name="dense"),
        ]
    )
    model = edgeax.compress(plain, edgeax.Recipe([edgeax.Rule(".*", kernel=edgeax.Cluster(4))]))
    message = "'depthwise': 'it is a Depthwise.*'grouped': 'its channels come.*'dense': 'its inputs"
    with pytest.raises(ValueError, match=message):
        lookup_tables(model)
    averaged = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(3)]
    )
    rules = [
        edgeax.Rule("average", input=ClusterActivations(4)),
        edgeax.Rule("dense", kernel=edgeax.Cluster(4)),
    ]
    model = edgeax.compress(averaged, edgeax.Recipe(rules))
    model(normal(4, 6, 6, 2), training=True)
    with pytest.raises(ValueError, match="its inputs are not put on points"):
        lookup_tables(model)
