import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.carriers import Codes, integer_codes
from edgeax.export.lower_custom import Unfit
from edgeax.export.lower_vector import vector
from edgeax.formats.vector_codebook import TABLES, VectorCodebook
from edgeax.runtime.details import read_details
from edgeax.runtime.interpreter import Interpreter
from tests.export.lowered import (
    INT8,
    cases,
    codes_and_scale,
    constants,
    converted,
    operator_of,
)
from tests.export.networks import normal, sequential, unsettle
from tests.tflite_kernels import oracle

layers = keras.layers

PATHS = ("strided", "grouped", "pointwise", "dense")
SAMPLES = normal(16, 9, 8, 8)


def clustered(entries, length, tables):
    """What product quantization and int8 activations do."""
    cluster = edgeax.VectorCluster(entries, length, tables, at_most=True)
    return edgeax.Recipe([INT8, edgeax.Rule(".*", kernel=cluster)])


def every_layer():
    """A network of every kind of layer that has a kernel for sub-vectors."""
    keras.utils.set_random_seed(0)
    given = x = keras.Input((9, 8, 8))
    x = layers.Conv2D(24, 3, strides=2, padding="same", use_bias=False, name="strided")(x)
    x = layers.ReLU(6)(layers.BatchNormalization()(x))
    x = layers.Conv2D(16, 3, padding="same", groups=2, activation="relu", name="grouped")(x)
    x = layers.Conv2D(40, 1, name="pointwise")(x)
    return unsettle(keras.Model(given, layers.Dense(132, name="dense")(layers.Flatten()(x))))


@pytest.fixture(scope="module", params=[(16, 4, "shared"), (40, 4, "per_input")], ids=str)
def network(request):
    net = converted(edgeax.compress(every_layer(), clustered(*request.param)), SAMPLES)
    return net, request.param


def test_every_kind_of_layer_is_stored_in_indices_of_sub_vectors(network):
    net, (entries, length, tables) = network
    model, stored = net.lower(pack=True)
    for path in PATHS:
        kernel, parts = stored[path], constants(model, path)
        assert operator_of(model, path).name.startswith("EdgeaxVector")
        shape = net.encoded(path).shape
        count = 1 if tables == "shared" else shape[-2] // length
        assert (kernel.how, kernel.bits) == ("vector", 4 if entries <= 16 else 8)
        # A channel that is nothing but its bias is zeros, one more codeword.
        assert kernel.details["length"] == length and kernel.details["tables"] == count
        assert kernel.details["entries"] <= entries + 1
        assert parts["codebook"].shape == (count, length, kernel.details["entries"])
        places = int(np.prod(shape[:-1])) // length
        assert parts["weights"].shape == (places * -(-shape[-1] * kernel.bits // 8),)


def test_the_file_holds_the_codes_of_training(network):
    net, _ = network
    model, _ = net.lower(pack=True)
    for path in PATHS:
        expected = integer_codes(net.encoded(path))
        codes, scale = codes_and_scale(model, path, net.encoded(path).shape)
        np.testing.assert_array_equal(codes, expected.codes)
        np.testing.assert_array_equal(scale, expected.scale)


def test_operators_give_the_sums_worked_out_in_integers(network):
    net, _ = network
    found = cases(net.lower(pack=True)[0], normal(1, 9, 8, 8, seed=3))
    assert {path for path, _, _ in found} == set(PATHS)
    for path, case, output in found:
        np.testing.assert_array_equal(output, oracle.run(case), err_msg=path)


def test_the_file_gives_what_the_stock_file_of_int8_does_in_an_eighth_of_the_bytes(network):
    net, (entries, length, _) = network
    files = [net.lower(pack)[0].to_bytes() for pack in (True, False)]
    packed_run, stock = (Interpreter(model_content=content) for content in files)
    for seed in range(4):
        x = normal(1, 9, 8, 8, seed=seed)
        np.testing.assert_array_equal(packed_run.run(x), stock.run(x))
    if entries == 16:  # of which the dense layer is by far the most
        assert len(files[0]) < len(files[1]) / 3


def test_inspect_tells_the_bits_of_an_index(network):
    net, (entries, _, _) = network
    details = read_details(net.lower(pack=True)[0].to_bytes())
    found = {op.weight_bits for op in details.operators if op.name.startswith("EdgeaxVector")}
    assert found == {4 if entries <= 16 else 8}
    assert "EdgeaxVectorConv2D" in str(details)


@pytest.mark.parametrize("tables", TABLES)
def test_export_and_its_forecast_say_so(tables, tmp_path):
    plain = sequential(keras.Input((12,)), layers.Dense(64, name="dense"))
    recipe = clustered(8, 4, tables)
    samples = normal(16, 12)
    result = edgeax.export(edgeax.compress(plain, recipe), tmp_path / "m.tflite", samples)
    (kernel,) = result.kernels
    assert (kernel.how, kernel.bits, kernel.why) == ("vector", 4, "")
    assert edgeax.can_export(plain, recipe).vector == ("dense",)
    assert edgeax.can_export(plain, recipe, runtime="stock").vector == ()


def form_of(layer, shape, codes, vectors):
    """The form of given codes in a layer."""
    net = converted(
        edgeax.compress(sequential(keras.Input(shape), layer), "static_wi8_ai8"), normal(4, *shape)
    )
    model, carrier, trained = net.carrier(layer.name)
    codes = np.resize(np.int8(codes), trained.codes.shape)
    return vector(model.subgraphs[0], carrier, Codes(codes, trained.scale, vectors))


def test_what_training_did_not_cut_has_no_such_form():
    with pytest.raises(Unfit, match="^$"):
        form_of(layers.Dense(4, name="dense"), (6,), [1, 2], None)


def test_too_many_sub_vectors_are_told():
    codes = np.stack([np.arange(257) % 256, np.arange(257) // 256]).astype(np.int8)
    with pytest.raises(Unfit, match="at most 256 different sub-vectors"):
        form_of(layers.Dense(257, name="dense"), (2,), codes, VectorCodebook(512, 2))


def test_a_depthwise_kernel_has_no_such_form():
    layer = layers.DepthwiseConv2D(2, name="depthwise")
    with pytest.raises(Unfit, match="DEPTHWISE_CONV_2D has no kernel for sub-vectors"):
        form_of(layer, (5, 5, 3), [1, 2], VectorCodebook(16, 4))
