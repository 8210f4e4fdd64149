"""The structures that whole image networks are made of, and one such network, as int8 files."""

import keras
import numpy as np
import pytest

import edgeax
from tests.export import networks
from tests.export.networks import normal

layers = keras.layers


def squeeze_and_excite(x):
    """As in MobileNetV3: channels are weighed by what all of the image holds."""
    x = layers.Activation("hard_swish", name="swish")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.ReLU()(layers.Conv2D(4, 1, name="reduce")(gate))
    gate = layers.ReLU(6.0)(layers.Conv2D(8, 1, name="expand")(gate) + 3.0) * (1.0 / 6.0)
    return layers.Multiply(name="scale")([x, gate])


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
    "block", [squeeze_and_excite, silu_gate, cropped_sum, preactivated, dense_block]
)
def test_a_structure_is_integer_throughout_and_close_to_keras(block, tmp_path):
    x = normal(32, 8, 8, 3)
    small = compressed(network(block), x)
    result = edgeax.export(small, tmp_path / "model.tflite", x, measure=False)
    assert result.stays_float == ()
    expected = small.predict(x, verbose=0)
    assert decibels(edgeax.Interpreter(tmp_path / "model.tflite").run(x), expected) > 25.0
    assert all(layer.mean_steps < 0.5 for layer in result.parity.layers), result.parity


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
