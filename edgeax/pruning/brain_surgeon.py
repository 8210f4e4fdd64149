"""Optimal Brain Surgeon: weights go one by one, and the others make up for each."""

import dataclasses
import functools
import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model.case import Case
from edgeax.model.derivatives import Curvature
from edgeax.post_training.case import inputs_of_layer
from edgeax.post_training.linear import as_matrix, columns, why_not_linear
from edgeax.pruning.case import Criterion
from edgeax.pruning.selection import Choice, check_each, warn_of_last_groups
from edgeax.pruning.weights import Weight

_TEST = "tests/pruning/test_brain_surgeon.py::"
_TINY = 1e-30
_COMPACT = 64  # rows of an inverse that go at once


def inverse_hessian(vectors: np.ndarray, samples: int, alpha: float) -> np.ndarray:
    """Returns the inverse of `H = H0 + 1 / samples * sum_k X_k X_k^T`, where `H0 = alpha I`.

    Begins with `H0^-1 = I / alpha` and takes in vectors by the identity of Sherman, Morrison and
    Woodbury, several at a time.

    Args:
        vectors: float64 `(count, size)`: the X_k.
        samples: By which their sum is divided.
        alpha: Above 0.

    Returns:
        float64 `(size, size)`.
    """
    size = vectors.shape[1]
    inverse = np.eye(size) / alpha
    for start in range(0, len(vectors), max(size, 1)):
        some = vectors[start : start + max(size, 1)].T
        known = inverse @ some
        inner = samples * np.eye(some.shape[1]) + some.T @ known
        inverse -= known @ np.linalg.solve(inner, known.T)
        inverse = (inverse + inverse.T) / 2.0
    return inverse


@dataclasses.dataclass(frozen=True, eq=False)
class Surgery:
    """The order in which the weights of a block go.

    Attributes:
        order: Their places in the block, int.
        losses: What the loss gains with each, when those before it are gone.
    """

    order: np.ndarray
    losses: np.ndarray


def surgery(
    values: np.ndarray,
    inverse: np.ndarray,
    owners: np.ndarray,
    limits: Sequence[int],
) -> Surgery:
    """Takes weights out one by one, always the one of the smallest `L_q = w_q**2 / (2 [H^-1]_qq)`,
    and moves the others by `-w_q / [H^-1]_qq H^-1 e_q`.

    The inverse of what is left follows by `H^-1 - H^-1 e_q e_q^T H^-1 / [H^-1]_qq`.

    Args:
        values: float64 `(size,)`: the weights.
        inverse: float64 `(size, size)`: H^-1.
        owners: int `(size,)`: whose weight each is, -1 for those that only move.
        limits: How many of each owner's may go.
    """
    values, inverse, places = values.copy(), inverse.copy(), np.arange(len(values))
    left, free = list(limits), owners >= 0
    order, losses = [], []
    while True:
        full = [owner for owner, count in enumerate(left) if count <= 0]
        usable = free & ~np.isin(owners[places], full)
        if not usable.any():
            break
        diagonal = np.maximum(np.einsum("ii->i", inverse), _TINY)
        costs = np.where(usable, values**2 / (2.0 * diagonal), np.inf)
        q = int(costs.argmin())
        order.append(int(places[q]))
        losses.append(float(costs[q]))
        left[owners[places[q]]] -= 1
        column = inverse[:, q].copy()
        values -= values[q] / diagonal[q] * column
        inverse -= np.outer(column / diagonal[q], column)
        free[q] = False
        gone = (owners[places] >= 0) & ~free
        if np.count_nonzero(gone) >= _COMPACT:
            stay = ~gone
            values, places, free = values[stay], places[stay], free[stay]
            inverse = np.ascontiguousarray(inverse[np.ix_(stay, stay)])
    return Surgery(np.array(order, int), np.array(losses))


def compensated(values: np.ndarray, inverse: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Returns the weights after `surgery` took out those at the places `gone`, in any order."""
    if not len(gone):
        return values.copy()
    among = inverse[np.ix_(gone, gone)]
    moved = values - inverse[:, gone] @ np.linalg.lstsq(among, values[gone], rcond=None)[0]
    moved[gone] = 0.0
    return moved


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """Weights that make up for each other.

    Attributes:
        values: float64 `(size,)`.
        inverse: Gives float64 `(size, size)`: the Hessian of the loss is its inverse times `scale`.
        scale: See `inverse`.
        owners: int `(size,)`: the number of the kernel that each is of; -1 for biases, which only
            move.
        places: int `(size,)`: where each is in the flattened variable.
        variables: int `(size,)`: which of the plan's variables that is.
    """

    values: np.ndarray
    inverse: Callable[[], np.ndarray]
    scale: float
    owners: np.ndarray
    places: np.ndarray
    variables: np.ndarray


@implements("HS92", test=_TEST + "test_hs92_the_loss_of_a_quadratic_net_is_the_constrained_optimum")
class BrainSurgeon(Criterion):
    """Takes weights out one by one and lets the others make up for each, biases too.

    Weights go in the order of `L_q = w_q**2 / (2 [H^-1]_qq)`; see `surgery`. H is the Gauss-Newton
    matrix of the loss over the gradient vectors X_k of the samples, from `H0 = alpha I` on; see
    `inverse_hessian`. All kernels and biases make one H where they are at most `limit` weights;
    where they are more, each layer has its own; and a layer of more than `limit` has one for each
    output channel, as later work has it: the mean of `x x^T` over the inputs x of the layer, times
    a number that makes its trace that of the channel's Gauss-Newton matrix.

    The model should be trained to a minimum. H is that of the model before the first weight goes;
    `rounds` above 1 finds it anew from time to time, as the paper does after each weight.

    Cost: as `gauss_newton_diagonal`; beyond that, time grows with the weights of a block to the
    third power, and with the number of blocks. Layers above `limit` that are no Dense, Conv or
    DepthwiseConv cannot be pruned so. Source: [HS92].

    Args:
        limit: Most weights that have one H together, at least 1.
        alpha: `H0 = alpha * m * I`, m the mean of the diagonal of the rest of H; above 0.
        rounds: How many times H is found, at least 1; each takes out as many weights.

    Raises:
        ValueError: An argument is out of its range.
    """

    needs = ("samples", "loss")

    def __init__(self, limit: int = 1024, alpha: float = 1e-4, rounds: int = 1) -> None:
        if limit < 1 or rounds < 1 or not alpha > 0.0:
            raise ValueError(
                "`limit` and `rounds` must be at least 1, and `alpha` above 0. "
                f"Received: limit={limit}, rounds={rounds}, alpha={alpha}."
            )
        self.limit = int(limit)
        self.alpha = float(alpha)
        self.rounds = int(rounds)

    def prune(self, case: Case, choice: Choice) -> None:
        """See `Criterion.prune`.

        Raises:
            ValueError: Weights do not go one by one, nothing of a layer would be left, or a layer
                is too large.
        """
        if not choice.is_single:
            raise ValueError(
                "`structure` must be 'element' for criterion 'brain_surgeon', which takes out "
                f"weights one by one. Received: {choice.structure}. Use 'brain_damage'."
            )
        if choice.scope == "layer":
            check_each(case.weights, choice)
        biases = {
            place: bias
            for place, weight in enumerate(case.weights)
            if (bias := _bias(weight)) is not None
        }
        variables = [weight.variable for weight in case.weights] + [*biases.values()]
        curvature = Curvature(case, variables)
        for turn in range(1, self.rounds + 1):
            part = dataclasses.replace(choice, sparsity=choice.sparsity * turn / self.rounds)
            _Operation(curvature, [*biases], part, self.limit, self.alpha).run()


class _Operation:
    """One round of a brain surgeon on a case."""

    def __init__(
        self,
        curvature: Curvature,
        with_bias: Sequence[int],
        choice: Choice,
        limit: int,
        alpha: float,
    ) -> None:
        self.curvature, self.case, self.choice = curvature, curvature.case, choice
        self.limit, self.alpha = limit, alpha
        self.weights = self.case.weights
        self.masks = [_as_variable(weight, weight.active) for weight in self.weights]
        self.variables = curvature.variables
        # The kernels as they compute, behind them the biases that move with them.
        self.values = [np.asarray(variable, np.float64) for variable in self.variables]
        for value, mask in zip(self.values, self.masks, strict=False):
            value[~mask] = 0.0
        self.bias_of = {place: len(self.weights) + at for at, place in enumerate(with_bias)}

    def run(self) -> None:
        """Sets masks, and moves what stays."""
        rooms, budgets, budget_of = self._budgets()
        traces: list[tuple[Block, Surgery]] = []
        for block in self._blocks():
            limits = [min(room, budgets[of]) for room, of in zip(rooms, budget_of, strict=True)]
            trace = surgery(block.values, block.inverse(), block.owners, limits)
            traces.append((block, dataclasses.replace(trace, losses=trace.losses * block.scale)))
        counts = self._counts(traces, rooms, budgets, budget_of)
        for (block, trace), count in zip(traces, counts, strict=True):
            gone = trace.order[:count]
            values = compensated(block.values, block.inverse(), gone)
            for place in range(len(self.variables)):
                here = block.variables == place
                self.values[place].reshape(-1)[block.places[here]] = values[here]
            for owner in range(len(self.weights)):
                taken = gone[block.owners[gone] == owner]
                self.masks[owner].reshape(-1)[block.places[taken]] = False
        for variable, value in zip(self.variables, self.values, strict=True):
            variable.assign(value.astype(np.float32))
        for weight, mask in zip(self.weights, self.masks, strict=True):
            weight.set_mask(weight.layout.to_canonical(mask))

    def _budgets(self) -> tuple[list[int], list[int], list[int]]:
        """Returns how many weights of each kernel may go, how many of each budget go, and the
        budget of each kernel.
        """
        active = [int(np.count_nonzero(mask)) for mask in self.masks]
        sizes = [weight.size for weight in self.weights]
        if self.choice.scope == "layer":
            wanted = [
                max(0, round(self.choice.sparsity * size) - (size - left))
                for size, left in zip(sizes, active, strict=True)
            ]
            return active, wanted, [*range(len(sizes))]
        wanted_in_all = round(self.choice.sparsity * sum(sizes)) - (sum(sizes) - sum(active))
        return [left - 1 for left in active], [max(0, wanted_in_all)], [0] * len(sizes)

    def _counts(
        self,
        traces: Sequence[tuple[Block, Surgery]],
        rooms: Sequence[int],
        budgets: Sequence[int],
        budget_of: Sequence[int],
    ) -> list[int]:
        """Returns how many weights of each block go: always the cheapest next one of all."""
        counts = [0] * len(traces)
        rooms, budgets = list(rooms), list(budgets)
        heap = [
            (trace.losses[0], place) for place, (_, trace) in enumerate(traces) if len(trace.order)
        ]
        heapq.heapify(heap)
        full: dict[str, None] = {}
        while heap:
            _, place = heapq.heappop(heap)
            block, trace = traces[place]
            owner = int(block.owners[trace.order[counts[place]]])
            if not budgets[budget_of[owner]]:
                continue
            if not rooms[owner]:
                full[self.weights[owner].name] = None
                continue
            rooms[owner] -= 1
            budgets[budget_of[owner]] -= 1
            counts[place] += 1
            if counts[place] < len(trace.order):
                heapq.heappush(heap, (trace.losses[counts[place]], place))
        if self.choice.scope == "global":
            full |= {w.name: None for w, room in zip(self.weights, rooms, strict=True) if not room}
        if full and self.choice.scope == "global":
            warn_of_last_groups([*full])
        return counts

    def _blocks(self) -> Iterator[Block]:
        """Yields the blocks, each with a Hessian of its own."""
        sizes = [value.size for value in self.values]
        if sum(sizes) <= self.limit:
            groups = [[*range(len(sizes))]]
        else:
            groups = [
                [place, *([self.bias_of[place]] if place in self.bias_of else [])]
                for place in range(len(self.weights))
            ]
        small = [group for group in groups if sum(sizes[place] for place in group) <= self.limit]
        large = [group[0] for group in groups if group not in small]
        for place in large:
            reason = why_not_linear(self.weights[place].layer.layer)
            if reason or self.weights[place].variable.name != "kernel":
                raise ValueError(
                    "`layers` must pick layers that criterion 'brain_surgeon' can prune. Received: "
                    f"{self.weights[place].name!r}, of {sizes[place]} weights; {reason}. Leave it "
                    f"out, or raise the limit of BrainSurgeon, which is {self.limit}."
                )
        vectors, traces = self._curvature(small, large)
        for group, found in zip(small, vectors, strict=True):
            yield self._block_of(group, found)
        for place in self.case.progress("Brain surgeon", large):
            yield from self._rows(place, traces[place])

    def _curvature(
        self, small: Sequence[Sequence[int]], large: Sequence[int]
    ) -> tuple[list[np.ndarray], dict[int, np.ndarray]]:
        """Returns the vectors X_k of small groups, and of each large kernel, for each of its output
        channels, the trace of the Gauss-Newton matrix: `(groups, outputs)`.
        """
        vectors: list[list[np.ndarray]] = [[] for _ in small]
        traces = {place: np.zeros(()) for place in large}
        for found in self.curvature.vectors():
            for group, parts in zip(small, vectors, strict=True):
                flat = [found[place].reshape(len(found[place]), -1) for place in group]
                parts.append(np.concatenate(flat, axis=1).astype(np.float64))
            for place in large:
                squares = np.einsum("k...,k...->...", found[place], found[place], dtype=np.float64)
                squares = np.where(self.masks[place], squares, 0.0)
                layer = self.weights[place].layer.layer
                traces[place] = traces[place] + as_matrix(layer, squares).sum(1)
        count = self.case.count
        return [np.concatenate(parts) for parts in vectors], {
            place: trace / count for place, trace in traces.items()
        }

    def _block_of(self, group: Sequence[int], vectors: np.ndarray) -> Block:
        owners = np.concatenate(
            [
                np.full(self.values[place].size, place if place < len(self.weights) else -1)
                for place in group
            ]
        )
        present = np.concatenate(
            [
                self.masks[place].ravel()
                if place < len(self.weights)
                else np.ones(self.values[place].size, bool)
                for place in group
            ]
        )
        values = np.concatenate([self.values[place].ravel() for place in group])
        places = np.concatenate([np.arange(self.values[place].size) for place in group])
        variables = np.repeat(group, [self.values[place].size for place in group])
        vectors = vectors[:, present]
        mean = np.einsum("kn,kn->", vectors, vectors) / max(vectors.size, 1)
        mean *= len(vectors) / self.case.count
        inverse = inverse_hessian(vectors, self.case.count, self.alpha * max(mean, _TINY))
        return Block(
            values[present],
            lambda: inverse,
            1.0,
            owners[present],
            places[present],
            variables[present],
        )

    def _rows(self, place: int, traces: np.ndarray) -> Iterator[Block]:
        """Yields a block for each output channel of a kernel, its weight of the bias last."""
        weight = self.weights[place]
        layer = weight.layer.layer
        bias = self.bias_of.get(place)
        gram = _gram(self.case, weight, bias is not None)
        numbers = as_matrix(layer, np.arange(weight.size).reshape(weight.variable.shape))
        matrix = as_matrix(layer, self.values[place])
        masks = as_matrix(layer, self.masks[place]) > 0
        groups, size, outputs = matrix.shape

        @functools.lru_cache(maxsize=1)  # rows of which nothing is masked yet share one
        def inverse(group: int, rows: tuple[int, ...]) -> np.ndarray:
            hessian = gram[group][np.ix_(rows, rows)]
            alpha = self.alpha * max(np.trace(hessian) / max(len(rows), 1), _TINY)
            return np.linalg.inv(hessian + alpha * np.eye(len(rows)))

        for group, output in itertools.product(range(groups), range(outputs)):
            rows = np.flatnonzero(masks[group, :, output])
            places = numbers[group, rows, output].astype(int)
            values = matrix[group, rows, output]
            owners, variables = np.full(len(rows), place), np.full(len(rows), place)
            scale = traces[group, output] / max(np.einsum("ii->i", gram[group])[rows].sum(), _TINY)
            if bias is not None:
                channel = group * outputs + output
                rows, places = np.append(rows, size), np.append(places, channel)
                values = np.append(values, self.values[bias][channel])
                owners, variables = np.append(owners, -1), np.append(variables, bias)
            lazy = functools.partial(inverse, group, tuple(rows.tolist()))
            yield Block(values, lazy, float(scale), owners, places, variables)


def _gram(case: Case, weight: Weight, with_ones: bool) -> np.ndarray:
    """Returns the mean of `x x^T` over the inputs of a layer, `(groups, size, size)`; x ends with a
    1 for the bias if there is one.
    """
    total, rows = np.zeros(()), 0
    for inputs, _ in case.batches:
        for given in inputs_of_layer(case.model, weight.layer, case.pack(inputs)):
            found = np.asarray(columns(weight.layer.layer, given), np.float64)
            if with_ones:
                found = np.concatenate([found, np.ones((*found.shape[:2], 1))], axis=-1)
            total = total + np.einsum("gri,grj->gij", found, found, optimize=True)
            rows += found.shape[1]
    return total / max(rows, 1)


def _bias(weight: Weight) -> keras.Variable | None:
    bias = getattr(weight.layer.layer, "bias", None)
    is_bias = isinstance(bias, keras.Variable) and weight.variable.name == "kernel"
    return bias if is_bias else None


def _as_variable(weight: Weight, canonical: np.ndarray) -> np.ndarray:
    return np.array(weight.layout.from_canonical(canonical), order="C")
