import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.carriers import Codes
from edgeax.export.lower_custom import Unfit
from edgeax.export.lower_packed import packed
from edgeax.formats import packing
from tests.export.lowered import converted
from tests.export.networks import normal, sequential

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
    form, _ = form_of(layers.Dense(4, name="dense"), (6,), [5, -7, 0, 100])
    assert form.constants["codebook"].tolist() == [-7, 0, 5, 100] + 12 * [0]
    assert (form.how, form.bits, form.operator) == ("packed", 4, "EdgeaxFullyConnected")


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
