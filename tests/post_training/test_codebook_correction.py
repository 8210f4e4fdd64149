"""Codewords and assignments that keep the outputs of layers."""

import itertools

import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats.vector_codebook import TABLES
from edgeax.post_training.codebook_correction import (
    CodebookCorrection,
    Codewords,
    conjugate_gradients,
    vector_cluster,
)
from edgeax.post_training.kernels import error
from edgeax.transforms.vector_cluster import VectorCluster
from tests.model import small_models
from tests.post_training import cases


def problem(seed=0, groups=1, places=4, length=2, outputs=12, tables=1, entries=3):
    """Codewords with random assignments, the Gram matrix of inputs that correlate, a target."""
    rng = np.random.default_rng(seed)
    size = places * length
    inputs = rng.normal(size=(groups, 200, 3)) @ rng.normal(size=(3, size))
    inputs = inputs + 0.3 * rng.normal(size=(groups, 200, size))
    gram = np.moveaxis(inputs, 1, 2) @ inputs / 200
    start = Codewords(
        rng.normal(size=(tables, entries, length)),
        rng.integers(0, entries, (groups, places, outputs)),
    )
    return start, gram, rng.normal(size=(groups, size, outputs))


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("tables", [1, 2, 4])
def test_codewords_are_those_of_least_squares(groups, tables):
    start, gram, target = problem(groups=groups, tables=tables)
    found = start.solved(gram, target)
    # The output error written out: all outputs of all inputs in one linear system.
    count = start.tables.size
    columns = []
    for place in range(count):
        unit = np.zeros(count)
        unit[place] = 1.0
        matrix = Codewords(unit.reshape(start.tables.shape), start.indices).matrix
        columns.append((np.linalg.cholesky(gram).swapaxes(1, 2) @ matrix).ravel())
    wanted = (np.linalg.cholesky(gram).swapaxes(1, 2) @ target).ravel()
    best = np.linalg.lstsq(np.array(columns).T, wanted)[0].reshape(start.tables.shape)
    used = np.unique(start.indices[:, 0]) if tables == 4 else slice(None)
    assert found.tables[0][used] == pytest.approx(best[0][used], abs=2e-3)
    least = error(Codewords(best, start.indices).matrix, target, gram)
    assert error(found.matrix, target, gram) == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("groups", [1, 2])
def test_each_place_takes_the_best_codeword_beside_the_others(groups):
    start, gram, target = problem(groups=groups, places=1, outputs=6)
    found = start.reassigned(gram, target)
    for group, output in itertools.product(range(groups), range(6)):
        errors = [
            error(
                start.tables[0][k][None, :, None],
                target[group : group + 1, :, output : output + 1],
                gram[group : group + 1],
            )
            for k in range(3)
        ]
        assert found.indices[group, 0, output] == np.argmin(errors)


def test_in_the_end_no_single_sub_vector_can_do_better():
    start, gram, target = problem()
    found = start
    for _ in range(20):
        found = found.reassigned(gram, target)
    least = error(found.matrix, target, gram)
    for place, output, k in itertools.product(range(4), range(12), range(3)):
        other = Codewords(found.tables, found.indices.copy())
        other.indices[0, place, output] = k
        assert error(other.matrix, target, gram) >= least - 1e-9


@pytest.mark.parametrize("tables", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_wlw15_the_outputs_err_no_more_than_by_plain_k_means(tables, seed):
    start, gram, target = problem(seed, groups=1 + seed % 2, tables=tables)
    errors = [error(start.corrected(gram, target, r).matrix, target, gram) for r in range(6)]
    assert errors[0] == error(start.matrix, target, gram)
    assert all(later <= former for former, later in itertools.pairwise(errors))
    assert errors[-1] < 0.7 * errors[0]


def test_conjugate_gradients_solve_a_system():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    matrix, wanted = root @ root.T + np.eye(6), rng.normal(size=6)
    found = conjugate_gradients(lambda x: matrix @ x, wanted, np.diag(matrix))
    assert found == pytest.approx(np.linalg.solve(matrix, wanted), rel=1e-4)
    assert not np.any(conjugate_gradients(lambda x: matrix @ x, 0 * wanted, np.diag(matrix)))


def corrected(model, samples, corrections, tables="per_input", clusters=6, length=2):
    rule = edgeax.Rule(".*", kernel=VectorCluster(clusters, length, tables, at_most=True))
    return edgeax.quantize(model, samples, edgeax.Recipe([rule]), corrections=corrections)


def output_error(quantized, model, samples):
    difference = np.asarray(quantized(samples)) - np.asarray(model(samples))
    return float(np.mean(difference**2))


@pytest.mark.parametrize("tables", TABLES)
def test_a_whole_model_keeps_its_outputs_better(tables):
    model, samples = cases.dense_pair()
    plain = output_error(corrected(model, samples, (), tables), model, samples)
    found = corrected(model, samples, CodebookCorrection(), tables)
    assert output_error(found, model, samples) < 0.6 * plain
    cluster = vector_cluster(found.get_layer("first"))
    values = np.asarray(edgeax.strip(found).get_layer("first").kernel)
    for vectors in cluster.number_format.cut(values):
        assert len(np.unique(vectors, axis=0)) <= 6


def correlated_chain(seed):
    """Three layers whose inputs correlate, and samples of two draws."""
    keras.utils.set_random_seed(seed)
    dense = [keras.layers.Dense(24, activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((16,)), *dense, keras.layers.Dense(6)])
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(5, 16)) / 2
    samples = rng.normal(size=(600, 5)) @ mixing + 0.5 + 0.1 * rng.normal(size=(600, 16))
    return model, samples[:400].astype(np.float32), samples[400:].astype(np.float32)


def test_wlw15_correcting_with_the_inputs_of_the_corrected_layers_beats_the_float_models():
    errors = []
    for seed in range(2):
        model, samples, held = correlated_chain(seed)
        errors.append(
            [
                output_error(corrected(model, samples, step, "per_position"), model, held)
                for step in (CodebookCorrection(), CodebookCorrection(sequential=False), ())
            ]
        )
    sequential, with_float_inputs, plain = np.mean(errors, axis=0)
    assert sequential < 0.8 * with_float_inputs
    assert with_float_inputs < plain


def test_convolutions_are_corrected_depthwise_ones_too():
    model, samples = small_models.convolutional(), small_models.images(64)
    recipe = edgeax.Recipe(
        [
            edgeax.Rule("conv", kernel=VectorCluster(4, 2, "per_input")),
            edgeax.Rule("depthwise", kernel=VectorCluster(3, 3)),
        ]
    )
    plain = edgeax.quantize(model, samples, recipe)
    found = edgeax.quantize(model, samples, recipe, corrections=CodebookCorrection())
    kernels = [np.asarray(m.get_layer("depthwise").layer.kernel) for m in (plain, found)]
    assert not np.array_equal(*kernels)
    assert output_error(found, model, samples) < output_error(plain, model, samples)


def test_what_is_not_vector_clustered_is_left_out_and_said():
    model, samples = cases.dense_pair()
    recipe = edgeax.Recipe(
        [
            edgeax.Rule("first", kernel="int4"),
            edgeax.Rule("second", kernel=[VectorCluster(4, 4), edgeax.Quantize("int8")]),
        ]
    )
    with pytest.warns(UserWarning, match="codebook correction of first: its kernel is no"):
        edgeax.quantize(model, samples, recipe, corrections=CodebookCorrection())


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="`rounds` must be an integer, at least 1.*rounds=0"):
        CodebookCorrection(0)
