import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.rounding import FixedRange, Formatted, Grid, InFormat, trained_rounding
from edgeax.formats import Integer
from edgeax.formats.levels import LevelFormat
from edgeax.formats.names import format_of, names

X = np.linspace(-3, 3, 1001, dtype=np.float32) + np.float32(1e-4)  # beside all halves


@pytest.mark.parametrize(
    "format, low, high, expected",
    [
        # 4 bits over [0, 6]: steps of 0.4, 16 of the 256 codes.
        (Integer(4, symmetric=False), 0.0, 6.0, ((0.0, 102.0), 6.0)),
        # 2 bits over [-1, 2]: steps of 1.
        (Integer(2, symmetric=False), -1.0, 2.0, ((-1.0, 254.0), 2.0)),
        # Symmetric 3 bits: codes -3 to 3 of a step of 0.5.
        (Integer(3), -1.5, 0.75, ((-1.5, 126.0), 1.5)),
    ],
)
def test_fewer_bits_are_the_lowest_codes_of_an_8_bit_grid(format, low, high, expected):
    grid = Grid.of(format, low, high)
    extremes, top = expected
    np.testing.assert_allclose(grid.extremes, extremes, rtol=1e-6)
    assert grid.top == pytest.approx(top) and grid.bits == 8


def test_8_bits_keep_their_range_and_16_bits_are_symmetric():
    assert Grid.of(Integer(8, symmetric=False), -1.0, 3.0).extremes == (-1.0, 3.0)
    assert Grid.of(Integer(8, symmetric=False), -1.0, 3.0).top is None
    wide = Grid.of(Integer(16), -1.0, 3.0)
    assert (wide.extremes, wide.bits) == ((-3.0, 3.0), 16)
    assert wide.step == 3.0 / 32767


@pytest.mark.parametrize(
    "grid, extremes, top",
    [
        (Grid((0.0, 1e-6)), (0.0, 51.0), None),  # as calibration leaves it
        (Grid.of(Integer(8, symmetric=False), 0.0, 1e-6), (0.0, 51.0), None),
        (Grid.of(Integer(8), 0.0, 1e-6), (-25.4, 25.6), 25.4),
        (Grid.of(Integer(4), 0.0, 1e-6), (-1.4, 49.6), 1.4),
    ],
)
def test_a_grid_of_nothing_but_zeros_takes_another_step(grid, extremes, top):
    filled = grid.filled(0.2)
    assert filled.step == pytest.approx(0.2)
    np.testing.assert_allclose(filled.extremes, extremes, rtol=1e-6)
    assert filled.top == (top and pytest.approx(top)) and filled.trained == grid.trained


@pytest.mark.parametrize(
    "grid",
    [
        Grid((0.0, 2e-6)),
        Grid((-1e-3, 1e-6)),  # nothing but negative values
        Grid.wide(0.0, 1e-6),  # XNNPACK has no part in 16 bits
        Grid.prescribed((0.0, 1e-6), wide=False),
    ],
)
def test_other_grids_keep_their_step(grid):
    assert grid.filled(0.2) is grid


def test_widths_without_operators_are_refused():
    with pytest.raises(ValueError, match="at most 8 bits or to 'int16'.*Received: 12 bits"):
        Grid.of(Integer(12), -1.0, 1.0)


@pytest.mark.parametrize("bits", range(2, 8))
def test_a_layer_of_fewer_bits_rounds_as_training_does(bits):
    format = Integer(bits, symmetric=False)
    grid = Grid.of(format, -0.7, 2.1)
    params = format.fit(np.float32([-0.7, 2.1]))
    trained = format.decode(format.encode(X, params), params)
    np.testing.assert_allclose(grid.layer(None)(X), trained, atol=1e-5)
    assert len(np.unique(trained)) == 2**bits


def test_a_prescribed_range_is_2_to_the_minus_15_in_16_bits():
    wide = Grid.prescribed((0.0, 255 / 256), wide=True)
    assert wide.step == 2.0**-15 and wide.is_prescribed


@pytest.mark.parametrize(
    "name", [name for name in names() if isinstance(format_of(name), LevelFormat)]
)
def test_built_in_operators_find_the_levels_that_the_format_does(name):
    format = format_of(name)
    params = format.fit(np.float32([-3.0, 3.0]))
    expected = format.decode(format.encode(X, params), params)
    np.testing.assert_array_equal(InFormat(format, params)(X), expected)


def test_a_layers_trained_rounding_is_found():
    rule = edgeax.Rule(".*", input=edgeax.Quantize("int4"), output=edgeax.Quantize("log4"))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    model = edgeax.compress(model, edgeax.Recipe([rule]))
    layer = model.get_layer("dense")
    assert trained_rounding(layer, "output") is None  # no batch was seen yet
    model(np.float32([[-1, 2, 3]]), training=True)
    assert isinstance(trained_rounding(layer, "input"), Grid)
    found = trained_rounding(layer, "output")
    assert isinstance(found, Formatted) and found.format == format_of("log4")
    assert trained_rounding(layer, "before_activation") is None
    assert trained_rounding(keras.layers.Dense(1), "output") is None


def test_a_fixed_range_survives_its_configuration():
    layer = FixedRange(-1.0, 3.0, top=2.0, bits=8, name="one")
    again = FixedRange.from_config(layer.get_config())
    np.testing.assert_array_equal(again(X), layer(X))
    assert again.get_config() == layer.get_config()
