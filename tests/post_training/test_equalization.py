"""Equalization: the function stays, ranges meet, statistics follow, and high biases move on."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.post_training.equalization import equalize, normal_statistics
from tests.model import small_models

layers = keras.layers


def apart(model, seed=0):
    """Gives a model biases, and channels whose ranges differ by up to a thousand."""
    small_models.unsettle(model, seed)
    generator = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        for variable in layer.weights:
            if variable.name.endswith("kernel"):
                factors = 10.0 ** generator.uniform(-1.5, 1.5, variable.shape[-1])
                variable.assign(variable * factors)
            elif variable.name == "bias":
                variable.assign(generator.normal(size=variable.shape))
    return model


def mobile():
    """A functional model of inverted bottlenecks: depthwise, batch norm, several readers."""
    given = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="stem")(given)
    x = start = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(12, 1, name="expand")(x)))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(6, 1, name="project")(x))
    x = layers.Add(name="add")([x, start])
    x = layers.SeparableConv2D(8, 3, activation="relu", name="separable")(x)
    x = layers.Conv2D(4, 3, groups=2, activation="relu", name="grouped")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="multiplied")(x)
    x = layers.Conv2DTranspose(5, 2, strides=2, activation="relu", name="transposed")(x)
    x = layers.BatchNormalization(name="loose")(x)
    x = layers.Flatten()(layers.ZeroPadding2D()(layers.MaxPooling2D()(x)))
    x = layers.Dense(7, activation="relu", name="dense")(x)
    return apart(keras.Model(given, layers.Dense(3, activation="softmax", name="head")(x)))


def nested():
    """A model around a block, whose layers have partners inside and outside."""
    keras.utils.set_random_seed(0)
    given = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 1, activation="relu", name="stem")(given)
    x = keras.Sequential([small_models.block("inner")], name="deep")(x)
    x = layers.Flatten()(small_models.block("outer")(x))
    return apart(keras.Model(given, layers.Dense(3, name="head")(x)))


def sequences():
    return apart(
        keras.Sequential(
            [
                keras.Input((12, 3)),
                layers.Conv1D(4, 3, use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.DepthwiseConv1D(3, activation="relu"),
                layers.SeparableConv1D(5, 2, activation="relu"),
                layers.Conv1DTranspose(5, 2, activation="relu"),
                layers.GlobalAveragePooling1D(),
                layers.Dense(2),
            ]
        )
    )


MODELS = {
    "sequential": (lambda: apart(small_models.convolutional()), small_models.images()),
    "nested": (nested, small_models.images()),
    "functional": (mobile, small_models.images(size=8, channels=3)),
    "sequences": (sequences, small_models.images(size=12, channels=3)[:, 0]),
}


@pytest.mark.parametrize("kind", MODELS)
def test_nbbw19_ranges_meet_and_nothing_changes(kind):
    make, given = MODELS[kind]
    model = make()
    before, weights = np.asarray(model(given)), model.get_weights()
    result = equalize(model, absorb_biases=False)
    after = np.asarray(result.model(given))
    assert np.std(before) > 1e-3
    np.testing.assert_allclose(after, before, atol=1e-5 * np.abs(before).max())
    assert all(map(np.array_equal, weights, model.get_weights()))
    folded = edgeax.fold_batch_norm(model)
    kept = [
        layer.name
        for layer in folded.layers
        if any(v.name.endswith("kernel") for v in layer.weights)
        and np.allclose(result.model.get_layer(layer.name).weights[0], layer.weights[0], rtol=0.1)
    ]
    assert kept == (["stem"] if kind == "functional" else [])  # two layers read that one
    again = equalize(result.model, absorb_biases=False)  # nothing is left to do
    for old, new in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-3, atol=1e-7)


def test_nbbw19_two_layers_worked_out_by_hand():
    model = keras.Sequential(
        [keras.Input((1,)), layers.Dense(2, activation="relu", name="a"), layers.Dense(1, name="b")]
    )
    # Channel 0: sqrt(4 * 1) / 1 = 2; channel 1: sqrt(1 * 4) / 4 = 1/2.
    weights = [[[4.0, -1.0]], [6.0, 6.0], [[1.0], [4.0]], [5.0]]
    model.set_weights([np.float32(value) for value in weights])
    result = equalize(model)
    one, two = (result.model.get_layer(name) for name in "ab")
    np.testing.assert_allclose(one.kernel, [[2.0, -2.0]])
    np.testing.assert_allclose(one.bias, [3.0, 12.0])
    np.testing.assert_allclose(two.kernel, [[2.0], [2.0]])
    np.testing.assert_allclose(two.bias, [5.0])
    assert result.skipped == [] and result.statistics == {}


def test_ranges_of_each_channel_are_equal_on_both_sides():
    folded = equalize(sequences(), absorb_biases=False).model
    conv, depthwise, separable = (folded.layers[i] for i in (1, 3, 4))
    made = np.abs(conv.kernel).max((0, 1))
    np.testing.assert_allclose(made, np.abs(depthwise.kernel).max((0, 2)), rtol=1e-3)
    made = np.abs(depthwise.kernel).max(0).ravel()
    np.testing.assert_allclose(made, np.abs(separable.depthwise_kernel).max((0, 2)), rtol=1e-3)
    inside = np.abs(separable.depthwise_kernel).max(0).ravel()
    np.testing.assert_allclose(inside, np.abs(separable.pointwise_kernel).max((0, 2)), rtol=1e-3)


@pytest.mark.parametrize("dead", ["first", "second", "both", "bias only"])
def test_dead_channels_keep_their_scale(dead):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, name="one"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Conv2D(2, 1, name="two"),
        ]
    )
    apart(model)
    one, norm, two = (model.get_layer(name) for name in ("one", "norm", "two"))
    if dead in ("first", "both"):
        one.kernel.assign(np.asarray(one.kernel) * [0.0, 1.0, 1.0])
        norm.moving_variance.assign([0.0, 1.0, 1.0])
    if dead == "bias only":
        norm.gamma.assign([1e-12, 1.0, -1.0])
    if dead in ("second", "both"):
        two.kernel.assign(np.asarray(two.kernel) * np.float32([[0.0], [1.0], [1.0]]))
    given = small_models.images()
    result = equalize(model, absorb_biases=False)
    np.testing.assert_allclose(result.model(given), model(given), rtol=1e-4, atol=1e-5)
    folded = edgeax.fold_batch_norm(model)
    for name in ("one", "two"):
        ours, theirs = (m.get_layer(name).get_weights() for m in (result.model, folded))
        ours[0], theirs[0] = (
            np.moveaxis(k, -1 if name == "one" else -2, 0) for k in (ours[0], theirs[0])
        )
        np.testing.assert_array_equal(ours[0][0], theirs[0][0])
        assert np.isfinite(ours[0]).all() and not np.allclose(ours[0][1], theirs[0][1])


def test_statistics_are_those_of_the_folded_norm_and_follow_the_scale():
    model = apart(small_models.convolutional())
    norm = model.get_layer("norm")
    norm.moving_variance.assign([1.0, 0.0, 1.0, 1.0])
    before = normal_statistics(model)
    assert list(before) == ["conv"]
    np.testing.assert_allclose(before["conv"].mean, norm.beta)
    np.testing.assert_allclose(before["conv"].deviation, np.abs(norm.gamma) * [1, 0, 1, 1])
    result = equalize(model, absorb_biases=False)
    old = edgeax.fold_batch_norm(model).get_layer("conv")
    new = result.model.get_layer("conv")
    scale = np.asarray(old.bias) / np.asarray(new.bias)
    after = result.statistics["conv"]
    assert scale.max() > 5.0 * scale.min()
    np.testing.assert_allclose(before["conv"].mean / after.mean, scale, rtol=1e-5)
    np.testing.assert_allclose(after.deviation, before["conv"].deviation / scale, rtol=1e-5)


def test_statistics_of_nested_models_have_the_names_of_the_folded_one():
    result = equalize(small_models.nested())
    assert list(result.statistics) == ["deep_inner_conv"]  # the other one is called twice
    assert result.model.get_layer("deep_inner_conv")


def high_biases(second, middle=(), use_bias=True):
    """conv, norm with means 10 and -10 and deviation 1, ReLU, then `second`."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(2, 3, use_bias=False, name="one"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            *middle,
            second,
        ]
    )
    given = small_models.images(count=16, size=8)
    conv = np.asarray(model.get_layer("one")(given))
    mean, variance = conv.mean((0, 1, 2)), conv.var((0, 1, 2))
    gamma, beta = np.float32([1.0, 1.0]), np.float32([10.0, -10.0])
    model.get_layer("norm").set_weights([gamma, beta, mean, variance])
    return model, given


SECONDS = {
    "conv": lambda: layers.Conv2D(3, 3, name="two"),
    "without bias": lambda: layers.Conv2D(3, 3, use_bias=False, name="two"),
    "grouped": lambda: layers.Conv2D(4, 3, groups=2, name="two"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, name="two"),
    "separable": lambda: layers.SeparableConv2D(3, 3, use_bias=False, name="two"),
    "same of one": lambda: layers.Conv2D(3, 1, padding="same", name="two"),
    "dense": lambda: layers.Dense(3, name="two"),
}


@pytest.mark.parametrize("kind", SECONDS)
@pytest.mark.parametrize("middle", [[], [layers.AveragePooling2D(2)]], ids=["", "pooled"])
def test_nbbw19_high_biases_move_to_the_next_layer(kind, middle):
    model, given = high_biases(SECONDS[kind](), [m.from_config(m.get_config()) for m in middle])
    before = equalize(model, absorb_biases=False)
    after = equalize(model)
    assert after.skipped == []
    # Of mean 10 and deviation 1, 7 go: none of the values lies below that here, on the old scale.
    kept, moved = (r.model.get_layer("one").bias for r in (before, after))
    scale = before.statistics["one"].mean / [10.0, -10.0]
    np.testing.assert_allclose(np.asarray(kept - moved) / scale, [7.0, 0.0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after.statistics["one"].mean / scale, [3.0, -10.0], rtol=1e-5)
    np.testing.assert_allclose(
        after.statistics["one"].deviation, before.statistics["one"].deviation
    )
    expected = np.asarray(model(given))
    inner = keras.Model(model.inputs, model.layers[1].output)
    lowest = np.asarray(inner(given))[..., 0].min()
    assert lowest > 6.0
    tolerance = 1e-5 if lowest > 7.0 else 0.15
    np.testing.assert_allclose(
        after.model(given), expected, atol=tolerance * np.abs(expected).max()
    )


@pytest.mark.parametrize(
    "second, middle, why",
    [
        (layers.Conv2D(3, 3, padding="same", name="two"), [], "'two' pads with zeros"),
        (layers.Conv2DTranspose(3, 2, name="two"), [], "'two' is transposed"),
        (layers.Conv2D(3, 3, name="two"), [layers.ZeroPadding2D()], "zeros are padded between"),
        (
            layers.Conv2D(3, 1, name="two"),
            [layers.BatchNormalization(name="x")],
            "'x' lies between",
        ),
    ],
)
def test_biases_that_the_border_would_miss_stay(second, middle, why):
    model, given = high_biases(second, middle)
    result = equalize(model)
    assert len(result.skipped) == 1
    assert result.skipped[0].startswith("'one' -> 'two': high biases stay, because ")
    assert why in result.skipped[0]
    np.testing.assert_allclose(result.model(given), model(given), atol=1e-4)


def test_biases_in_front_of_no_relu_stay():
    model, given = high_biases(layers.Conv2D(3, 1, name="two"))
    linear = keras.Sequential(
        [keras.Input((8, 8, 2)), *[x for x in model.layers if "re_lu" not in x.name]]
    )
    result = equalize(linear)
    assert result.statistics["one"].mean[0] > 0.0 and not result.skipped
    np.testing.assert_allclose(result.model(given), linear(given), atol=1e-4)


def relu6(fused):
    keras.utils.set_random_seed(0)
    own, behind = ("relu6", []) if fused else (None, [layers.ReLU(6.0, name="six")])
    parts = [layers.Dense(4, own, name="one"), *behind, layers.Dense(3, "relu6", name="two")]
    return keras.Sequential([keras.Input((2,)), *parts, layers.Dense(1, name="three")])


@pytest.mark.parametrize("fused", [True, False])
def test_relu6_is_left_alone_unless_its_replacement_is_asked_for(fused):
    model = relu6(fused)
    given = 100.0 * small_models.images()[:, 0, 0]
    kept = equalize(model)
    np.testing.assert_array_equal(kept.model(given), model(given))
    assert len(kept.skipped) == 2 and "relu6" in kept.skipped[0]
    replaced = equalize(model, replace_relu6=True)
    assert not replaced.skipped
    one, two, three = (model.get_layer(name) for name in ("one", "two", "three"))
    tensor = np.maximum(given @ one.kernel + one.bias, 0.0)
    tensor = np.maximum(tensor @ two.kernel + two.bias, 0.0)
    np.testing.assert_allclose(replaced.model(given), three(tensor), rtol=1e-5)


def test_the_result_can_be_saved_compressed_and_trained(tmp_path):
    model = equalize(apart(small_models.convolutional())).model
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    given = small_models.images()
    np.testing.assert_array_equal(loaded(given), model(given))
    small = edgeax.compress(model, "static_wi8_ai8")
    small.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    small.fit(given, small_models.labels(), verbose=0)


def test_equalization_helps_a_kernel_of_one_scale():
    model = mobile()
    given = small_models.images(size=8, channels=3)
    rounding = edgeax.Recipe([edgeax.Rule(".*", kernel=edgeax.Quantize("int8"))])
    errors = []
    for plain in (edgeax.fold_batch_norm(model), equalize(model, absorb_biases=False).model):
        rounded = edgeax.strip(edgeax.compress(plain, rounding))
        errors.append(np.abs(rounded(given) - model(given)).mean())
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"tolerance": 0.0}, "`tolerance` must be above 0. Received: tolerance=0.0"),
        ({"most_rounds": 0}, "`most_rounds` must be at least 1. Received: most_rounds=0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        equalize(small_models.convolutional(), **arguments)


def test_compressed_models_are_refused():
    with pytest.raises(ValueError, match="must be a plain model.*edgeax.strip"):
        equalize(edgeax.compress(small_models.convolutional(), "static_wi8_ai8"))
