import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.carriers import (
    Carrier,
    Codes,
    from_file_layout,
    integer_codes,
    settled,
    to_file_layout,
)
from edgeax.formats import Codebook, EncodedTensor, Integer
from edgeax.runtime.interpreter import Interpreter
from tests.export.lowered import codes_and_scale, converted
from tests.export.networks import normal, sequential

layers = keras.layers


def test_equal_kernels_of_different_layers_each_get_their_own():
    same = {"kernel_initializer": keras.initializers.RandomNormal(seed=7)}
    parts = [layers.Dense(40, **same, name=f"dense_{i}") for i in range(3)]
    plain = sequential(keras.Input((40,)), *parts, layers.BatchNormalization())
    net = converted(edgeax.compress(plain, "static_wi4_ai8"), normal(8, 40))
    model, stored = net.lower(pack=True)
    assert [entry.how for entry in stored.values()] == ["packed"] * 3
    for i in range(3):
        trained = net.encoded(f"dense_{i}")
        codes, scale = codes_and_scale(model, f"dense_{i}", trained.shape)
        np.testing.assert_array_equal(scale * codes.astype(np.float32), trained.decode())


@pytest.mark.parametrize(
    "operator, shape, canonical",
    [
        ("CONV_2D", (4, 3, 2, 5), (3, 2, 5, 4)),
        ("DEPTHWISE_CONV_2D", (1, 3, 2, 5), (3, 2, 5)),
        ("FULLY_CONNECTED", (4, 30), (3, 10, 4)),
    ],
)
def test_layouts_are_undone(operator, shape, canonical):
    codes = np.arange(np.prod(canonical)).reshape(canonical)
    stored = to_file_layout(operator, codes, shape)
    assert stored.shape == shape and stored.flags.c_contiguous
    np.testing.assert_array_equal(from_file_layout(operator, stored, canonical), codes)
    if operator == "CONV_2D":
        np.testing.assert_array_equal(stored, codes.transpose(3, 0, 1, 2))


def test_codes_of_a_codebook_are_its_entries_and_a_mask_makes_zeros():
    table = np.pad(np.int8([-90, 3, 127]), (0, 1))
    params = {"codebook": table, "scale": np.float32([0.5, -2.0])}
    indices = np.uint8([[0, 1], [2, 1]])
    mask = np.array([[True, True], [False, True]])
    encoded = EncodedTensor(indices, Codebook(4), params, mask)
    codes = integer_codes(encoded)
    assert codes.codes.tolist() == [[-90, 3], [0, 3]]
    assert codes.scale.tolist() == [0.5, -2.0]
    np.testing.assert_array_equal(codes.scale * codes.codes, encoded.decode())


def test_one_scale_for_a_tensor_serves_every_channel():
    encoded = EncodedTensor(np.int8([[1, 2, 3]]), Integer(4), {"scale": np.float32(0.25)})
    assert integer_codes(encoded).scale.tolist() == [0.25, 0.25, 0.25]


@pytest.mark.parametrize(
    "layer, shape",
    [
        (lambda: layers.Dense(5), (4,)),
        (lambda: layers.Dense(5, activation="relu"), (3, 4)),
        (lambda: layers.Conv2D(5, 2), (4, 4, 3)),
        (lambda: layers.DepthwiseConv2D(2), (4, 4, 5)),
    ],
)
@pytest.mark.parametrize("pack", [False, True])
def test_equal_biases_of_all_channels_are_not_taken_for_their_codes(layer, shape, pack):
    # The converter gives all of them the code of the first channel, whatever their scales are.
    model = sequential(keras.Input(shape), layer())
    model.layers[0].bias.assign(np.full(5, 0.75))
    samples = normal(16, *shape)
    file, _ = converted(
        edgeax.compress(model, "static_wi4_ai8" if pack else "static_wi8_ai8"), samples
    ).lower(pack)
    outputs = Interpreter(model_content=file.to_bytes()).run(samples)
    wanted = edgeax.strip(edgeax.compress(model, "static_wi4_ai8" if pack else "static_wi8_ai8"))
    wanted = wanted.predict(samples, verbose=0)
    assert np.abs(outputs - wanted).max() < 0.03 * np.ptp(wanted)


@pytest.fixture(scope="module")
def dense():
    plain = sequential(keras.Input((6,)), layers.Dense(4, name="dense"))
    return converted(edgeax.compress(plain, "static_wi8_ai8"), normal(8, 6)).carrier("dense")


def test_a_carrier_has_the_bias_that_was_trained(dense):
    model, carrier, codes = dense
    step = carrier.input_scale * codes.scale.astype(np.float64)
    bias = np.random.default_rng(0).normal(size=4) * 0.2  # as `unsettle` set it
    np.testing.assert_allclose(carrier.bias, bias, rtol=1e-6)
    np.testing.assert_array_equal(carrier.bias_codes(codes.scale), np.rint(carrier.bias / step))
    assert carrier.bias_codes(codes.scale).dtype == np.int32
    assert carrier.operator.name == "FULLY_CONNECTED" and not carrier.is_wide


def test_a_channel_without_gain_takes_the_scale_that_can_hold_its_bias(dense):
    _, carrier, codes = dense
    scale = codes.scale * np.float32([1, 0, 1e-30, -1])
    found = settled(Codes(codes.codes, scale), carrier)
    np.testing.assert_array_equal(found.codes[:, [0, 3]], codes.codes[:, [0, 3]])
    assert not found.codes[:, [1, 2]].any()
    np.testing.assert_array_equal(found.scale[[0, 3]], scale[[0, 3]])
    np.testing.assert_array_equal(found.scale[[1, 2]], carrier.scale[[1, 2]])


def test_a_channel_of_zeros_takes_the_scale_that_can_hold_its_bias():
    # Its format says 1.0, which makes one step of 0.01 for its bias of 0.003.
    codes = Codes(np.int8([[3, 0, 5], [-7, 0, 127]]), np.float32([1e-4, 1.0, -3e-4]))
    converter = np.float32([1e-4, 1e-6, 3e-4])
    carrier = Carrier(None, 0.01, converter, np.float64([0.0, 0.003, 0.0]))
    found = settled(codes, carrier)
    np.testing.assert_array_equal(found.codes, codes.codes)
    np.testing.assert_array_equal(found.scale, np.float32([1e-4, 1e-6, -3e-4]))
    assert carrier.bias_codes(found.scale).tolist() == [0, 300_000, 0]


def test_beside_16_bit_activations_a_bias_has_64_bits():
    carrier = Carrier(None, 1e-9, np.float32([1.0]), np.float64([8.0]), is_wide=True)
    codes = carrier.bias_codes(np.float32([1.0]))
    assert codes.dtype == np.int64 and codes[0] == 8_000_000_000
