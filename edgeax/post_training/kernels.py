"""Kernels of a case on integer grids, seen as matrices, and changes to them."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from edgeax.formats import Integer
from edgeax.formats.names import described
from edgeax.model.layout import layout_of
from edgeax.post_training.case import Case, kernel_quantizer
from edgeax.post_training.linear import Moments, as_kernel

_MOST_SWEEPS = 50
_LEAST_GAIN = 1e-6  # of a step
_RIDGE = 1e-2  # least, of the mean of the diagonal


@dataclasses.dataclass(frozen=True, eq=False)
class GridKernel:
    """A kernel on a symmetric integer grid, as the matrix of `linear.as_matrix`.

    Attributes:
        path: Path of its layer.
        original: float64 `(groups, size, outputs)`: the float model's.
        rounded: The same as the rounded model has it.
        step: float64 `(groups, 1, outputs)`: the step of each output channel.
        top: The largest code.
        per_channel: Whether each output channel has a step of its own.
    """

    path: str
    original: np.ndarray
    rounded: np.ndarray
    step: np.ndarray
    top: int
    per_channel: bool


def grid_kernels(case: Case, title: str, what: str) -> Iterator[GridKernel]:
    """Yields the kernels that lie on integer grids, in the order of their layers, and shows how far
    it is; the others are noted.

    Args:
        case: The case.
        title: What is shown.
        what: What they are asked for.
    """
    for path in case.progress(title, case.linear_layers(what)):
        kernel = grid_kernel(case, path, what)
        if kernel is not None:
            yield kernel


def grid_kernel(case: Case, path: str, what: str) -> GridKernel | None:
    """Returns the kernel of a layer; None, and a note, where it lies on no integer grid.

    Args:
        case: The case.
        path: Path of a linear layer.
        what: What it is asked for.
    """
    layer = case.layers[path]
    quantizer = kernel_quantizer(layer)
    format = None if quantizer is None else quantizer.number_format
    if quantizer is not None and isinstance(format, Integer) and quantizer.limit is None:
        case.skip(f"{what} of {path}", "its kernel gets a range that is fixed")
        return None
    if quantizer is None or not isinstance(format, Integer) or quantizer.limit is None:
        name = "no format" if format is None else described(format)
        case.skip(f"{what} of {path}", f"its kernel gets {name}, which is no integer grid")
        return None
    if len(layer.weight_chains[0].chain.transforms) > 1:
        case.skip(f"{what} of {path}", "its kernel gets more transforms than its rounding")
        return None
    top = format.code_range[1]
    limit = np.maximum(np.asarray(quantizer.limit.value, np.float64), np.finfo(np.float32).tiny)
    shape = tuple(layer.layer.kernel.shape)
    channels = layout_of(layer.layer, "kernel", shape).canonical_shape[-1]
    per_output = np.broadcast_to(limit / top, (channels,))
    original = case.original(path)
    step = per_output.reshape(original.shape[0], 1, original.shape[2])
    return GridKernel(path, original, case.rounded(path), step, top, limit.ndim == 1)


def set_kernel(case: Case, path: str, matrix: np.ndarray, step: np.ndarray | None = None) -> None:
    """Gives the rounded model another kernel.

    Args:
        case: The case.
        path: Path of a linear layer.
        matrix: `(groups, size, outputs)`.
        step: Steps of its grid as `GridKernel.step`; None: the same as before.
    """
    layer = case.layers[path]
    if step is not None:
        quantizer = kernel_quantizer(layer)
        if quantizer is not None and isinstance(quantizer.number_format, Integer):
            limit = step * quantizer.number_format.code_range[1]
            per_channel = quantizer.number_format.axis == -1
            quantizer.calibrate(0.0, limit.reshape(-1) if per_channel else float(limit.flat[0]))
    layer.layer.kernel.assign(as_kernel(layer.layer, matrix))


def nearest(values: np.ndarray, step: np.ndarray, top: int) -> np.ndarray:
    """Returns values on the grid."""
    return step * np.clip(np.rint(values / step), -top, top)


def descended(
    gram: np.ndarray,
    target: np.ndarray,
    step: np.ndarray,
    top: int,
    matrix: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Returns a matrix on the grid after coordinate descent on `error`.

    Row by row, every weight goes to the code that is best beside all others, until none moves.

    Args:
        gram: float64 `(groups, size, size)`.
        target: float64 `(groups, size, outputs)`.
        step: Steps of the grid, `(groups, 1, outputs)` or what broadcasts to it.
        top: The largest code.
        matrix: Where it begins, on the grid.
        mask: `(1, size, 1)`: 0 in the rows that stay as they are; None: none does.
    """
    rows = range(target.shape[1]) if mask is None else np.flatnonzero(mask)
    unit = np.broadcast_to(step, (target.shape[0], 1, target.shape[2]))[:, 0]
    difference = matrix - target
    diagonal = np.maximum(np.einsum("gnn->gn", gram), np.finfo(np.float64).tiny)
    for _ in range(_MOST_SWEEPS):
        moved = False
        for row in rows:
            slope = np.einsum("gn,gno->go", gram[:, row], difference) / diagonal[:, row, None]
            now = difference[:, row] + target[:, row]
            best = unit * np.clip(np.rint((now - slope) / unit), -top, top)
            # Only where it pays: ties and rounding errors must not make it go round.
            gain = np.abs(slope) - np.abs(slope + best - now)
            best = np.where(gain > _LEAST_GAIN * unit, best, now)
            moved = moved or not np.array_equal(best, now)
            difference[:, row] = best - target[:, row]
        if not moved:
            break
    return nearest(difference + target, step, top)


def error(matrix: np.ndarray, target: np.ndarray, gram: np.ndarray) -> float:
    """Returns `tr((M - T)^T H (M - T))`: the mean squared error of a layer's outputs.

    Args:
        matrix: `(groups, size, outputs)`.
        target: The same shape.
        gram: `(groups, size, size)`: mean of `x x^T` over inputs x.
    """
    difference = matrix - target
    return float(np.sum(difference * (gram @ difference)))


def objective(moments: Moments, original: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the Gram matrix and the target for which `error` is the mean squared difference
    between what the rounded layer makes of the rounded model's inputs and what the float one makes
    of the float model's, up to a constant.
    """
    ridge = ridge_of(moments.student, moments.rows)
    gram = moments.student + ridge
    target = np.linalg.solve(gram, moments.cross @ original + ridge @ original)
    return gram, target


def mean_diagonal(gram: np.ndarray) -> np.ndarray:
    """Returns the mean of the diagonal of each Gram matrix, `(groups, 1, 1)`."""
    return np.trace(gram, axis1=1, axis2=2)[:, None, None] / gram.shape[-1]


def ridge_of(gram: np.ndarray, rows: int) -> np.ndarray:
    """Returns what is added to a Gram matrix, `(groups, size, size)`, so that weights stay where
    they are as far as the inputs do not tell where to go: the more, the fewer they were.

    Args:
        gram: `(groups, size, size)`: mean of `x x^T` over inputs x.
        rows: How many inputs there were.
    """
    size = gram.shape[-1]
    return (max(_RIDGE, size / max(rows, 1)) * mean_diagonal(gram) + 1e-12) * np.eye(size)


def shift_outputs(case: Case, path: str, shift: np.ndarray) -> bool:
    """Adds a number to each output channel of a layer, before its activation.

    It goes into the bias, or into the mean of the batch normalization that follows.

    Args:
        case: The case.
        path: Path of a linear layer.
        shift: `(groups, outputs)`.

    Returns:
        Whether there was something to add it to.
    """
    layer = case.layers[path].layer
    shift = shift.reshape(-1).astype(np.float32)
    if getattr(layer, "bias", None) is not None:
        layer.bias.assign(np.asarray(layer.bias) + shift)
        return True
    normalization = case.normalization_behind(path)
    if normalization is None:
        return False
    normalization.moving_mean.assign(np.asarray(normalization.moving_mean) - shift)
    return True
