import itertools

import keras
import numpy as np
import pytest

from edgeax.formats.lookup import product_table
from edgeax.formats.lookup_layer import LookupLayer, Window, boundaries, why_no_table
from edgeax.formats.points import Points

FUNCTIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-np.clip(x, -80, 80))),
    "step": lambda x: np.where(x >= 0.1, 3, 0),
}
POINTS = np.float32([-0.9, -0.3, 0.0, 0.2, 0.7, 2.5])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rikr17_searched_in_a_table_an_activation_gives_the_code_of_its_value(name):
    function = FUNCTIONS[name]
    found = boundaries(function, POINTS)
    sums = np.random.default_rng(0).normal(0, 3, 4000).astype(np.float32)
    edges = found[np.isfinite(found)]
    around = [edges, np.nextafter(edges, np.float32(9)), np.nextafter(edges, np.float32(-9))]
    sums = np.concatenate([sums, *around, np.float32([0, -0.0, 3e38, -3e38])])
    expected = Points(6).encode(np.asarray(function(sums), np.float32), {"points": POINTS})
    assert np.array_equal(np.searchsorted(found, sums, side="right"), expected)


def test_boundaries_are_those_worked_out_by_hand():
    # Middles -0.6, -0.15, 0.1, 0.45, 1.6: a ReLU is above the first two everywhere.
    found = boundaries(FUNCTIONS["relu"], POINTS)
    assert found[:2].tolist() == [-np.inf, -np.inf]
    assert found[2:] == pytest.approx([0.1, 0.45, 1.6], rel=1e-6)
    found = boundaries(FUNCTIONS["tanh"], POINTS)
    assert found[:4] == pytest.approx(np.arctanh([-0.6, -0.15, 0.1, 0.45]), rel=1e-6)
    assert found[4] == np.inf  # it never reaches 1.6


@pytest.mark.parametrize("name", ["softmax", "swish", "gelu"])
def test_what_no_table_can_stand_for_is_refused(name):
    function = keras.activations.get(name)

    def on_arrays(x):
        return np.asarray(function(keras.ops.convert_to_tensor(x[None])))[0]

    reason = "depend on each other" if name == "softmax" else "fall at"
    assert reason in why_no_table(on_arrays)
    with pytest.raises(ValueError, match=f"`function` must work on each value.*{reason}"):
        boundaries(on_arrays, POINTS)


SIZES = [((3,), (9,)), ((2,), (6,)), ((3, 3), (6, 5)), ((2, 3), (5, 7)), ((1, 1), (4, 4))]


@pytest.mark.parametrize("size, places", SIZES)
@pytest.mark.parametrize("stride, step", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_window_sees_what_a_convolution_multiplies(size, places, stride, step, padding):
    codes = np.random.default_rng(0).integers(1, 9, (2, *places, 3))
    kernel = np.random.default_rng(1).integers(-4, 5, (*size, 3, 4))
    window = Window(size, (stride,) * len(size), (step,) * len(size), padding == "same")
    columns = window.columns(codes, zero=0)
    expected = keras.ops.conv(
        codes.astype("float32"),
        kernel.astype("float32"),
        strides=stride,
        padding=padding,
        dilation_rate=step,
    )
    assert np.array_equal(columns @ kernel.reshape(-1, 4), np.asarray(expected))


def layer(**kwargs):
    points = np.float32([-1.0, 0.0, 0.5, 2.0])
    rng = np.random.default_rng(0)
    return LookupLayer(
        points,
        product_table(rng.integers(-3, 4, (4, 3)) / 4, points),
        rng.integers(0, 3, (18, 4)),
        np.float32([0.5, 0, -1, 2]),
        **kwargs,
    )


def test_a_dense_layer_takes_codes_of_any_rank():
    made = layer()
    codes = np.random.default_rng(1).integers(0, 4, (5, 2, 18))
    whole = made.sums(codes)
    assert whole.shape == (5, 2, 4)
    assert np.array_equal(made.sums(codes[3]), whole[3])
    assert made.codes_of(np.float32([[-0.6, 0.1, 9.0]])).tolist() == [[0, 1, 3]]


def test_padding_is_looked_up_as_zero():
    made = layer(window=Window((3, 3), (1, 1), (1, 1), True))
    codes = np.random.default_rng(1).integers(0, 4, (1, 4, 4, 2))
    padded = np.pad(codes, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=1)
    valid = layer(window=Window((3, 3), (1, 1), (1, 1), False))
    assert np.array_equal(made.sums(codes), valid.sums(padded))


def test_outputs_are_looked_up_where_they_have_points():
    found = boundaries(FUNCTIONS["relu"], POINTS)
    made = layer(output_points=POINTS, boundaries=found)
    sums = np.float32([[-3.0, 0.2, 0.5, 4.0]])
    assert POINTS[made.outputs(sums)] == pytest.approx(np.float32([[0.0, 0.2, 0.7, 2.5]]))
    with pytest.raises(ValueError, match="`outputs` must be clustered.*ClusterActivations"):
        layer().outputs(sums)


def test_size_counts_codes_tables_and_bias():
    # 18 * 4 codes of 2 bits; 4 points, 4 * 3 * 4 products, 4 biases.
    assert layer().size_bits == 18 * 4 * 2 + 32 * (4 + 48 + 4)
    found = boundaries(FUNCTIONS["relu"], POINTS)
    made = layer(output_points=POINTS, boundaries=found)
    assert made.size_bits == layer().size_bits + 32 * (6 + 5)


def test_sums_are_those_of_each_place():
    made = layer()
    codes = np.random.default_rng(2).integers(0, 4, (3, 18))
    for row, output in itertools.product(range(3), range(4)):
        total = np.float32(0)
        for place in range(18):
            total += made.table[output, made.codes[place, output], codes[row, place]]
        assert made.sums(codes)[row, output] == total + made.bias[output]
