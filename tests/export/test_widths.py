"""Widths: 16 bits for all or for none, and one grid for what a concatenation joins."""

import keras
import pytest

import edgeax
from edgeax.export.freeze import freeze
from tests.export.networks import normal, sequential, trained

layers = keras.layers


def rounded(model, **outputs):
    """A compressed model, the outputs of whose layers have these formats."""
    rules = [edgeax.Rule(f"^{name}$", output=format) for name, format in outputs.items()]
    return edgeax.compress(model, edgeax.Recipe(rules))


def test_one_tensor_of_16_bits_gives_all_others_that_width():
    plain = sequential(keras.Input((4,)), layers.Dense(3, name="first"), layers.Dense(2))
    x = normal(8, 4)
    frozen = freeze(trained(rounded(plain, first="int16"), x), [x], integer=True)
    assert {point.grid.bits for point in frozen.points} == {16}
    for point in frozen.points:
        low, high = point.grid.extremes
        assert low == -high  # the zero point is 0


def test_training_with_16_bits_here_and_8_there_is_refused():
    plain = sequential(
        keras.Input((4,)), layers.Dense(3, name="first"), layers.Dense(2, name="last")
    )
    model = trained(rounded(plain, first="int16", last="int8"), normal(8, 4))
    with pytest.raises(ValueError, match="all activations to 'int16'.*fewer bits at 'last'"):
        freeze(model, [normal(8, 4)], integer=True)


def test_what_a_wide_concatenation_joins_has_the_widest_grid():
    given = keras.Input((4,), name="given")
    small, large = layers.Dense(3, name="small")(given), layers.Dense(3, name="large")(given)
    both = layers.Concatenate(name="both")([small, large])
    model = keras.Model(given, layers.Dense(2)(both))
    model.get_layer("large").kernel.assign(100.0 * model.get_layer("large").kernel)
    frozen = freeze(model, [normal(8, 4)], integer=True, wide=True)
    grids = {point.path: point.grid for point in frozen.points}
    assert grids["small"] == grids["large"] == grids["both"]
    alone = freeze(keras.Model(given, small), [normal(8, 4)], integer=True, wide=True)
    assert grids["small"].step > 10 * alone.points[-1].grid.step
