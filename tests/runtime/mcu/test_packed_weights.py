import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.formats.layer_shape import conv, fully_connected
from edgeax.formats.operators import OPERATORS
from edgeax.runtime import drawn_layers
from edgeax.runtime.mcu.packed_weights import NAMES, weights_of
from edgeax.runtime.operator_files import custom_file

DRAWS = {
    "codebook": drawn_layers.codebook(4),
    "ternary": drawn_layers.integers(2, -1, 1),
    "sparse": drawn_layers.blocks(4, 1, 4),
    "vector": drawn_layers.sub_vectors(16, 8),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("shape", [conv(3, 16, 24, 5), fully_connected(48, 20)], ids=["2d", "fc"])
def test_the_codes_that_were_packed_come_back(name, shape):
    layer = DRAWS[name](shape, np.random.default_rng(0))
    scale = np.linspace(0.01, 0.02, shape.outputs, dtype=np.float32)
    options = drawn_layers.as_options(layer, shape)
    graph = Model.from_bytes(custom_file(shape, layer.weights, scale, **options)).subgraphs[0]
    found = weights_of(graph.operators[0], graph.tensors)
    assert (found.codes == layer.weights).all() and (found.scale == scale).all()
    assert found.bias.size == shape.outputs and found.options["output_max"] == 127


def test_all_operators_with_int8_codes_are_named():
    others = {"Binary", "SignSum", "Float", "Lookup"}  # bits, floats, inputs on points
    expected = {n for n in OPERATORS if not any(n.startswith(f"Edgeax{o}") for o in others)}
    assert expected <= {*NAMES}
