import keras
import numpy as np
import pytest

import edgeax
from edgeax.runtime.interpreter import Interpreter
from tests.export.binary_networks import exported, images, network, steps_away
from tests.export.lowered import options_of

layers = keras.layers
QuantConv2D, QuantDense = edgeax.layers.QuantConv2D, edgeax.layers.QuantDense

# Names of what quantizes activations and kernels, and of how many signs these are sums.
KINDS = {
    "ternary activations": ("tbn", "ste_sign", 2, 1),
    "residual signs": ("multi_step_sign", "bwn", 2, 1),
    "shifted signs": ("shifted_signs", "ste_sign", 3, 1),
    "kernels of two bases": ("ste_sign", "lq2", 1, 2),
    "both": ("multi_step_sign", "lq2", 2, 2),
}
WINDOWS = {
    "zeros around": {"padding": "same", "strides": 2},
    "ones around": {"padding": "same", "pad_values": 1.0},
    "dilation": {"padding": "same", "dilation_rate": 2},
    "none around": {"padding": "valid"},
    "groups": {"padding": "same", "groups": 2},
}

# Layers beside sums of signs that are no 8-bit integers, whose operators do not count bits.
UNCOUNTED = {
    "ones around": (QuantConv2D, {"padding": "same", "pad_values": 1.0}),
    "causal": (edgeax.layers.QuantConv1D, {"padding": "causal"}),
    "other kernels": (QuantConv2D, {"kernel_quantizer": "int8"}),
    "too many signs": (QuantConv2D, {"kernel_quantizer": "lq3"}),
}


def settings(kind):
    given, kernel, *_ = KINDS[kind]
    return {"input_quantizer": given, "kernel_quantizer": kernel}


def dead(gain, *, kind):
    """Returns a network with a channel that is nothing but an offset, and samples."""
    model, samples = trained(
        QuantConv2D(4, 3, name="only", **settings(kind)), layers.BatchNormalization()
    )
    normal = model.layers[1]
    gamma, beta, mean, variance = normal.get_weights()
    gamma[1] = gain
    normal.set_weights([gamma, beta + 3.0, mean, variance])
    return model, samples


def assert_float(model, samples, path, runtime="edgeax"):
    """Asserts that operators of floats compute from the sums of signs that a model gets, that the
    receipt tells so, and that half a step of 8 bits is not reached.
    """
    with pytest.raises(ValueError, match="`strict` allows no operator to compute in float.*CONV"):
        exported(model, samples, path, runtime=runtime, strict=True)
    result, _ = exported(model, samples, path, runtime=runtime)
    assert any("CONV_2D" in name for name in result.stays_float)
    assert "rounding in" in result.stays_float[-1]
    assert [kernel.how for kernel in result.kernels] == ["as converted"]
    wanted = np.asarray(model(samples))
    off = np.abs(Interpreter(path).run(samples) - wanted).max()
    assert off < 0.5 * np.ptp(wanted) / 255


def trained(*parts, **shape):
    """Returns a network that has seen a batch, and samples."""
    model, samples = network(*parts, **shape), images(**shape)
    model(samples, training=True)
    return model, samples


def sums_in(graph):
    return [options_of(op) for op in graph.operators if op.name.startswith("EdgeaxSignSum")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sum_of_signs_is_that_of_keras(kind, tmp_path):
    model, samples = trained(
        QuantConv2D(24, 3, name="only", padding="same", **settings(kind)),
        layers.BatchNormalization(),
    )
    path = tmp_path / "m.tflite"
    result, graph = exported(model, samples, path, strict=True)
    planes, bases = KINDS[kind][2:]
    assert [(k.how, k.bits, k.snr_db) for k in result.kernels] == [("binary", bases, None)]
    assert [(o["planes"], o["bases"]) for o in sums_in(graph)] == [(planes, bases)]
    assert not {"CONV_2D", "PAD", "PADV2"} & {*result.operators}
    # Nothing is rounded but the output.
    assert steps_away(model, graph, path, samples).max() < 0.502


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_every_window_gives_the_sums_of_keras(window, tmp_path):
    model, samples = trained(QuantConv2D(6, 3, **settings("ternary activations"), **window))
    path = tmp_path / "m.tflite"
    result, graph = exported(model, samples, path, strict=True)
    assert len(sums_in(graph)) == 1
    assert not {"CONV_2D", "PAD", "PADV2"} & {*result.operators}
    assert steps_away(model, graph, path, samples).max() < 0.502


@pytest.mark.parametrize("kind", KINDS)
def test_signs_between_layers_are_read_off_8_bits(kind, tmp_path):
    model, samples = trained(
        QuantConv2D(16, 3, name="first", **settings(kind)),
        layers.BatchNormalization(),
        QuantConv2D(24, 3, name="second", **settings(kind)),
        layers.BatchNormalization(),
        layers.Flatten(),
        QuantDense(5, name="third", **settings(kind)),
    )
    result, graph = exported(model, samples, tmp_path / "m.tflite", strict=True)
    assert [kernel.how for kernel in result.kernels] == 3 * ["binary"]
    assert len(sums_in(graph)) == 3
    # Only the float input becomes signs by built-in operators.
    assert result.operators["SELECT_V2"] == len(thresholds_of_first(graph))
    first, *others = result.parity.layers
    assert first.most_steps <= 1.0
    assert all(layer.mean_steps < 1.0 for layer in others)  # a sign flips beside its threshold


def thresholds_of_first(graph):
    """The different thresholds of the first operator that has some."""
    found = next(op for op in graph.operators if op.name.startswith("EdgeaxSignSum"))
    return np.setdiff1d(graph.tensors[found.inputs[5]].data, [-128])


@pytest.mark.parametrize("runtime", ["stock", "tflm"])
def test_built_in_operators_compute_the_same_in_integers(runtime, tmp_path):
    model, samples = trained(
        QuantConv2D(16, 3, padding="same", **settings("ternary activations")),
        layers.BatchNormalization(),
        QuantConv2D(8, 3, padding="same", **settings("ternary activations")),
    )
    result, _ = exported(model, samples, tmp_path / "m.tflite", runtime=runtime, strict=True)
    assert result.operators["GREATER_EQUAL"] == result.operators["SELECT_V2"] == 4
    assert result.parity.worst.most_steps <= 1.0


@pytest.mark.parametrize("runtime", ["stock", "tflm"])
@pytest.mark.parametrize("kind", ["residual signs", "shifted signs"])
def test_without_operators_that_count_sums_of_signs_stay_float(kind, runtime, tmp_path):
    only = QuantConv2D(4, 3, name="only", **settings(kind))
    assert_float(*trained(only), tmp_path / "m.tflite", runtime)


@pytest.mark.parametrize("case", UNCOUNTED.values(), ids=UNCOUNTED)
def test_sums_of_signs_that_are_not_counted_stay_float(case, tmp_path):
    layer, changes = case
    only = layer(4, 3, name="only", **settings("residual signs") | changes)
    shape = (9, 8, 16) if layer is QuantConv2D else (9, 16)
    assert_float(*trained(only, shape=shape), tmp_path / "m.tflite")


@pytest.mark.parametrize("kind", ["residual signs", "ternary activations"])
@pytest.mark.parametrize("gain", [0.0, 1e-12])
def test_a_dead_channel_takes_no_layer_out_of_bits(gain, kind, tmp_path):
    model, samples = dead(gain, kind=kind)
    path = tmp_path / "m.tflite"
    result, graph = exported(model, samples, path, strict=True)
    assert [kernel.how for kernel in result.kernels] == ["binary"]
    assert steps_away(model, graph, path, samples).max() < 0.502


def test_sums_of_signs_beside_a_channel_that_is_nearly_dead_stay_float(tmp_path):
    assert_float(*dead(3e-5, kind="residual signs"), tmp_path / "m.tflite")


def test_signs_that_the_values_of_their_sums_do_not_tell_stay_float(tmp_path):
    only = QuantConv2D(4, 3, name="only", **settings("shifted signs"))
    model, samples = trained(only)
    gains = next(weight for weight in only.weights if weight.path.endswith("gains"))
    gains.assign([0.5, -0.25, 0.3])
    assert_float(model, samples, tmp_path / "m.tflite")


def test_the_largest_sum_around_is_not_counted_where_a_gain_is_negative(tmp_path):
    only = QuantConv2D(4, 3, name="only", **WINDOWS["ones around"], **settings("shifted signs"))
    model, samples = trained(layers.Conv2D(8, 3), only)
    gains = next(weight for weight in only.weights if weight.path.endswith("gains"))
    gains.assign([0.5, -0.25, 0.25])
    result, _ = exported(model, samples, tmp_path / "m.tflite")
    assert result.kernels[-1].how == "as converted"
    assert "rounding in only/input" in result.stays_float[-1]


def test_the_layer_behind_one_that_stays_float_is_counted(tmp_path):
    model, samples = trained(
        QuantConv2D(8, 3, name="second", **WINDOWS["ones around"], **settings("residual signs")),
        QuantConv2D(8, 3, name="third", **settings("residual signs")),
    )
    result, _ = exported(model, samples, tmp_path / "m.tflite")
    hows = [kernel.how for kernel in result.kernels]
    assert hows == ["as converted", "binary"]
    assert sum("rounding" in name for name in result.stays_float) == 1


@pytest.mark.parametrize("is_output", [False, True])
def test_results_that_are_sums_of_signs_are_counted_where_nothing_else_reads_them(
    is_output, tmp_path
):
    keras.utils.set_random_seed(0)
    given = keras.Input((9, 8, 16))
    sums = QuantConv2D(8, 3, name="first", output_quantizer="multi_step_sign")(given)
    result = QuantConv2D(8, 3, name="second", kernel_quantizer="bwn")(sums)
    model, samples = keras.Model(given, [result, sums] if is_output else result), images()
    model(samples, training=True)
    result, _ = exported(model, samples, tmp_path / "m.tflite")
    last = result.kernels[-1]
    assert (last.path, last.how) == ("second", "as converted" if is_output else "binary")
    assert bool(result.stays_float) == is_output


def test_ternary_activations_beside_other_kernels_stay_integers(tmp_path):
    model, samples = trained(
        QuantConv2D(8, 3, name="a", input_quantizer="tbn", kernel_quantizer="ternary"),
        layers.BatchNormalization(),
        QuantConv2D(8, 3, name="b", input_quantizer="tbn", kernel_quantizer="int8"),
    )
    path = tmp_path / "m.tflite"
    result, _ = exported(model, samples, path, strict=True)
    assert [kernel.how for kernel in result.kernels] == ["packed", "int8"]
    assert result.parity.worst.most_steps <= 1.0


def test_too_many_signs_stay_float_activations_or_int8_kernels(tmp_path):
    model, samples = trained(
        QuantConv2D(8, 3, name="a", input_quantizer="shifted_signs", kernel_quantizer="lq2")
    )
    result, _ = exported(model, samples, tmp_path / "m.tflite")
    assert any("ShiftedBinary" in name for name in result.stays_float)
    model, samples = trained(
        QuantConv2D(8, 3, name="a", input_quantizer="tbn", kernel_quantizer="lq2")
    )
    result, _ = exported(model, samples, tmp_path / "m.tflite", strict=True)
    (kernel,) = result.kernels
    assert kernel.how in ("packed", "int8")
    if kernel.how == "int8":
        assert "count bits 4 times" in kernel.why


def test_a_gain_too_small_for_its_bias_is_not_counted_in_bits(tmp_path):
    model, samples = dead(1e-5, kind="ternary activations")
    result, graph = exported(model, samples, tmp_path / "m.tflite", strict=True)
    (kernel,) = result.kernels
    assert kernel.how == "packed" and not sums_in(graph)
    assert steps_away(model, graph, result.path, samples).max() < 2.0


def test_a_convolution_in_one_dimension_is_counted(tmp_path):
    model, samples = trained(
        edgeax.layers.QuantConv1D(8, 3, input_quantizer="tbn", kernel_quantizer="ste_sign"),
        shape=(9, 16),
    )
    path = tmp_path / "m.tflite"
    _, graph = exported(model, samples, path, strict=True)
    assert len(sums_in(graph)) == 1
    assert steps_away(model, graph, path, samples).max() < 0.502


def test_a_forecast_tells_of_sums_of_signs():
    model = keras.Sequential([keras.Input((9, 8, 8)), layers.Conv2D(8, 3, name="only")])
    recipe = edgeax.Recipe([edgeax.Rule(".*", kernel="binary", input="tbn")])
    forecast = edgeax.can_export(model, recipe)
    assert forecast.binary == ("only",) and forecast.stays_float == ()
