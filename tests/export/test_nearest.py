import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.nearest import Nearest, WholeNearest, as_nearest
from edgeax.export.rounding import Formatted
from edgeax.formats import Points, arrays
from edgeax.formats.binary import Binary
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.interpreter import Interpreter
from tests.export.networks import normal, sequential

layers = keras.layers


def on_points(values):
    return Formatted(Points(len(values)), {"points": np.float32(values)})


def test_the_table_of_codes_is_the_one_worked_out_by_hand():
    # Middles at -0.5 and 1; a step of the points is 2 / 127, so that -1 is the code -63.5.
    table = Nearest((-1.0, 0.0, 2.0)).table(scale=0.25, zero_point=1)
    found = {code: int(table[code + 128]) for code in (-128, -2, -1, 0, 1, 5, 6, 127)}
    assert found == {-128: -64, -2: -64, -1: -64, 0: 0, 1: 0, 5: 0, 6: 127, 127: 127}
    assert table.shape == (256,) and table.dtype == np.int8


def test_the_layer_gives_the_points_of_the_format_ties_too():
    rounding = on_points([-1.5, -0.25, 0.0, 0.5, 0.5, 2.0])
    values = np.arange(-256, 257, dtype=np.float32).reshape(3, -1) / 64
    nearest = as_nearest(rounding)
    assert nearest.points == (-1.5, -0.25, 0.0, 0.5, 2.0)
    wanted = rounding.format.rounded(values, rounding.params, arrays)
    np.testing.assert_array_equal(WholeNearest(nearest)(values), wanted)
    places = np.searchsorted(nearest.ends, values, side="right")
    np.testing.assert_array_equal(np.float32(nearest.levels)[places], wanted)


def test_the_grid_of_the_points_holds_zero_and_the_largest():
    grid = Nearest((0.0, 0.3, 2.54)).grid
    assert grid.step == pytest.approx(0.02)
    assert grid.extremes == pytest.approx((-2.56, 2.54))


@pytest.mark.parametrize(
    "rounding",
    [
        None,
        Formatted(Binary("none"), {}),
        Formatted(Points(2), {"points": np.float32([0, 1]), "scale": np.float32([1, 2])}),
        on_points([0.0, 0.0]),
    ],
    ids=str,
)
def test_other_roundings_are_to_no_points(rounding):
    assert as_nearest(rounding) is None


def trained(model, recipe, samples):
    compressed = edgeax.compress(model, recipe)
    compressed(samples, training=True)
    return compressed


def test_built_in_operators_look_the_points_up_where_no_custom_ones_may_be(tmp_path):
    model = sequential(keras.Input((6,)), layers.Dense(5, activation="relu", name="dense"))
    recipe = edgeax.Recipe([edgeax.Rule(".*", output=edgeax.ClusterActivations(4))])
    samples = normal(32, 6)
    compressed = trained(model, recipe, samples)
    path = tmp_path / "m.tflite"
    result = edgeax.export(compressed, path, samples, runtime="stock", measure=False)
    assert result.stays_float == ()
    names = [
        operator.name for operator in Model.from_bytes(path.read_bytes()).subgraphs[0].operators
    ]
    assert names == ["QUANTIZE", "FULLY_CONNECTED", "CAST", "ADD", "GATHER", "DEQUANTIZE"]
    run = Interpreter(model_content=path.read_bytes())
    found = np.concatenate([run.run(x[None]) for x in samples])
    points = compressed.layers[-1].quantizer("output").activation_params()["points"]
    step = np.max(np.abs(points)) / 127
    away = np.abs(found[..., None] - np.asarray(points)).min(axis=-1)
    assert away.max() <= 0.51 * step
    assert np.mean(np.abs(found - compressed.predict(samples, verbose=0)) <= 0.51 * step) > 0.9


def test_values_that_are_no_integers_are_compared(tmp_path):
    """A format that the file has no integers for stands before."""
    model = sequential(
        keras.Input((6,)), layers.Dense(5, name="first"), layers.Dense(4, name="second")
    )
    rules = [
        edgeax.Rule("first", output="fp8_e4m3"),
        edgeax.Rule("second", kernel="int8", input=edgeax.ClusterActivations(4)),
    ]
    samples = normal(32, 6)
    compressed = trained(model, edgeax.Recipe(rules), samples)
    path = tmp_path / "m.tflite"
    edgeax.export(compressed, path, samples, measure=False)
    names = [
        operator.name for operator in Model.from_bytes(path.read_bytes()).subgraphs[0].operators
    ]
    assert names.count("SELECT_V2") == 3
    run = Interpreter(model_content=path.read_bytes())
    found = np.concatenate([run.run(x[None]) for x in samples])
    away = np.abs(found - compressed.predict(samples, verbose=0)).max(axis=1)
    assert np.mean(away < 0.05) > 0.9  # of a value near a middle the other point may be taken
