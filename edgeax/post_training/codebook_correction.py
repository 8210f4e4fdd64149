"""Codewords and assignments that keep the outputs of layers (Quantized-CNN, error correction)."""

import dataclasses
from collections.abc import Callable

import numpy as np

from edgeax.formats import implements
from edgeax.formats.vector_codebook import VectorCodebook
from edgeax.model.wrapper import Compressed
from edgeax.post_training.case import Case, Correction
from edgeax.post_training.kernels import error, objective, ridge_of, set_kernel
from edgeax.transforms.checks import checked_count
from edgeax.transforms.vector_cluster import VectorCluster

_TEST = "tests/post_training/test_codebook_correction.py::"
_LEAST_GAIN = 1e-4  # of the error: less ends the turns
_MOST_SOLVER_STEPS = 50
_SOLVED = 1e-10  # of the first residual


@implements("WLW15", test=_TEST + "test_wlw15_the_outputs_err_no_more_than_by_plain_k_means")
class CodebookCorrection(Correction):
    """Finds the codewords and assignments of each `VectorCluster` that keep its layer's outputs.

    `min |T - sum_m D_m b_m x_m|**2` over codewords D and assignments b, in turns: all codewords of
    a kernel by least squares, then the sub-vectors of one place after the other, each to the
    codeword that is best beside the others. T are the outputs of the float model's layer, x what
    the layers before it, corrected already, make of the samples. It starts from the k-means of the
    weights and never ends with a larger error on the samples, in which it also counts a little how
    far weights are from the float model's; see `kernels.objective`.

    Source: [WLW15], rest as recalled; there the least squares go table by table.

    Args:
        rounds: Turns at most, 1 or more.
        sequential: Whether x come from the corrected layers before; False: from the float model.

    Raises:
        ValueError: `rounds` is below 1.
    """

    needs_samples = 1

    def __init__(self, rounds: int = 20, sequential: bool = True) -> None:
        self.rounds = checked_count("rounds", rounds)
        self.sequential = bool(sequential)

    def correct(self, case: Case) -> None:
        """See `Correction.correct`."""
        what = "codebook correction"
        for path in case.progress("Codebook correction", case.linear_layers(what)):
            cluster = vector_cluster(case.layers[path])
            if cluster is None or not cluster.is_found:
                case.skip(f"{what} of {path}", "its kernel is no VectorCluster's alone")
                continue
            gram, target = self._objective(case, path)
            start = Codewords.of(case.layers[path], len(target))
            found = start.corrected(gram, target, self.rounds)
            cluster.set_codewords(found.tables)
            set_kernel(case, path, found.matrix)

    def _objective(self, case: Case, path: str) -> tuple[np.ndarray, np.ndarray]:
        moments = case.moments(path)
        if self.sequential:
            return objective(moments, case.original(path))
        return moments.teacher + ridge_of(moments.teacher, moments.rows), case.original(path)


def vector_cluster(layer: Compressed) -> VectorCluster | None:
    """Returns what alone transforms the kernel of a wrapped layer, if that is a VectorCluster."""
    for weight in layer.weight_chains:
        if weight.variable.name == "kernel":
            members = weight.chain.transforms
            only = members[0] if len(members) == 1 else None
            return only if isinstance(only, VectorCluster) else None
    return None


@dataclasses.dataclass(frozen=True, eq=False)
class Codewords:
    """A kernel as the matrix of `linear.as_matrix`, in sub-vectors of its columns.

    Attributes:
        tables: float64 `(tables, entries, length)`: the codewords.
        indices: Which of its table's codewords each sub-vector is, integers `(groups, places,
            outputs)`. The tables serve the places in turn.
    """

    tables: np.ndarray
    indices: np.ndarray

    @classmethod
    def of(cls, layer: Compressed, groups: int) -> "Codewords":
        """Returns those of a layer whose kernel a VectorCluster alone transforms.

        Args:
            layer: The layer, the codewords of its kernel found.
            groups: Of its matrix.
        """
        encoded = next(e for v, _, e in layer.freeze_weights() if v.name == "kernel")
        tables = np.asarray(encoded.params["codebook"], np.float64)
        _, entries, length = tables.shape
        codewords = VectorCodebook(entries, length).codewords(encoded.codes)
        indices = (codewords % entries).reshape(len(codewords), groups, -1)
        return cls(tables, np.moveaxis(indices, 1, 0))

    @property
    def matrix(self) -> np.ndarray:
        """The kernel, float64 `(groups, size, outputs)`."""
        return self._as_matrix(self.tables)

    def corrected(self, gram: np.ndarray, target: np.ndarray, rounds: int) -> "Codewords":
        """Returns those of a smaller `error`.

        Args:
            gram: float64 `(groups, size, size)`: mean of `x x^T` over inputs x.
            target: float64 `(groups, size, outputs)`: the matrix to stay near to.
            rounds: Turns at most.
        """
        best, least = self, error(self.matrix, target, gram)
        for _ in range(rounds):
            found = best.solved(gram, target).reassigned(gram, target)
            reached = error(found.matrix, target, gram)
            if not reached < least:
                break
            is_last = reached > (1.0 - _LEAST_GAIN) * least
            best, least = found, reached
            if is_last:
                break
        return best

    def solved(self, gram: np.ndarray, target: np.ndarray) -> "Codewords":
        """Returns the codewords of least `error` for these assignments, by conjugate gradients."""
        diagonal = np.einsum("gnn->gn", gram)[..., None]
        slopes = self._summed(np.broadcast_to(diagonal, target.shape))

        def applied(tables: np.ndarray) -> np.ndarray:
            return self._summed(gram @ self._as_matrix(tables))

        residual = self._summed(gram @ (target - self.matrix))
        move = conjugate_gradients(applied, residual, np.where(slopes > 0.0, slopes, 1.0))
        return dataclasses.replace(self, tables=self.tables + move)

    def reassigned(self, gram: np.ndarray, target: np.ndarray) -> "Codewords":
        """Returns the assignments after each place had its turn to take the best codewords."""
        length, indices = self.tables.shape[-1], self.indices.copy()
        slope = gram @ (target - self.matrix)
        for place, owner in enumerate(self._owners):
            rows, codewords = slice(place * length, (place + 1) * length), self.tables[owner]
            within, now = gram[:, rows, rows], codewords[indices[:, place]]
            wanted = slope[:, rows] + np.moveaxis(now @ within, 1, 2)
            costs = np.sum((codewords @ within) * codewords, axis=-1)[..., None] / 2.0
            costs = costs - codewords @ wanted
            chosen = np.argmin(costs, axis=1)
            gains = _at(costs, chosen) < _at(costs, indices[:, place])
            indices[:, place] = np.where(gains, chosen, indices[:, place])
            moved = codewords[indices[:, place]] - now
            slope -= gram[:, :, rows] @ np.moveaxis(moved, 1, 2)
        return dataclasses.replace(self, indices=indices)

    @property
    def _owners(self) -> np.ndarray:
        """Which table serves each place."""
        return np.arange(self.indices.shape[1]) % len(self.tables)

    def _as_matrix(self, tables: np.ndarray) -> np.ndarray:
        """Returns the matrix that has these codewords."""
        groups, places, outputs = self.indices.shape
        vectors = tables[self._owners[:, None], self.indices]
        return np.moveaxis(vectors, 3, 2).reshape(groups, places * tables.shape[-1], outputs)

    def _summed(self, matrix: np.ndarray) -> np.ndarray:
        """Returns the sum of a matrix's sub-vectors over the members of each codeword."""
        groups, places, outputs = self.indices.shape
        count, entries, length = self.tables.shape
        vectors = np.moveaxis(matrix.reshape(groups, places, length, outputs), 3, 2)
        members = (entries * self._owners[:, None] + self.indices).ravel()
        columns = vectors.reshape(-1, length).T
        sums = [np.bincount(members, column, count * entries) for column in columns]
        return np.stack(sums, axis=-1).reshape(self.tables.shape)


def _at(costs: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Returns the costs `(groups, outputs)` of one codeword for each sub-vector of a place."""
    return np.take_along_axis(costs, indices[:, None], axis=1)[:, 0]


def conjugate_gradients(
    applied: Callable[[np.ndarray], np.ndarray], wanted: np.ndarray, diagonal: np.ndarray
) -> np.ndarray:
    """Returns x of `applied(x) = wanted`, nearer with every step.

    Args:
        applied: A symmetric positive semidefinite linear map.
        wanted: float64, in its range.
        diagonal: Of about the map, the same shape, above 0.
    """
    x, residual = np.zeros_like(wanted), wanted
    direction = residual / diagonal
    product = first = float(np.sum(residual * direction))
    for _ in range(_MOST_SOLVER_STEPS):
        if product <= _SOLVED * first or product <= 0.0:
            break
        image = applied(direction)
        curvature = float(np.sum(direction * image))
        if curvature <= 0.0:
            break
        x = x + product / curvature * direction
        residual = residual - product / curvature * image
        scaled = residual / diagonal
        former, product = product, float(np.sum(residual * scaled))
        direction = scaled + product / former * direction
    return x
