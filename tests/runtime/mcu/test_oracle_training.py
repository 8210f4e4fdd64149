import dataclasses
import math

import numpy as np
import pytest

from edgeax.runtime.mcu import kernels, oracle, oracle_training
from edgeax.runtime.mcu.cpp_values import Constants
from edgeax.runtime.mcu.dense_training import Rule
from edgeax.runtime.mcu.oracle_training import DenseOracle
from edgeax.runtime.mcu.program import Array
from tests.emulation import process
from tests.runtime.mcu import kernel_files, networks, training_files

ALL = Rule(rate_bits=0, dead_zone=0, least_error=0, seed=1)
MAIN = """
#include <stdio.h>
#include "tflite_kernels/micro/dense_training.h"
using edgeax::micro::DenseTrainingArgs;
{constants}
int main() {{
  int32_t errors[10];
  for (int label = 0; label < 10; ++label) {{
    printf("%d", static_cast<int>(edgeax::micro::DenseErrors(args, scores, label, errors)));
    for (int32_t error : errors) printf(" %d", static_cast<int>(error));
    printf("\\n");
  }}
}}
"""


def layer(rule=ALL):
    return training_files.last_layer(training_files.classifier(), rule)


def features(seed=0):
    return np.random.default_rng(seed).integers(-128, 128, 48).astype(np.int8)


@pytest.mark.parametrize("x", [1 << 15, 40_000, 65_535, 65_536, 1_234_567, (1 << 27) - 1])
def test_a_logarithm_is_that_of_real_numbers(x):
    assert oracle_training._log2(x) == pytest.approx(math.log2(x) * 2**16, abs=1.01)


def test_scores_are_those_of_the_interpreter():
    rng = np.random.default_rng(3)
    data = networks.dense_chain()
    last = DenseOracle(training_files.last_layer(data, ALL))
    for _ in range(20):
        x = rng.integers(-128, 128, (1, 12)).astype(np.int8)
        (hidden,) = oracle.outputs_of(_first_layer(data), [x], "double")
        (wanted,) = oracle.outputs_of(data, [x], "double")
        np.testing.assert_array_equal(last.scores(hidden), wanted[0])


def _first_layer(data):
    model = training_files.File.from_bytes(data)
    graph = model.subgraphs[0]
    graph.outputs = [graph.operators[0].outputs[0]]
    graph.operators = graph.operators[:1]
    return model.to_bytes()


def test_errors_and_loss_are_those_of_a_softmax():
    scores = np.int8([-60, 3, 40, 41, 12, -128, 0, 7, 127, 100])
    real = 0.1 * scores.astype(float)
    p = np.exp(real) / np.exp(real).sum()
    for label in range(10):
        errors, loss = DenseOracle(layer()).errors(scores, label)
        wanted = p - (np.arange(10) == label)
        # Half a unit from each of 10 exponentials, and from the quotient.
        np.testing.assert_allclose(errors / 2**15, wanted, atol=5.5 / 2**15)
        # The step of a code is off by up to half a unit, and there are up to 255.
        assert loss / 2**16 == pytest.approx(-math.log(p[label]), abs=128 / 2**16)


def test_every_weight_moves_one_code_against_its_gradient():
    found, codes = layer(), features()
    twin = DenseOracle(found)
    errors, _ = twin.errors(twin.scores(codes), 4)
    twin.train(codes, 4)
    wanted = -np.sign(errors[:, None] * (codes.astype(int) + 128))
    np.testing.assert_array_equal(twin.weights.astype(int) - found.weights, wanted)
    # An input of 1.0 is a code of 100 above the zero point: its scale is 0.01.
    np.testing.assert_array_equal(twin.bias - found.bias, -100 * np.sign(errors))


def test_small_gradients_and_errors_rest():
    codes = features()
    twin = DenseOracle(layer(Rule(0, 128, 1 << 13, 1)))
    before = twin.weights.astype(int)
    errors, _ = twin.errors(twin.scores(codes), 4)
    twin.train(codes, 4)
    inputs = codes.astype(int) + 128
    sizes = np.abs(errors[:, None] * inputs)
    large = (2 * sizes >= sizes.max()) & (np.abs(errors)[:, None] >= 1 << 13)
    assert 0 < large.sum() < large.size
    np.testing.assert_array_equal(twin.weights != before, large)


def test_weights_stay_in_their_range():
    found = layer()
    weights, bias = np.full_like(found.weights, 127), np.full_like(found.bias, 2**30 - 50)
    twin = DenseOracle(dataclasses.replace(found, weights=weights, bias=bias))
    for _ in range(3):
        twin.train(features(), 2)
    assert np.all(twin.weights[2] == 127) and twin.bias[2] == 2**30


def test_a_share_of_the_weights_is_drawn():
    found = layer(Rule(rate_bits=3, dead_zone=0, least_error=0, seed=1))
    twin, codes = DenseOracle(found), features()
    twin.train(codes, 4)
    share = np.count_nonzero(twin.weights != found.weights) / found.weights.size
    assert share == pytest.approx(1 / 8, abs=0.05)


def test_xorshift_is_that_of_the_literature():
    twin = DenseOracle(layer(Rule(1, 0, 0, 1)))
    drawn = []
    for _ in range(3):
        twin._is_drawn()
        drawn.append(twin._random)
    assert drawn == [270369, 67634689, 2647435461]  # Marsaglia's 13, 17, 5 from 1


@pytest.mark.parametrize("seed", range(3))
def test_errors_and_loss_are_those_of_the_kernel(tmp_path, seed):
    scores = np.random.default_rng(seed).integers(-30, 30, 10).astype(np.int8)
    constants = Constants()
    constants.array(0, Array("scores", scores))
    constants.arguments(0, layer().struct())
    text = constants.text.replace("k0_", "")
    (tmp_path / "main.cc").write_text(MAIN.format(constants=text))
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{kernels.folder()}"]
    sources = [tmp_path / "main.cc", *kernel_files.sources(["dense_training.h"])]
    process.compile_or_raise(["g++", *flags, *sources, "-o", tmp_path / "main"])
    lines = process.run([tmp_path / "main"], timeout_s=20).output.splitlines()
    for label, line in enumerate(lines):
        errors, loss = DenseOracle(layer()).errors(scores, label)
        assert [int(word) for word in line.split()] == [loss, *errors.tolist()]
    assert len(lines) == 10
