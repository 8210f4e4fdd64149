import numpy as np
import pytest

from benchmarks import layer_kinds
from benchmarks.layer_kinds import KINDS
from benchmarks.operator_files import conv, fully_connected
from edgeax.formats import packing, sparse

SHAPE = fully_connected(128, 6)


def drawn(draw, shape=SHAPE):
    return draw(shape, np.random.default_rng(3))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_codes_and_codebook_give_the_weights(bits):
    layer = drawn(layer_kinds.codebook(bits))
    values = layer.constants["codebook"]
    codes = packing.unpack(layer.constants["weights"], bits, SHAPE.depth, signed=False)
    assert len(set(values.tolist())) == 1 << bits
    assert np.array_equal(values[codes], layer.weights)


def test_whole_numbers_take_the_bits_that_are_asked_for():
    layer = drawn(layer_kinds.integers(2, -1, 1))
    assert set(layer.weights.ravel().tolist()) == {-1, 0, 1}
    assert layer.constants["codebook"].tolist() == [-1, 0, 1, 0]
    codes = packing.unpack(layer.constants["weights"], 2, SHAPE.depth, signed=False)
    assert np.array_equal(codes.astype(np.int8) - 1, layer.weights)


def test_as_many_blocks_are_left_as_it_says():
    layer = drawn(layer_kinds.blocks(4, 4, 16))
    left = layer.weights.reshape(6, 2, 16, 4) != 0
    assert (left.all(axis=3) == left.any(axis=3)).all()
    assert (left.any(axis=3).sum(axis=2) == 4).all()
    rows = sparse.SparseRows(
        128, 4, sparse.BITMASK, *(layer.constants[n] for n in ("weights", "indices"))
    )
    assert np.array_equal(sparse.decode(rows, 6), layer.weights)


def test_signs_lie_in_bits_of_whole_bytes_a_tap():
    layer = drawn(layer_kinds.binary, conv(3, 10, 4, 3))
    bits = layer.constants["weights"].reshape(4, 9, 2)
    negative = np.unpackbits(bits, axis=-1, bitorder="little")
    assert np.array_equal(negative[..., :10], layer.weights.reshape(4, 9, 10) < 0)
    assert not negative[..., 10:].any()
    assert layer.options["input_channels"] == 10 and layer.options["pad_value"] == 0


def test_inputs_of_binary_layers_are_signs():
    kinds = {kind.name: kind for kind in KINDS}
    assert kinds["binary"].inputs == (-50, 50)  # -1 and 1 in steps of 0.02
    assert kinds["ternary"].inputs == range(-128, 128)


def test_a_last_group_of_blocks_may_be_cut_off():
    assert drawn(layer_kinds.blocks(4, 1, 4), conv(3, 3, 2, 3)).weights.shape == (2, 27)


def test_the_shapes_are_those_of_the_issue_and_every_target_is_measured():
    assert [shape.name for shape in layer_kinds.CONVOLUTIONS] == [
        "conv3x3 56,64,64",
        "conv3x3 28,128,128",
        "conv3x3 14,256,256",
        "conv3x3 7,512,512",
        "conv1x1 56,64,256",
        "conv1x1 14,512,512",
    ]
    for kind in KINDS:
        for wanted in kind.wanted:
            assert set(wanted.shapes) <= set(kind.shapes)
            assert not wanted.cold or set(wanted.shapes) <= set(layer_kinds.COLD)


def test_an_operator_is_named_for_its_shape():
    layer = drawn(layer_kinds.codebook(4))
    assert layer_kinds.as_options(layer, SHAPE)["operator"] == "EdgeaxFullyConnected"
    assert layer_kinds.as_options(layer, conv(3, 4, 5, 1))["operator"] == "EdgeaxConv2D"
