import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.xnor import why_not_xnor
from edgeax.layers import QuantConv2D
from edgeax.model import placement
from tests.export.binary_networks import exported, images, network, steps_away
from tests.export.lowered import options_of

layers = keras.layers
XNOR = {"input_quantizer": "ste_sign", "kernel_quantizer": "xnor_weight", "input_scaling": True}

WINDOWS = {
    "zeros around": {"padding": "same"},
    "ones around": {"padding": "same", "pad_values": 1.0, "use_bias": False},
    "strides": {"padding": "valid", "strides": 2, "activation": "relu"},
}


def xnor(*behind, **settings):
    """A network of the layer alone, or with others behind it, and samples with clear signs."""
    model = network(QuantConv2D(12, 3, name="xnor", **XNOR | settings), *behind)
    source = np.random.default_rng(2)
    if getattr(model.layers[0], "bias", None) is not None:
        model.layers[0].bias.assign(source.normal(size=12))
    samples = images()
    return model, samples + 0.2 * np.sign(samples)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_products_are_counted_in_bits_and_scaled_in_integers(window, tmp_path):
    model, samples = xnor(**window)
    path = tmp_path / "m.tflite"
    result, graph = exported(model, samples, path, strict=True)
    # The receipt tells of no other kernels than those of the model.
    assert [(kernel.path, kernel.how) for kernel in result.kernels] == [("xnor", "binary")]
    operator = next(op for op in graph.operators if op.name == "EdgeaxBinaryConv2D")
    assert options_of(operator)["pad_value"] == window.get("pad_values", 0)
    assert {"ABS", "MUL"} <= {*result.operators}
    assert result.parity.worst.most_steps <= 1.0
    # K, the products and what these give are rounded to 8 bits.
    assert steps_away(model, graph, path, samples).max() < 3.0


def test_a_normalization_behind_is_folded_into_the_bias(tmp_path):
    model, samples = xnor(layers.BatchNormalization())
    result, _ = exported(model, samples, tmp_path / "m.tflite", strict=True)
    depthwise = [name for name in result.operators if "DEPTHWISE" in name.upper()]
    assert [result.operators[name] for name in depthwise] == [1]


def test_a_layer_that_is_called_twice_holds_its_kernel_once(tmp_path):
    keras.utils.set_random_seed(0)
    given = keras.Input((9, 8, 16))
    shared = QuantConv2D(16, 3, padding="same", name="xnor", **XNOR)
    image = layers.Conv2D(16, 3, padding="same")(given)
    model = keras.Model(given, shared(shared(image)))
    result, _ = exported(model, images(), tmp_path / "m.tflite", strict=True)
    assert result.operators["EdgeaxBinaryConv2D"] == 2
    assert [kernel.path for kernel in result.kernels].count("xnor") == 1


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"input_quantizer": "int8"}, "its inputs are no signs"),
        ({"output_quantizer": "fp8_e4m3"}, "values that integers are not"),
    ],
)
def test_other_layers_stay_float_and_say_why(settings, reason, tmp_path):
    model, samples = xnor(**settings)
    model(samples, training=True)
    result, _ = exported(model, samples, tmp_path / "m.tflite")
    assert any(reason in name for name in result.stays_float)


def test_activations_of_16_bits_are_refused_and_the_way_out_is_told(tmp_path):
    model, samples = xnor()
    with pytest.raises(ValueError, match="no layer of signs with `input_scaling`.*'xnor'.*8 bits"):
        exported(model, samples, tmp_path / "m.tflite", activations="int16")
    wide, samples = xnor(QuantConv2D(4, 1, input_quantizer="int16"))
    wide(samples, training=True)
    with pytest.raises(ValueError, match="activations have 16 bits"):
        exported(wide, samples, tmp_path / "m.tflite")
    exported(wide, samples, tmp_path / "m.tflite", activations="float32")
    assert [file.name for file in tmp_path.iterdir()] == ["m.tflite"]


def test_signs_of_another_magnitude_than_1_are_not_those_of_the_layer():
    model, samples = xnor(input_quantizer=edgeax.Quantize("binary"))
    model(samples, training=True)
    layer = placement.plain(model.layers[0])
    assert why_not_xnor(layer) == "its inputs are no signs"


def test_a_stripped_layer_computes_the_same(tmp_path):
    model, samples = xnor()
    path = tmp_path / "m.tflite"
    result, graph = exported(edgeax.strip(model), samples, path, strict=True)
    assert result.operators["MUL"] == 1
    assert steps_away(model, graph, path, samples).max() < 3.0
