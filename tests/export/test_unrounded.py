"""Unrounded: who rounds a result, the layer that makes it or the one that reads it."""

import keras
import pytest

import edgeax
from edgeax.export.freeze import freeze
from tests.export.networks import normal, sequential, trained

layers = keras.layers


def paths(plain, *rules):
    model = trained(edgeax.compress(plain, edgeax.Recipe([*rules])), normal(8, 4))
    return [point.path for point in freeze(model, [normal(8, 4)], integer=True).points]


def chain(*between):
    first, second = layers.Dense(6, name="first"), layers.Dense(2, name="second")
    return sequential(keras.Input((4,), name="given"), first, *between, second)


@pytest.mark.parametrize("between", [(), (layers.Reshape((3, 2)), layers.Flatten())])
def test_the_only_reader_rounds_what_nobody_said_how_to_round(between):
    found = paths(chain(*between), edgeax.Rule("^second$", input="int8"))
    assert "second/input" in found and "first" not in found


def test_a_rounding_that_was_trained_stays_where_it_is():
    rules = edgeax.Rule("^first$", output="int8"), edgeax.Rule("^second$", input="int4")
    found = paths(chain(), *rules)
    assert "first" in found and "second/input" in found


def test_of_two_readers_none_rounds_for_the_other():
    given = keras.Input((4,), name="given")
    first = layers.Dense(6, name="first")(given)
    model = keras.Model(given, [layers.Dense(2, name="second")(first), layers.Dense(2)(first)])
    found = paths(model, edgeax.Rule("^second$", input="int8"))
    assert "first" in found and "second/input" in found
