"""Layers of inputs on points: two steps, and programs that give what interpreters give."""

import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.operators.looked_up import add_points
from tests.runtime.mcu import generated, native_steps
from tests.runtime.mcu.packed_cases import node_of
from tests.tflite_kernels import models, random_cases

CONV, DENSE = "EdgeaxLookupConv2D", "EdgeaxLookupFullyConnected"


def file_of(operator: str, seed: int, **changes) -> bytes:
    drawn = random_cases.draw(operator, seed)
    for name, value in changes.items():
        setattr(drawn, name, value)
    return models.model_of(drawn).write()


def test_codes_become_their_points_first():
    drawn = random_cases.draw(DENSE, 1)
    node = node_of(models.model_of(drawn).write(), "host", "double")
    points, layer = HANDLERS[DENSE](node)
    assert points.kernel == "Lookup" and points.in_place == ((0, 0),)
    assert points.writes == layer.reads
    every = np.arange(-128, 128).astype(np.int8)
    made = native_steps.run(
        points, [np.resize(every, drawn.input.shape)], (drawn.input.shape, "int8")
    )
    assert np.array_equal(made.reshape(-1), np.resize(drawn.points, drawn.input.size))


def test_scale_and_zero_point_of_the_input_are_not_looked_at():
    _, one = HANDLERS[CONV](node_of(file_of(CONV, 2), "host", "double"))
    _, other = HANDLERS[CONV](
        node_of(file_of(CONV, 2, input_scale=7.5, input_zero_point=-5), "host", "double")
    )
    layers = [step.arguments.fields["layer"].fields for step in (one, other)]
    assert layers[0]["input_zero_point"] == layers[1]["input_zero_point"] == 0
    for name in ("multiplier", "shift"):
        left, right = (layer["factors"].fields[name].data for layer in layers)
        assert np.array_equal(left, right)


@pytest.mark.parametrize("rounding", ["double", "single"])
@pytest.mark.parametrize("operator", [CONV, DENSE])
def test_a_program_gives_what_the_interpreter_gives(operator, rounding, tmp_path):
    outcome = generated.run(file_of(operator, 4), tmp_path / "net", rounding=rounding)
    assert generated.is_success(outcome)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"points": np.zeros(255, np.int8)}, "its points must have the shape"),
        ({"codebook": np.zeros((3, 16), np.int8)}, "its codebooks must be a power of two"),
    ],
)
def test_damaged_layers_are_refused_with_their_place(changes, words, tmp_path):
    with pytest.raises(ValueError, match=f"operator 0 {DENSE}, y: {words}"):
        generated.report(file_of(DENSE, 3, **changes), tmp_path / "net")


def test_a_layer_without_points_is_refused():
    graph = Model.from_bytes(file_of(DENSE, 3)).subgraphs[0]
    graph.operators[0].inputs = graph.operators[0].inputs[:5]
    add_points(graph)
    assert len(graph.operators[0].inputs) == 5
