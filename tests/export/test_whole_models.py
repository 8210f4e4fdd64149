"""The structures that whole image networks are made of, and one such network, as int8 files."""

import keras
import numpy as np
import pytest

import edgeax
from tests.export import networks
from tests.export.networks import normal
from tests.rows import soaked

layers = keras.layers


def squeeze_and_excite(x):
    """As in MobileNetV3: channels are weighed by what all of the image holds."""
    x = layers.Activation("hard_swish", name="swish")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.ReLU()(layers.Conv2D(4, 1, name="reduce")(gate))
    gate = layers.ReLU(6.0)(layers.Conv2D(8, 1, name="expand")(gate) + 3.0) * (1.0 / 6.0)
    return layers.Multiply(name="scale")([x, gate])


def hard_gates(x):
    """Hard sigmoids behind an image, behind a vector, and within a dense layer."""
    image = layers.Activation("hard_sigmoid", name="of_image")(layers.Conv2D(8, 3, name="conv")(x))
    vector = layers.GlobalAveragePooling2D(name="squeeze")(x)
    vector = layers.Activation("hard_sigmoid", name="of_vector")(vector)
    dense = layers.Dense(8, activation="hard_sigmoid", name="dense")(vector)
    return layers.Multiply(name="scale")([image, layers.Reshape((1, 1, 8))(dense)])


def normal_cell(x):
    """As in NASNet: equal ReLUs and poolings, of which the converter computes one."""

    def separable(tensor, name):
        tensor = layers.Activation("relu")(tensor)
        tensor = layers.SeparableConv2D(8, 3, padding="same", use_bias=False, name=name)(tensor)
        return layers.BatchNormalization()(tensor)

    def pooled(tensor):
        return layers.AveragePooling2D(3, strides=1, padding="same")(tensor)

    rectified = layers.Activation("relu", name="rectified")(x)
    y = layers.Conv2D(8, 1, use_bias=False, name="squeeze")(rectified)
    y = layers.BatchNormalization()(y)
    padded = layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(layers.Activation("relu")(x))
    shifted = layers.Cropping2D(((1, 0), (1, 0)), name="shifted")(padded)
    sums = [
        layers.add([separable(y, "first"), separable(x, "second")]),
        layers.add([pooled(y), layers.Conv2D(8, 1, name="third")(shifted)]),
        layers.add([pooled(x), pooled(x)]),
        layers.add([separable(y, "fourth"), y]),
    ]
    return layers.Concatenate(name="all")([x, *sums])


def silu_gate(x):
    """As in EfficientNet: silu and a sigmoid gate reshaped to an image."""
    x = layers.Activation("silu", name="silu")(x)
    gate = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D(name="squeeze")(x))
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="expand")(gate)
    return layers.multiply([x, gate])


def cropped_sum(x):
    """As in NASNet: a shifted path and separable convolutions, added up."""
    shifted = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    left = layers.Conv2D(4, 1, name="left")(layers.AveragePooling2D(1, strides=2)(x))
    right = layers.Conv2D(4, 1, name="right")(layers.AveragePooling2D(1, strides=2)(shifted))
    both = layers.BatchNormalization()(layers.Concatenate()([left, right]))
    deep = layers.SeparableConv2D(8, 3, strides=2, padding="same", use_bias=False, name="deep")(x)
    return layers.add([both, layers.BatchNormalization()(deep)])


def preactivated(x):
    """As in ResNet V2: normalization and ReLU come first, and the sum is not rectified."""
    y = layers.ReLU()(layers.BatchNormalization(name="before")(x))
    y = layers.Conv2D(8, 3, padding="same", name="inner")(y)
    return layers.Add(name="sum")([layers.MaxPooling2D(1)(x), y])


def dense_block(x):
    """As in DenseNet: each layer sees all that came before."""
    for index in range(3):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.Conv2D(4, 3, padding="same", use_bias=False, name=f"grow_{index}")(y)
        x = layers.Concatenate(name=f"all_{index}")([x, y])
    return x


def network(block):
    """A small classifier around a block, that looks trained."""
    keras.utils.set_random_seed(0)
    given = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(given)
    x = block(layers.BatchNormalization(name="stem_norm")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return networks.unsettle(keras.Model(given, layers.Dense(6, name="logits")(x)))


def compressed(model, x):
    """The int8 form of a model that has seen samples."""
    small = edgeax.compress(model, "static_wi8_ai8")
    small(x, training=True)
    return small


def decibels(values, expected):
    return 10.0 * np.log10(np.sum(expected**2) / np.sum((values - expected) ** 2))


@pytest.mark.parametrize(
    "block",
    [
        squeeze_and_excite,
        hard_gates,
        silu_gate,
        cropped_sum,
        normal_cell,
        preactivated,
        dense_block,
    ],
)
def test_a_structure_is_integer_throughout_and_close_to_keras(block, tmp_path):
    x = normal(32, 8, 8, 3)
    small = compressed(network(block), x)
    result = edgeax.export(small, tmp_path / "model.tflite", x, measure=False)
    assert result.stays_float == ()
    expected = small.predict(x, verbose=0)
    assert decibels(edgeax.Interpreter(tmp_path / "model.tflite").run(x), expected) > 25.0
    assert all(layer.mean_steps < 0.5 for layer in result.parity.layers), result.parity


def test_a_hard_sigmoid_is_one_convolution_that_is_exact_and_limited_on_both_sides(tmp_path):
    given = keras.Input((4, 4, 2))
    model = keras.Model(given, layers.Activation("hard_sigmoid")(given))
    x = np.linspace(-6.0, 6.0, 16 * 32, dtype=np.float32).reshape(16, 4, 4, 2)
    result = edgeax.export(model, tmp_path / "model.tflite", x, measure=False)
    assert result.stays_float == ()
    assert result.operators == {"QUANTIZE": 1, "DEPTHWISE_CONV_2D": 1, "DEQUANTIZE": 1}
    step = 12.0 / 255.0  # of the input
    rounded = step * np.rint(x / step)
    expected = np.clip(rounded / 6.0 + 0.5, 0.0, 1.0)
    found = edgeax.Interpreter(tmp_path / "model.tflite").run(x)
    assert found.min() == 0.0 and found.max() == pytest.approx(1.0, abs=1e-6)
    # Half a step of the output, and what the input's zero point is off from the middle.
    assert np.max(np.abs(found - expected)) <= 0.5 / 255.0 + 0.5 * step / 6.0 + 1e-6


def test_a_hard_sigmoid_stays_below_1_where_training_rounds_in_a_wider_range(tmp_path):
    given = keras.Input((4,))
    gate = layers.Activation("hard_sigmoid", name="gate")(given)
    rounding = edgeax.Recipe([edgeax.Rule(["gate"], output=edgeax.Quantize("int8", range=(0, 2)))])
    small = edgeax.compress(keras.Model(given, gate), rounding)
    x = np.linspace(-6.0, 6.0, 64, dtype=np.float32).reshape(16, 4)
    result = edgeax.export(small, tmp_path / "model.tflite", x, measure=False)
    found = edgeax.Interpreter(tmp_path / "model.tflite").run(x)
    assert result.stays_float == ()
    assert found.max() == pytest.approx(1.0, abs=1.0 / 255.0)
    assert found.max() == pytest.approx(float(np.max(small(x))), abs=1e-5)


def test_an_average_that_the_device_rounds_is_not_laid_on_the_layer_behind_it(tmp_path):
    def block(x):
        x = layers.AveragePooling2D(2, name="halved")(x)  # one value in four lies between two codes
        return layers.Conv2D(8, 3, name="behind")(x)

    x = normal(32, 8, 8, 3)
    small = compressed(network(block), x)
    result = edgeax.export(small, tmp_path / "model.tflite", x, measure=False)
    found = {layer.path: layer for layer in result.parity.layers}
    assert found["halved"].most_steps == 0.0  # it is rounded as the device does it
    assert found["behind"].mean_steps < 0.005


def test_a_result_that_the_converter_computes_once_is_not_taken_for_another(tmp_path):
    x = normal(32, 8, 8, 3)
    small = compressed(network(normal_cell), x)
    result = edgeax.export(small, tmp_path / "model.tflite", x, measure=False)
    assert result.operators["RELU"] + result.operators["AVERAGE_POOL_2D"] < 7  # as Keras has
    assert max(layer.most_steps for layer in result.parity.layers) <= 2.0, result.parity


def test_what_is_only_concatenated_is_rounded_once_in_training_and_in_the_file(tmp_path):
    keras.utils.set_random_seed(0)
    given = keras.Input((8, 8, 3))
    wide = layers.Conv2D(4, 3, padding="same", activation="relu", name="wide")(given)
    narrow = layers.Conv2D(4, 3, padding="same", name="narrow")(given)
    both = layers.Concatenate(name="both")([wide, narrow])
    model = keras.Model(given, layers.Dense(3, name="logits")(layers.Flatten()(both)))
    model.get_layer("narrow").kernel.assign(0.2 * model.get_layer("narrow").kernel)
    x = normal(32, 8, 8, 3)
    small = compressed(model, x)
    result = edgeax.export(small, tmp_path / "model.tflite", x, measure=False)
    assert result.operators["QUANTIZE"] == 1  # of the input
    (whole,) = [layer for layer in result.parity.layers if layer.path == "both"]
    assert whole.mean_steps < 0.005  # rounded twice, one value in ten would be another


def test_a_whole_network_passes_compress_fit_save_load_and_export(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=10, classifier_activation=None
    )
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 4)
    colors = generator.uniform(-1.0, 1.0, (10, 4, 4, 3))  # what tells the classes apart
    x = np.repeat(np.repeat(colors[y], 8, 1), 8, 2)
    x = (x + generator.normal(0.0, 0.1, x.shape)).astype(np.float32)
    small = edgeax.compress(model, "static_wi8_ai8")
    small.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    small.fit(x, y, batch_size=20, verbose=0)
    small.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x[:4]), small(x[:4]))
    result = edgeax.export(again, tmp_path / "model.tflite", x, measure=False)
    assert result.stays_float == ()
    assert result.operators["CONV_2D"] == 35 and result.operators["DEPTHWISE_CONV_2D"] == 17
    assert result.operators["ADD"] == 10 and result.operators["QUANTIZE"] == 1
    assert len(result.parity.layers) > 60
    assert result.parity.worst.mean_steps < 0.1


# What heavy pruning leaves: layers of zeros.


def dense_net(zeros):
    given = keras.Input((24,))
    x = layers.Dense(32, activation="relu", name="first")(given)
    y = layers.Dense(32, name=zeros)(x)
    return given, layers.Dense(5, name="last")(layers.Dense(16, name="third")(y))


def convolutions(zeros):
    given = keras.Input((8, 8, 6))
    x = layers.Conv2D(16, 3, activation="relu", name="first")(given)
    y = layers.Conv2D(16, 3, use_bias=False, name=zeros)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    return given, layers.Conv2D(8, 3, name="last")(y)


def residual(zeros):
    given = keras.Input((8, 8, 6))
    x = layers.Conv2D(16, 3, activation="relu", name="first")(given)
    y = layers.Conv2D(16, 3, padding="same", name=zeros)(x)
    return given, layers.Conv2D(8, 3, name="last")(layers.Add()([x, y]))


def all_or_some_zero(net, channels):
    """A network whose layer in the middle has some channels without weights."""
    keras.utils.set_random_seed(0)
    model = keras.Model(*net("zeros"))
    layer = model.get_layer("zeros")
    layer.kernel.assign(
        np.asarray(layer.kernel) * 1e-4 * (np.arange(layer.kernel.shape[-1]) > channels)
    )
    model.get_layer("last").bias.assign(normal(model.get_layer("last").bias.shape[0]))
    return model


@pytest.mark.parametrize(
    "trained, runtime",
    [(False, "stock"), (True, "edgeax"), soaked(False, "edgeax"), soaked(True, "stock")],
)
@pytest.mark.parametrize("channels", [2, 100], ids=["some_channels", "all"])
@pytest.mark.parametrize("net", [dense_net, convolutions, residual])
def test_a_layer_of_zeros_runs_and_gives_zeros(net, channels, trained, runtime, tmp_path):
    model = all_or_some_zero(net, channels)
    x = normal(16, *model.input_shape[1:])
    if trained:
        int8 = edgeax.Quantize("int8")
        chain = [edgeax.Prune(0.5), edgeax.Quantize("int8", axis=-1)]
        recipe = edgeax.Recipe([edgeax.Rule(".*", kernel=chain, input=int8, output=int8)])
        model = edgeax.compress(model, recipe)
        model(x, training=True)
    path = tmp_path / "zeros.tflite"
    result = edgeax.export(model, path, x, runtime=runtime, measure=False)
    expected = model(x).numpy()
    assert not result.stays_float
    assert np.abs(edgeax.Interpreter(path).run(x) - expected).max() < 0.03 * np.ptp(expected)


def test_the_bias_of_a_channel_without_weights_is_exact_to_half_a_step(tmp_path):
    plain = keras.Sequential([keras.Input((6,)), layers.Dense(4, name="dense")])
    bias = np.float32([0.001, -0.0004, 0.003, 0.0025])
    plain.layers[0].set_weights([np.zeros((6, 4), np.float32), bias])
    path = tmp_path / "bias.tflite"
    edgeax.export(plain, path, normal(8, 6), runtime="stock", measure=False)
    found = edgeax.Interpreter(path).run(normal(3, 6, seed=2))
    np.testing.assert_allclose(found, np.tile(bias, (3, 1)), atol=0.51 * 0.0034 / 255)
