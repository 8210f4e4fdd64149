"""Products of signs in numpy give what the oracle of kernels does."""

import dataclasses

import numpy as np
import pytest

from edgeax.formats import rounding
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu import oracle_signs
from tests.runtime.mcu import packed_cases
from tests.tflite_kernels import models, oracle, random_cases, sign_sum_cases


def computed(content: bytes, codes: np.ndarray, kind: str) -> np.ndarray:
    """Returns what is found for a file of one operator."""
    graph = Model.from_bytes(content).subgraphs[0]
    x = graph.tensors[graph.inputs[0]]
    return oracle_signs.signs(graph, graph.operators[0], codes.view(x.dtype), kind)


@pytest.mark.parametrize("kind", rounding.KINDS)
@pytest.mark.parametrize("operator", packed_cases.BINARY)
def test_binary_layers_are_those_of_the_kernels_oracle(operator, kind):
    for seed in range(8):
        drawn = dataclasses.replace(random_cases.draw(operator, seed), kind=kind)
        found = computed(models.model_of(drawn).write(), drawn.input, kind)
        np.testing.assert_array_equal(found.view(np.int8), oracle.run(drawn))


@pytest.mark.parametrize("operator", [sign_sum_cases.CONV2D, sign_sum_cases.FULLY_CONNECTED])
def test_sums_of_signs_are_those_of_the_kernels_oracle(operator):
    for seed in range(8):
        drawn = sign_sum_cases.draw(operator, seed)
        found = computed(drawn.model().write(), drawn.input, "single")
        np.testing.assert_array_equal(found, drawn.expected())


def test_pools_are_those_of_numpy():
    for content, bits, expected in packed_cases.pools(6):
        np.testing.assert_array_equal(computed(content, bits, "double"), expected)
