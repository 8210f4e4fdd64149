import math

import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.carriers import Codes, integer_codes
from edgeax.export.lower_custom import Unfit
from edgeax.export.lower_vector import vector
from edgeax.formats.flatbuffer import Model
from edgeax.formats.integer_form import snr_db
from edgeax.formats.vector_codebook import TABLES, VectorCodebook
from edgeax.formats.vector_rows import VectorCodes
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
        np.testing.assert_array_equal(codes, expected.vectors.codes)
        np.testing.assert_allclose(scale, expected.scale * expected.vectors.steps, rtol=1e-6)


def test_operators_give_the_sums_worked_out_in_integers(network):
    net, _ = network
    found = cases(net.lower(pack=True)[0], normal(1, 9, 8, 8, seed=3))
    assert {path for path, _, _ in found} == set(PATHS)
    for path, case, output in found:
        np.testing.assert_array_equal(output, oracle.run(case), err_msg=path)


def test_the_file_gives_about_what_the_stock_file_of_int8_does_in_an_eighth_of_the_bytes(network):
    """Not the same: codes of one step for all channels are another rounding."""
    net, (entries, length, _) = network
    files = [net.lower(pack)[0].to_bytes() for pack in (True, False)]
    packed_run, stock = (Interpreter(model_content=content) for content in files)
    inputs = [normal(1, 9, 8, 8, seed=seed) for seed in range(4)]
    ends = [np.concatenate([run.run(x) for x in inputs]) for run in (stock, packed_run)]
    assert snr_db(*ends) > 25.0
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


def test_sub_vectors_on_a_grid_of_8_bits_are_stored_as_trained(tmp_path):
    plain = sequential(keras.Input((32,)), layers.Dense(64, name="dense"))
    kernel = [edgeax.VectorCluster(16, 4), edgeax.Quantize("int8")]
    rule = edgeax.Rule(".*", kernel=kernel, input="int8", output="int8")
    small = edgeax.compress(plain, edgeax.Recipe([rule]))
    path = tmp_path / "m.tflite"
    (found,) = edgeax.export(small, path, normal(16, 32), measure=False).kernels
    assert (found.how, found.bits, found.snr_db) == ("vector", 4, None)
    (_, _, trained), *_ = small.layers[-1].freeze_weights()
    codes, scale = codes_and_scale(Model.from_bytes(path.read_bytes()), "dense", trained.shape)
    np.testing.assert_allclose(codes * scale, trained.decode(), rtol=1e-6)


@pytest.fixture
def of_channels_of_other_sizes(tmp_path):
    """Exports a kernel whose channels lie 40 dB apart; gives the receipt, the values of training
    and those in the file.
    """

    def run(entries, **settings):
        plain = sequential(keras.Input((32,)), layers.Dense(64, name="dense"))
        sizes = np.logspace(-2, 0, 64, dtype=np.float32)
        plain.layers[0].kernel.assign(normal(32, 64) * sizes)
        small = edgeax.compress(plain, clustered(entries, 4, "shared"))
        path = tmp_path / "m.tflite"
        result = edgeax.export(small, path, normal(16, 32), measure=False, **settings)
        (_, _, trained), *_ = small.layers[-1].freeze_weights()
        model = Model.from_bytes(path.read_bytes())
        codes, scale = codes_and_scale(model, "dense", trained.shape)
        return result.kernels[0], trained.decode(), codes * scale

    return run


@pytest.mark.parametrize("runtime", ["stock", "edgeax"])
def test_every_channel_keeps_a_step_of_its_own_where_one_for_all_were_too_coarse(
    of_channels_of_other_sizes, runtime
):
    kernel, trained, stored = of_channels_of_other_sizes(256, runtime=runtime)
    assert kernel.how == "int8" and kernel.snr_db > 38.0
    assert min(map(snr_db, trained.T, stored.T)) > 35.0
    if runtime == "edgeax":
        assert "one step for all channels leaves 2.5 dB to one of them, less than 30" in kernel.why


def test_the_receipt_says_what_one_step_for_all_channels_costs(tmp_path):
    plain = sequential(keras.Input((32,)), layers.Dense(64, name="dense"))
    plain.layers[0].kernel.assign(normal(32, 64))
    small = edgeax.compress(plain, clustered(16, 4, "shared"))
    path = tmp_path / "m.tflite"
    (kernel,) = edgeax.export(small, path, normal(16, 32), measure=False).kernels
    (_, _, trained), *_ = small.layers[-1].freeze_weights()
    codes, scale = codes_and_scale(Model.from_bytes(path.read_bytes()), "dense", trained.shape)
    assert kernel.how == "vector"
    assert kernel.snr_db == pytest.approx(snr_db(trained.decode(), codes * scale), abs=0.01)


def form_of(layer, shape, codes, vectors, least_db=math.inf):
    """The form of given codes in a layer."""
    net = converted(
        edgeax.compress(sequential(keras.Input(shape), layer), "static_wi8_ai8"), normal(4, *shape)
    )
    model, carrier, trained = net.carrier(layer.name)
    codes = np.resize(np.int8(codes), trained.codes.shape)
    if vectors is not None:
        steps = np.ones(trained.scale.size)
        vectors = VectorCodes(vectors, codes, steps, least_db=least_db)
    return vector(model.subgraphs[0], carrier, Codes(codes, trained.scale, vectors))


def test_a_channel_that_would_fall_below_30_db_makes_it_unfit():
    dense = layers.Dense(4, name="dense")
    form = form_of(dense, (8,), [1, 2], VectorCodebook(16, 4), least_db=30.0)
    assert form.operator == "EdgeaxVectorFullyConnected"
    with pytest.raises(Unfit, match="leaves 29.9 dB to one of them, less than 30"):
        form_of(dense, (8,), [1, 2], VectorCodebook(16, 4), least_db=29.9)


@pytest.mark.parametrize("kernel", [edgeax.VectorCluster(16, 4, at_most=True), "int4_g16_int8"])
def test_beside_16_bit_activations_no_operator_of_8_bits_stands(kernel, tmp_path):
    """Where limits of an activation are codes of int8 too, as those of a concatenation are."""
    given = keras.Input((64,))
    first = layers.Dense(64, "relu6", name="first")(given)
    other = layers.Dense(64, name="other")
    model = keras.Model(given, layers.Concatenate()([first, other(given)]))
    other.bias.assign(np.resize(np.float32([5000.0, -5000.0]), 64))
    small = edgeax.compress(model, edgeax.Recipe([edgeax.Rule("first", kernel=kernel)]))
    x = normal(16, 64)
    result = edgeax.export(small, tmp_path / "m.tflite", x, activations="int16", measure=False)
    found = {kernel.path: kernel for kernel in result.kernels}
    name = "Grouped" if isinstance(kernel, str) else "Vector"
    assert found["first"].how == "int8"
    why = f"it computes from 16-bit activations, and Edgeax{name}FullyConnected from 8-bit ones"
    assert why in found["first"].why
    assert "output_min" not in found["first"].why
    assert edgeax.Interpreter(tmp_path / "m.tflite").run(x).shape == (16, 128)


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
