import numpy as np
import pytest

from edgeax.formats import grouped_rows, packing, sparse, vector_rows
from edgeax.formats.layer_shape import conv, depthwise, fully_connected
from edgeax.runtime import drawn_layers

SHAPE = fully_connected(128, 6)


def drawn(draw, shape=SHAPE):
    return draw(shape, np.random.default_rng(3))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_codes_and_codebook_give_the_weights(bits):
    layer = drawn(drawn_layers.codebook(bits))
    values = layer.constants["codebook"]
    codes = packing.unpack(layer.constants["weights"], bits, SHAPE.depth, signed=False)
    assert len(set(values.tolist())) == 1 << bits
    assert np.array_equal(values[codes], layer.weights)


def test_whole_numbers_take_the_bits_that_are_asked_for():
    layer = drawn(drawn_layers.integers(2, -1, 1))
    assert set(layer.weights.ravel().tolist()) == {-1, 0, 1}
    assert layer.constants["codebook"].tolist() == [-1, 0, 1, 0]
    codes = packing.unpack(layer.constants["weights"], 2, SHAPE.depth, signed=False)
    assert np.array_equal(codes.astype(np.int8) - 1, layer.weights)


def test_as_many_blocks_are_left_as_it_says():
    layer = drawn(drawn_layers.blocks(4, 4, 16))
    left = layer.weights.reshape(6, 2, 16, 4) != 0
    assert (left.all(axis=3) == left.any(axis=3)).all()
    assert (left.any(axis=3).sum(axis=2) == 4).all()
    rows = sparse.SparseRows(
        128, 4, sparse.BITMASK, *(layer.constants[n] for n in ("weights", "indices"))
    )
    assert np.array_equal(sparse.decode(rows, 6), layer.weights)


def test_neighboring_channels_may_share_the_places_of_their_blocks():
    layer = drawn(drawn_layers.blocks(4, 4, 16, channels=4))
    left = (layer.weights != 0).reshape(6, -1)
    assert (left[:4] == left[0]).all() and (left[4:] == left[4]).all()
    assert (left[0] != left[4]).any()
    assert not np.array_equal(layer.weights[0], layer.weights[1])


def test_rows_of_sub_vectors_are_codewords_of_one_table():
    layer = drawn(drawn_layers.sub_vectors(5, 4))
    assert len(np.unique(layer.weights.reshape(-1, 4), axis=0)) == 5
    rows = vector_rows.VectorRows(layer.constants["weights"], layer.constants["codebook"])
    assert np.array_equal(vector_rows.decode(rows, 6), layer.weights)
    options = drawn_layers.as_options(layer, SHAPE)
    assert options["operator"] == "EdgeaxVectorFullyConnected"


def test_signs_lie_in_bits_of_whole_bytes_a_tap():
    layer = drawn(drawn_layers.signs, conv(3, 10, 4, 3))
    bits = layer.constants["weights"].reshape(4, 9, 2)
    negative = np.unpackbits(bits, axis=-1, bitorder="little")
    assert np.array_equal(negative[..., :10], layer.weights.reshape(4, 9, 10) < 0)
    assert not negative[..., 10:].any()
    assert layer.options["input_channels"] == 10 and layer.options["pad_value"] == 0


def test_groups_have_whole_steps_of_their_own():
    layer = drawn(drawn_layers.groups(4, 32))
    rows = grouped_rows.grouped_rows(layer.weights, 32)
    assert rows.bits == 4 and len(rows.codebooks) == 16  # steps of 1 to 15
    assert np.array_equal(rows.packed(), layer.constants["weights"])
    assert layer.options == {"group_bits": 5}
    assert np.abs(layer.weights).max() > 64
    assert drawn(drawn_layers.groups(2, 32)).constants["codebook"].shape[1] == 4


def test_each_output_that_looks_products_up_has_values_of_its_own():
    layer = drawn(drawn_layers.lookups(2))
    tables = layer.constants["codebook"]
    assert tables.shape == (8, 4)  # a power of two for 6 outputs
    for row, values in zip(layer.weights, tables, strict=False):
        assert set(row.tolist()) <= set(values.tolist())
    assert layer.constants["points"][[0, 127, 128, 129, 178, 255]].tolist() == [-2, 0, 0, 0, 1, 2]
    assert len(drawn(drawn_layers.lookups(4), fully_connected(8, 300)).constants["codebook"]) == 256


def test_sums_of_signs_lie_in_bits_with_gains_of_each_sign():
    layer = drawn(drawn_layers.sign_sums(2, 2))
    assert set(layer.weights.ravel().tolist()) == {-6, -2, 2, 6}  # twice the sums of 1 and 2
    assert layer.constants["gains"].tolist() == [6 * [1], 6 * [1], 6 * [2], 6 * [2]]
    assert layer.constants["thresholds"].tolist() == [[-25], [25]]
    assert drawn_layers.sums_of(2) == [-50, 0, 50]
    assert layer.options == {"planes": 2, "bases": 2}


def test_a_last_group_of_blocks_may_be_cut_off():
    assert drawn(drawn_layers.blocks(4, 1, 4), conv(3, 3, 2, 3)).weights.shape == (2, 27)


def test_an_operator_is_named_for_its_shape():
    layer = drawn(drawn_layers.codebook(4))
    assert drawn_layers.as_options(layer, SHAPE)["operator"] == "EdgeaxFullyConnected"
    assert drawn_layers.as_options(layer, conv(3, 4, 5, 1))["operator"] == "EdgeaxConv2D"
    layer = drawn(drawn_layers.codebook(4), depthwise(3, 4, 3))
    shape = depthwise(3, 4, 3)
    assert drawn_layers.as_options(layer, shape)["operator"] == "EdgeaxDepthwiseConv2D"


def test_the_rows_of_a_depthwise_layer_are_its_taps():
    layer = drawn(drawn_layers.codebook(4), depthwise(3, 6, 3))
    assert layer.weights.shape == (6, 9)
    codes = packing.unpack(layer.constants["weights"], 4, 6, signed=False)
    assert np.array_equal(layer.constants["codebook"][codes], layer.weights.T)
