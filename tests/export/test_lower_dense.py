import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.carriers import Carrier, Codes
from edgeax.export.constants import Constants, bytes_in_file
from edgeax.export.lower_dense import dense_bytes, write_dense
from tests.export.lowered import constants, converted
from tests.export.networks import normal, sequential

layers = keras.layers


def dense_net():
    plain = sequential(keras.Input((6,)), layers.Dense(3, name="dense"))
    return converted(edgeax.compress(plain, "static_wi8_ai8"), normal(8, 6))


def test_negative_scales_go_into_the_codes():
    model, carrier, codes = dense_net().carrier("dense")
    flipped = Codes(codes.codes * np.int8([1, -1, 1]), codes.scale * np.float32([1, -1, 1]))
    found = []
    for given in (codes, flipped):
        write_dense(model.subgraphs[0], Constants(model.subgraphs[0]), carrier, given, "dense")
        written = model.subgraphs[0].tensors[carrier.operator.inputs[1]]
        bias = model.subgraphs[0].tensors[carrier.operator.inputs[2]]
        found.append((written.data, written.scale, bias.data))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found[0][0], codes.codes.T)
    assert (found[1][1] > 0).all()


@pytest.mark.parametrize("bias, tensors", [(np.zeros(3), [18 + 36, 48]), (None, [18 + 36])])
def test_a_kernel_takes_a_byte_for_each_code_and_what_its_channels_need(bias, tensors):
    codes = Codes(np.zeros((6, 3), np.int8), np.ones(3, np.float32))
    carrier = Carrier(None, 1.0, codes.scale, bias)
    assert dense_bytes(carrier, codes) == bytes_in_file(tensors)


def test_bias_and_kernel_are_named_after_the_layer():
    model, _ = dense_net().lower(pack=False)
    parts = constants(model, "dense")
    assert set(parts) == {"kernel", "bias"} and parts["bias"].dtype == "int32"
