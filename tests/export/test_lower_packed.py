import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.carriers import Codes
from edgeax.export.lower_custom import Unfit
from edgeax.export.lower_packed import packed
from edgeax.formats import packing
from edgeax.runtime.interpreter import Interpreter
from tests.export.lowered import INT8, cases, constants, converted, kernel_rule
from tests.export.networks import normal, sequential
from tests.tflite_kernels import oracle

layers = keras.layers


def form_of(layer, shape, codes):
    """The packed form of given codes in a layer."""
    net = converted(
        edgeax.compress(sequential(keras.Input(shape), layer), "static_wi8_ai8"), normal(4, *shape)
    )
    model, carrier, trained = net.carrier(layer.name)
    codes = np.resize(np.int8(codes), trained.codes.shape)
    return packed(model.subgraphs[0], carrier, Codes(codes, trained.scale)), codes


def test_the_table_holds_the_codes_in_use_the_lowest_first():
    form, _ = form_of(layers.Dense(4, name="dense"), (6,), [5, -7, 0, 100, 3])
    assert form.constants["codebook"].tolist() == [-7, 0, 3, 5, 100] + 11 * [0]
    assert (form.how, form.bits, form.operator) == ("packed", 4, "EdgeaxFullyConnected")


@pytest.mark.parametrize(
    "used, bits, table",
    [
        ([7], 1, [7, 0]),
        ([3, -3], 1, [-3, 3]),
        ([1, 0, -1], 2, [-1, 0, 1, 0]),
        ([1, 0, -1, -2], 2, [-2, -1, 0, 1]),
        ([-128, 127, 1, 2, 3], 4, [-128, 1, 2, 3, 127] + 11 * [0]),
    ],
)
def test_codes_have_the_fewest_bits_that_tell_them_apart(used, bits, table):
    form, codes = form_of(layers.Dense(5, name="dense"), (7,), used)
    assert (form.bits, form.constants["codebook"].tolist()) == (bits, table)
    assert form.constants["weights"].shape == (5, -(-7 * bits // 8))
    indices = packing.unpack(form.constants["weights"], bits, 7, signed=False)
    np.testing.assert_array_equal(form.constants["codebook"][indices], codes.T)


@pytest.mark.parametrize(
    "layer, shape, rows",
    [
        (lambda: layers.Dense(4, name="layer"), (6,), lambda codes: codes.T),
        (
            lambda: layers.Conv2D(4, (2, 3), name="layer"),
            (5, 5, 3),
            lambda codes: codes.transpose(3, 0, 1, 2).reshape(4, 18),
        ),
        (
            lambda: layers.DepthwiseConv2D(2, name="layer"),
            (5, 5, 3),
            lambda codes: codes.reshape(4, 3),
        ),
    ],
)
def test_rows_are_output_channels_but_taps_of_a_depthwise_convolution(layer, shape, rows):
    form, codes = form_of(layer(), shape, np.random.default_rng(0).integers(-8, 8, 72))
    expected = rows(codes)
    indices = packing.unpack(form.constants["weights"], 4, expected.shape[1], signed=False)
    np.testing.assert_array_equal(form.constants["codebook"][indices], expected)


def test_seventeen_codes_are_too_many():
    form_of(layers.Dense(4, name="dense"), (6,), np.arange(16))
    with pytest.raises(Unfit, match="more than 16 different codes"):
        form_of(layers.Dense(4, name="dense"), (6,), np.arange(17))


# Whole files of few bits.

KERNELS = ("conv", "depthwise", "grouped", "pointwise", "dense")


@pytest.fixture(scope="module", params=["ternary", "ttq", "int2", "binary", "pow2_3"])
def of_few_bits(request):
    """A network with each kind of layer, and the bits that its codes need."""
    plain = sequential(
        keras.Input((9, 8, 6)),
        layers.Conv2D(20, 3, padding="same", activation="relu", name="conv"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2, name="depthwise"),
        layers.Conv2D(24, 2, groups=4, activation="relu6", name="grouped"),
        layers.Conv2D(33, 1, name="pointwise"),
        layers.Flatten(),
        layers.Dense(13, name="dense"),
    )
    recipe = edgeax.Recipe([INT8, edgeax.Rule(".*", kernel=request.param)])
    net = converted(edgeax.compress(plain, recipe), normal(16, 9, 8, 6))
    return net, {"binary": 1, "pow2_3": 4}.get(request.param, 2)


def test_every_kind_of_layer_has_codes_of_few_bits(of_few_bits):
    net, bits = of_few_bits
    model, stored = net.lower(pack=True)
    assert {path: (stored[path].how, stored[path].bits) for path in KERNELS} == {
        path: ("packed", bits) for path in KERNELS
    }
    for path in KERNELS:
        parts = constants(model, path)
        assert parts["codebook"].shape == (1 << bits,)
        rows, columns = parts["weights"].shape
        count = net.encoded(path).codes.size // rows
        assert columns == -(-count * bits // 8)


def test_operators_of_few_bits_give_the_sums_worked_out_in_integers(of_few_bits):
    net, _ = of_few_bits
    found = cases(net.lower(pack=True)[0], normal(1, 9, 8, 6, seed=3))
    assert {path for path, _, _ in found} == set(KERNELS)
    for path, case, output in found:
        np.testing.assert_array_equal(output, oracle.run(case), err_msg=path)


def test_a_file_of_few_bits_gives_what_the_stock_file_of_int8_does(of_few_bits):
    net, _ = of_few_bits
    files = [net.lower(pack)[0].to_bytes() for pack in (True, False)]
    packed_run, stock = (Interpreter(model_content=content) for content in files)
    for seed in range(8):
        x = normal(1, 9, 8, 6, seed=seed)
        np.testing.assert_array_equal(packed_run.run(x), stock.run(x))


@pytest.fixture(scope="module")
def wide_net():
    """Every kind of layer that is packed beside 16-bit activations, trained in 4 bits."""
    given = keras.Input((9, 8, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="conv")(given)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=3, name="depthwise")(x)
    x = layers.Conv2D(7, 1, activation="relu6", name="pointwise")(x)
    x = layers.Dense(40, activation="tanh", name="hidden")(layers.Flatten()(x))
    plain = keras.Model(given, layers.Dense(5, name="dense")(x))
    for layer in plain.layers:
        if layer.weights:
            layer.bias.assign(normal(*layer.bias.shape, seed=len(layer.name)))
    recipe = edgeax.Recipe([kernel_rule("static_wi4_ai8", ".*")])
    net = edgeax.compress(plain, recipe)
    net(normal(8, 9, 8, 3), training=True)
    return net


def test_kernels_beside_16_bit_activations_give_the_bits_of_the_built_in_operators(
    wide_net, tmp_path
):
    x = normal(30, 9, 8, 3, seed=4)
    settings = {"activations": "int16", "strict": True, "measure": False}
    ours = edgeax.export(wide_net, tmp_path / "ours.tflite", x, **settings)
    stock = edgeax.export(wide_net, tmp_path / "stock.tflite", x, runtime="stock", **settings)
    assert {(kernel.how, kernel.bits) for kernel in ours.kernels} == {("packed", 4)}
    assert ours.needs_plugin and not ours.stays_float
    assert (ours.operators["EdgeaxConv2D"], ours.operators["EdgeaxFullyConnected"]) == (2, 2)
    assert {kernel.how for kernel in stock.kernels} == {"int8"}
    hidden = 3 * 4 * 7 * 40  # its bytes become half as many
    assert ours.size_bytes < stock.size_bytes - hidden // 2
    ends = [Interpreter(tmp_path / f"{name}.tflite").run(x) for name in ("ours", "stock")]
    np.testing.assert_array_equal(*ends)
    assert ours.parity == stock.parity


def test_kernels_beside_16_bit_activations_are_forecast(wide_net):
    plain = keras.Sequential([keras.Input((6,)), layers.Dense(40), layers.Dense(30, name="last")])
    rules = [
        kernel_rule("static_wi4_ai8", ".*"),
        edgeax.Rule(".*", input="int16", output="int16"),
    ]
    found = edgeax.can_export(plain, edgeax.Recipe(rules), normal(8, 6))
    assert "last" in found.packed
    assert not edgeax.can_export(plain, edgeax.Recipe(rules), normal(8, 6), runtime="stock").packed
