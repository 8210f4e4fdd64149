"""Pairs: which layers can trade factors, what lies between, and what is said of the others."""

import keras
import numpy as np
import pytest

from edgeax.model.graph import trace
from edgeax.post_training.pairs import Kernel, find_pairs, write

layers = keras.layers


def found(*parts, shape=(8, 8, 4)):
    return find_pairs(trace(keras.Sequential([keras.Input(shape), *parts])))


READERS = {
    "dense": lambda: layers.Dense(3),
    "conv1d": lambda: layers.Conv1D(3, 2),
    "conv": lambda: layers.Conv2D(3, 2),
    "grouped": lambda: layers.Conv2D(6, 2, groups=2),
    "depthwise1d": lambda: layers.DepthwiseConv1D(3),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "transposed1d": lambda: layers.Conv1DTranspose(3, 2, strides=2),
    "transposed": lambda: layers.Conv2DTranspose(3, (2, 3), strides=2),
    "separable": lambda: layers.SeparableConv2D(3, 2, depth_multiplier=2),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_kernel_knows_which_channels_it_reads_and_makes(kind):
    keras.utils.set_random_seed(0)
    layer = READERS[kind]()
    generator = np.random.default_rng(0)
    shape = (2, 6, 4) if "1d" in kind else (2, 6, 7, 4)
    given = generator.normal(size=shape).astype(np.float32)
    before = layer(given)
    read, made = generator.uniform(0.5, 2.0, 4), generator.uniform(0.5, 2.0, before.shape[-1])
    names = [v.name for v in layer.weights if v.name != "bias"]
    first = Kernel(layer, "layer", names[0])
    first.multiply_read(read)
    first.write()
    last = Kernel(layer, "layer", names[-1])
    last.multiply_made(made)
    last.write()
    np.testing.assert_allclose(layer(given / read), before * made, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [name for name in READERS if name[:4] not in ("tran", "sepa")])
def test_the_response_is_what_the_layer_makes_of_constants(kind):
    keras.utils.set_random_seed(0)
    layer = READERS[kind]()
    values = np.arange(1.0, 5.0, dtype=np.float32)
    shape = (1, 6, 4) if "1d" in kind else (1, 6, 7, 4)
    made = np.asarray(layer(np.broadcast_to(values, shape)))
    kernel = Kernel(layer, "layer", "kernel")
    np.testing.assert_allclose(
        made[0, 0].reshape(-1, made.shape[-1])[0], kernel.response(values), rtol=1e-5
    )


BETWEEN = {
    "nothing": [],
    "relu": [layers.ReLU()],
    "leaky": [layers.LeakyReLU(0.1), layers.ReLU(negative_slope=0.3)],
    "prelu": [layers.PReLU()],
    "activation": [layers.Activation("relu"), layers.Activation("linear")],
    "pooling": [layers.MaxPooling2D(), layers.AveragePooling2D(2)],
    "padding": [layers.ZeroPadding2D(), layers.Cropping2D(), layers.UpSampling2D()],
    "dropout": [layers.Dropout(0.5), layers.SpatialDropout2D(0.5), layers.GaussianNoise(1.0)],
    "norm": [layers.ReLU(), layers.BatchNormalization()],
}


@pytest.mark.parametrize("kind", BETWEEN)
def test_factors_pass_through(kind):
    keras.utils.set_random_seed(0)
    middle = [part.__class__.from_config(part.get_config()) for part in BETWEEN[kind]]
    parts = [layers.Conv2D(5, 3, bias_initializer="ones"), *middle, layers.Conv2D(3, 1)]
    model = keras.Sequential([keras.Input((12, 12, 2)), *parts])
    given = np.random.default_rng(0).normal(size=(2, 12, 12, 2)).astype(np.float32)
    for layer in model.layers:
        if layer.weights and not isinstance(layer, layers.Conv2D):
            layer.set_weights([np.random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    before = model(given)
    (pair,), skipped = find_pairs(trace(model))
    assert not skipped and len(pair.between) == len(middle)
    pair.move(np.array([0.1, 0.5, 1.0, 3.0, 10.0]))
    write([pair])
    assert np.std(before) > 0.01
    np.testing.assert_allclose(model(given), before, atol=1e-5 * np.abs(before).max())


@pytest.mark.parametrize(
    "middle",
    [
        [layers.Flatten()],
        [layers.MaxPooling2D(), layers.Flatten(), layers.ReLU()],
        [layers.Reshape((16, 20)), layers.Flatten(), layers.BatchNormalization()],
        [layers.GlobalAveragePooling2D()],
        [layers.GlobalMaxPooling2D(keepdims=True), layers.Reshape((5,))],
    ],
)
def test_channels_are_followed_into_a_dense_layer(middle):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(5, 1, bias_initializer="ones"),
            *middle,
            layers.Dense(3),
        ]
    )
    given = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32)
    before = model(given)
    (pair,), _ = find_pairs(trace(model))
    assert pair.read.shape == (5,)
    pair.move(np.array([0.1, 0.5, 1.0, 3.0, 10.0]))
    write([pair])
    np.testing.assert_allclose(model(given), before, atol=1e-5 * np.abs(before).max())


def test_a_separable_convolution_is_a_pair_by_itself():
    pairs, skipped = found(layers.SeparableConv2D(4, 3, name="one"), layers.Dense(2, name="two"))
    assert [str(pair) for pair in pairs] == ["'one' inside", "'one' -> 'two'"] and not skipped


@pytest.mark.parametrize(
    "middle, why",
    [
        (layers.ReLU(6.0, name="x"), r"'x', relu6, does not.*Replace it by ReLU"),
        (layers.ReLU(threshold=1.0, name="x"), "'x', bounded or shifted ReLU, does not"),
        (layers.Activation("tanh", name="x"), "'x', tanh, does not"),
        (layers.Softmax(name="x"), "'x', softmax, does not"),
        (layers.Reshape((8, 8, 2, 2), name="x"), r"'x' \(Reshape\) takes the channels apart"),
        (layers.Permute((3, 1, 2), name="x"), r"'x' \(Permute\) is not known"),
        (layers.LayerNormalization(name="x"), r"'x' \(LayerNormalization\) is not known"),
        (layers.BatchNormalization(axis=1, name="x"), "'x' normalizes another axis"),
        (
            layers.MaxPooling2D(data_format="channels_first", name="x"),
            "channels of 'x' are not last",
        ),
        (layers.EinsumDense("abcd,de->abce", (8, 8, 3), name="x"), "'x' is of type EinsumDense"),
    ],
)
def test_what_stops_a_factor_is_named(middle, why):
    pairs, (line, *_) = found(layers.Conv2D(4, 1, name="one"), middle, layers.Dense(2, name="two"))
    assert not pairs
    with pytest.raises(ValueError, match=rf"^'one'.*: .*{why}"):
        raise ValueError(line)


def test_an_activation_of_the_layer_itself_can_stop_it():
    pairs, skipped = found(layers.Dense(4, "sigmoid", name="one"), layers.Dense(2, name="two"))
    assert not pairs and "activation of 'one', sigmoid" in skipped[0]


def test_tensors_that_others_see_are_left_alone():
    given = keras.Input((4,))
    one = layers.Dense(4, name="one")(given)
    two = layers.Dense(4, name="two")(one)
    three = layers.Dense(4, name="three")(layers.Add(name="add")([one, two]))
    four = layers.Dense(4, name="four")(three)
    five = layers.Dense(4, name="five")(layers.Concatenate(name="all")([four, given]))
    model = keras.Model(given, [three, layers.Dense(1, name="head")(five)])
    pairs, skipped = find_pairs(trace(model))
    assert [str(pair) for pair in pairs] == ["'five' -> 'head'"]
    assert skipped == [
        "'one': the result of 'one' is used more than once, by ['two', 'add'].",
        "'two': 'add' (Add) has several inputs, which would need equal factors.",
        "'three': the result of 'three' is an output of the model.",
        "'four': 'all' (Concatenate) has several inputs, which would need equal factors.",
    ]


def test_layers_that_are_called_twice_are_left_alone():
    given = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    tensor = shared(layers.Dense(4, name="one")(given))
    model = keras.Model(given, layers.Dense(4, name="two")(shared(tensor)))
    pairs, skipped = find_pairs(trace(model))
    assert not pairs
    assert skipped == [
        "'one' -> 'shared': 'shared' is called more than once.",
        "'shared': 'shared' is called more than once.",
    ]


def test_a_class_of_the_users_own_may_compute_anything():
    class Own(layers.Dense):
        pass

    pairs, skipped = found(layers.Dense(4, name="one"), Own(4, name="own"), shape=(4,))
    assert not pairs and "'one' -> 'own': 'own' is of type Own" in skipped[0]


def test_operations_of_keras_count():
    given = keras.Input((4,))
    tensor = keras.ops.relu(layers.Dense(4)(given))
    pairs, _ = find_pairs(trace(keras.Model(given, layers.Dense(2)(tensor))))
    assert len(pairs) == 1
