import keras
import numpy as np
import pytest
from keras import layers

import edgeax
from edgeax.formats.flatbuffer import Model
from edgeax.formats.operators import OPERATORS

NAME = "EdgeaxFloatFullyConnected"
X = np.random.default_rng(0).normal(size=(16, 96)).astype(np.float32)


def compressed(kernel, *parts, shape=(96,)):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *parts])
    return edgeax.compress(model, edgeax.Recipe([edgeax.Rule(".*", kernel=kernel)]))


def exported(model, path, x=X, **options):
    receipt = edgeax.export(
        model, path, x, **{"activations": "float32", "measure": False} | options
    )
    return receipt, Model.from_bytes(path.read_bytes()).subgraphs[0]


def check_outputs(model, path, x=X):
    found, expected = edgeax.Interpreter(path).run(x), model.predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "kernel, bits",
    [
        ("fp8_e4m3", 8),
        ("adaptivfloat8_e3", 8),
        ("bfp8", 8),
        ("int8", 8),
        ("fp4_e2m1", 4),
        ("bfp4", 4),
        ("int4", 4),
        ("int4_g96", 4),
        ("ternary", 2),
    ],
)
def test_dense_layers_are_stored_in_the_codes_of_training(kernel, bits, tmp_path):
    model = compressed(
        kernel, layers.Dense(256, activation="relu", name="a"), layers.Dense(64, name="b")
    )
    receipt, graph = exported(model, tmp_path / "m.tflite")
    assert [(k.path, k.how, k.bits, k.why) for k in receipt.kernels] == [
        ("a", "packed", bits, ""),
        ("b", "packed", bits, ""),
    ]
    assert receipt.needs_plugin and receipt.operators == {NAME: 2}
    stored = {tensor.name: tensor.data for tensor in graph.tensors if tensor.data is not None}
    assert stored["a/weights"].nbytes == 256 * 96 * bits // 8
    assert stored["b/weights"].nbytes == 64 * 256 * bits // 8
    tables = [operator.inputs[4] for operator in graph.operators]
    assert len(set(tables)) == 1 or bits < 8  # both layers share the table of 1 kB
    options = [OPERATORS[NAME].unpack_options(o.custom_options) for o in graph.operators]
    assert [one["activation"] for one in options] == [1, 0]
    check_outputs(model, tmp_path / "m.tflite")


def test_a_batch_normalization_is_folded_into_scales(tmp_path):
    model = compressed("fp8_e4m3", layers.Dense(256), layers.BatchNormalization(), layers.ReLU())
    normalization = model.layers[-2]
    source = np.random.default_rng(1)
    for variable in normalization.weights:
        variable.assign(source.uniform(0.5, 2.0, variable.shape))
    receipt, _ = exported(model, tmp_path / "m.tflite")
    assert receipt.operators == {NAME: 1}
    check_outputs(model, tmp_path / "m.tflite")


def test_a_layer_called_twice_and_three_axes_keep_their_shapes(tmp_path):
    inputs = keras.Input((5, 64))
    dense = layers.Dense(64, activation="relu6", use_bias=False, name="twice")
    plain = keras.Model(inputs, dense(dense(inputs)))
    model = edgeax.compress(plain, edgeax.Recipe([edgeax.Rule(".*", kernel="int4")]))
    x = np.random.default_rng(0).normal(size=(8, 5, 64)).astype(np.float32)
    receipt, _ = exported(model, tmp_path / "m.tflite", x)
    assert receipt.operators[NAME] == 2
    check_outputs(model, tmp_path / "m.tflite", x)


def test_a_convolution_of_single_pixels_is_a_matrix_product_and_others_stay(tmp_path):
    model = compressed(
        "fp8_e4m3",
        layers.Conv2D(64, 1, activation="relu", name="pixels"),
        layers.Conv2D(16, 3, name="window"),
        layers.Conv2D(64, 1, strides=2, name="strided"),
        shape=(8, 8, 48),
    )
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 48)).astype(np.float32)
    receipt, _ = exported(model, tmp_path / "m.tflite", x)
    found = {kernel.path: (kernel.how, kernel.why) for kernel in receipt.kernels}
    assert found == {
        "pixels": ("packed", ""),
        "window": ("as converted", "no matrix product holds its kernel"),
        "strided": ("as converted", "no matrix product holds its kernel"),
    }
    assert receipt.operators == {NAME: 1, "CONV_2D": 2}
    check_outputs(model, tmp_path / "m.tflite", x)


def test_what_gains_nothing_or_has_too_many_values_stays_float(tmp_path):
    for kernel, units, why in (
        ("fp8_e4m3", 2, "it is so small that packing gains nothing"),
        ("fp16", 64, "values beside its scales, more than 256"),
    ):
        model = compressed(kernel, layers.Dense(units))
        receipt, _ = exported(model, tmp_path / "m.tflite")
        assert receipt.operators == {"FULLY_CONNECTED": 1} and not receipt.needs_plugin
        assert why in receipt.kernels[0].why
        assert receipt.kernels[0].how == "as converted"


@pytest.mark.parametrize("runtime", ["stock", "tflm"])
def test_other_runtimes_get_built_in_operators(runtime, tmp_path):
    model = compressed("fp8_e4m3", layers.Dense(256))
    receipt, _ = exported(model, tmp_path / "m.tflite", runtime=runtime)
    assert receipt.operators == {"FULLY_CONNECTED": 1} and receipt.kernels == ()


def test_it_is_measured_against_the_float_file_alone(tmp_path):
    model = compressed("int4", layers.Dense(256))
    receipt, _ = exported(model, tmp_path / "m.tflite", measure=True)
    assert set(receipt.latency_ms) == {"float32", "file"}
    assert receipt.dense_size_bytes is None
    assert receipt.size_bytes < receipt.float_size_bytes / 5
    assert "a: packed" not in str(receipt) and "packed, 4 bits" in str(receipt)


@pytest.mark.parametrize(
    "kernel, bits, group",
    [("int4_g32", 4, 32), ("int2_g16", 2, 16), ("int4_g32_int8", 4, 32), ("int8_g24", 8, 24)],
)
def test_groups_of_inputs_keep_a_scale_each(kernel, bits, group, tmp_path):
    model = compressed(kernel, layers.Dense(256, activation="relu", name="a"))
    receipt, graph = exported(model, tmp_path / "m.tflite")
    (stored,) = receipt.kernels
    assert (stored.how, stored.bits, stored.details) == ("packed", bits, {"group": group})
    data = {tensor.name: tensor.data for tensor in graph.tensors if tensor.data is not None}
    assert data["a/weights"].nbytes == 256 * 96 * bits // 8
    assert data["a/scale"].shape == (256, 96 // group)
    check_outputs(model, tmp_path / "m.tflite")


def test_groups_that_end_within_eight_inputs_stay_float(tmp_path):
    model = compressed("int4_g12", layers.Dense(64))
    (stored,) = exported(model, tmp_path / "m.tflite")[0].kernels
    assert (stored.how, stored.why) == ("as converted", "its scales change within eight inputs")
    check_outputs(model, tmp_path / "m.tflite")
