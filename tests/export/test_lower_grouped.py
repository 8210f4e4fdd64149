import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats.flatbuffer import Model
from edgeax.formats.operators import OPERATORS
from edgeax.runtime import read_details

layers = keras.layers
NAMES = {"EdgeaxGroupedConv2D", "EdgeaxGroupedFullyConnected"}


def network(*parts, shape=(12, 12, 8), kernel="int4_g32_int8"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *parts])
    rules = [edgeax.Rule(".*", kernel=kernel, input="int8", output="int8")]
    return edgeax.compress(model, edgeax.Recipe(rules))


def samples(shape=(12, 12, 8)):
    return np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32)


def exported(model, path, x, **options):
    result = edgeax.export(model, path, x, measure=False, **options)
    return result, Model.from_bytes(path.read_bytes()).subgraphs[0]


@pytest.mark.parametrize(
    "kernel, bits, group", [("int4_g32_int8", 4, 32), ("int2_g16_int8", 2, 16)]
)
def test_convolutions_and_dense_layers_hold_packed_codes_with_steps(kernel, bits, group, tmp_path):
    model = network(
        layers.Conv2D(40, 3, strides=2, padding="same", activation="relu", name="window"),
        layers.BatchNormalization(),
        layers.Conv2D(48, 1, name="pixels"),
        layers.Flatten(),
        layers.Dense(10, name="dense"),
        kernel=kernel,
    )
    source = np.random.default_rng(1)
    for variable in model.layers[1].weights:
        variable.assign(source.uniform(0.5, 2.0, variable.shape))
    result, graph = exported(model, tmp_path / "m.tflite", samples())
    found = {kernel.path: kernel for kernel in result.kernels}
    assert set(found) == {"window", "pixels", "dense"}
    for stored in found.values():
        assert (stored.how, stored.bits, stored.details) == ("packed", bits, {"group": group})
        assert stored.snr_db is None and not stored.why
    ours = [operator for operator in graph.operators if operator.name in NAMES]
    for operator in ours:
        options = OPERATORS[operator.name].unpack_options(operator.custom_options)
        assert 2 ** options["group_bits"] == group
    data = {tensor.name: tensor.data for tensor in graph.tensors if tensor.data is not None}
    depth = 3 * 3 * 8
    assert data["window/weights"].shape == (40, depth * bits // 8 + -(-depth // group))


def test_the_file_computes_what_built_in_operators_do_with_the_same_kernel(tmp_path):
    model = network(
        layers.Conv2D(24, 3, activation="relu6", name="window"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, name="dense"),
    )
    x = samples()
    packed, _ = exported(model, tmp_path / "packed.tflite", x)
    stock, graph = exported(model, tmp_path / "stock.tflite", x, runtime="stock")
    assert packed.needs_plugin and not stock.needs_plugin
    assert all(kernel.snr_db is None for kernel in stock.kernels)  # int8 holds what was trained
    outputs = [
        edgeax.Interpreter(tmp_path / f"{name}.tflite").run(x) for name in ("packed", "stock")
    ]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    "kernel, layer, why",
    [
        ("int4_g24_int8", layers.Conv2D(32, 3), "its groups of 24 are no power of two from 16"),
        ("int4_g8_int8", layers.Conv2D(32, 3), "its groups of 8 are no power of two from 16"),
        (
            "int4_g16_int8",
            layers.DepthwiseConv2D(5, depth_multiplier=8),
            "DEPTHWISE_CONV_2D has no kernel in groups",
        ),
        (
            "int4_g32",
            layers.Conv2D(32, 3),
            "the steps of its groups are no whole numbers of one, as those of 'int4_g32_int8' are",
        ),
        ("int8_g32", layers.Conv2D(32, 3), "its groups are no whole numbers of one"),
        ("int4_g16_int8", layers.Conv2D(1, 1), "so small that packing gains nothing"),
    ],
)
def test_kernels_that_no_operator_holds_are_int8(kernel, layer, why, tmp_path):
    result, _ = exported(network(layer, kernel=kernel), tmp_path / "m.tflite", samples())
    (stored,) = result.kernels
    assert stored.how == "int8" and why in stored.why


def test_one_group_for_all_inputs_is_packed_as_any_kernel(tmp_path):
    model = network(layers.Conv2D(64, 1, name="pixels"), shape=(6, 6, 24))
    result, graph = exported(model, tmp_path / "m.tflite", samples((6, 6, 24)))
    (stored,) = result.kernels
    assert (stored.how, stored.bits, stored.details) == ("packed", 4, {})
    assert "EdgeaxConv2D" in result.operators


def test_pruned_groups_keep_their_zeros(tmp_path):
    keras.utils.set_random_seed(0)
    plain = keras.Sequential([keras.Input((64,)), layers.Dense(48, name="dense")])
    chain = [edgeax.Prune(0.4), "int4_g32_int8"]
    rules = [edgeax.Rule(".*", kernel=chain, input="int8", output="int8")]
    model = edgeax.compress(plain, edgeax.Recipe(rules))
    x = np.random.default_rng(0).normal(size=(32, 64)).astype(np.float32)
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((32, 48)), epochs=2, verbose=0)
    result, _ = exported(model, tmp_path / "m.tflite", x)
    (stored,) = result.kernels
    assert (stored.bits, stored.details) == (4, {"group": 32})
    last = model.layers[-1].quantizer("output").extremes
    assert result.parity.most_output_difference <= 1.01 * (last[1] - last[0]) / 255


def test_inspect_tells_the_bits_of_a_code(tmp_path):
    exported(
        network(layers.Conv2D(32, 3), kernel="int2_g32_int8"), tmp_path / "m.tflite", samples()
    )
    details = read_details(tmp_path / "m.tflite")
    (ours,) = [operator for operator in details.operators if operator.is_custom]
    assert (ours.name, ours.weight_bits) == ("EdgeaxGroupedConv2D", 2)
    assert ours.options["group_bits"] == 5 and not details.unknown_operators
