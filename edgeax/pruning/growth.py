"""Growth: masked weights that the loss calls for come back, and small ones go again."""

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model.case import Case
from edgeax.model.derivatives import mean_gradients
from edgeax.model.recipe import Filter
from edgeax.pruning.api import case_of
from edgeax.pruning.case import Criterion
from edgeax.pruning.criteria import Gradient, criterion_of
from edgeax.pruning.selection import SCOPES, Choice, checked_choice_of
from edgeax.pruning.weights import Weight, masked_copy, unmasked, weights_of
from edgeax.transforms.checks import checked_choice, checked_count, checked_positive
from edgeax.transforms.structures import Structure

_TEST = "tests/pruning/test_growth.py::"


@implements("DYJ17", test=_TEST + "test_dyj17_those_of_the_largest_gradient_grow")
def grow(
    model: keras.Model,
    samples: Any,
    labels: Any = None,
    share: float = 0.1,
    strength: float = 0.1,
    scope: str = "layer",
    loss: Any = None,
    layers: Filter = ".*",
    batch_size: int = 64,
) -> keras.Model:
    """Returns a copy of a pruned model in which the masked weights that the loss calls for most
    are active again: those of the largest `|dL/dw|`, the mean over the samples (NeST).

    A weight begins against its gradient g, at
    `-strength * mean(|w|) * g / mean(|g|)`: w over the active weights of its layer, g over those of
    the layer that come back. A network may be grown so from a small seed, or after `edgeax.prune`.

    Source: [DYJ17]. That connections grow by the largest gradients, and begin proportional to them,
    is the paper's; the factor is ours, recalled to be its "birth strength". Its growth of neurons
    and its partial-area convolutions are left out: neurons can be masked and come back, but none is
    added.

    Args:
        model: A compressed model that masks kernels, such as `edgeax.prune` returns.
        samples: Typical inputs, as for `edgeax.prune`.
        labels: Their labels; None for a dataset that holds them.
        share: Of the masked weights that come back, in (0, 1].
        strength: Mean magnitude of those that come back, of that of the active ones; above 0.
        scope: `"layer"`: that share of each layer's; `"global"`: of all together.
        loss: As for `edgeax.prune`.
        layers: As for `edgeax.prune`.
        batch_size: Samples in a batch, at least 1.

    Raises:
        ValueError: An argument is unusable, or the model masks no weight of the layers.

    Example: `edgeax.grow(edgeax.prune(model, 0.9), images, labels, share=0.2)`
    """
    _check(share, strength, scope)
    batch_size = checked_count("batch_size", batch_size)
    copy, weights = masked_copy(model, layers)
    _check_dormant(weights)
    case = case_of(copy, weights, Gradient(), samples, labels, loss, "grow")
    case.batch_size = batch_size
    _grow(case, share, strength, scope)
    return copy


def _check(share: float, strength: float, scope: str) -> None:
    if not isinstance(share, numbers.Real) or not 0.0 < float(share) <= 1.0:
        raise ValueError(f"`share` must lie in (0, 1]. Received: share={share!r}.")
    checked_positive("strength", strength)
    checked_choice("scope", scope, SCOPES)


def _check_dormant(weights: Sequence[Weight]) -> None:
    if all(weight.active.all() for weight in weights):
        raise ValueError(
            "`model` must mask weights for some to grow. Received: one in which all weights of "
            f"{[weight.name for weight in weights][:8]} are active. Prune it before: "
            "edgeax.prune(model, 0.9)."
        )


def _checked_epochs(name: str, epochs: Any) -> frozenset[int]:
    given: list[Any] = [*epochs] if isinstance(epochs, Iterable) else [None]
    if not all(isinstance(epoch, numbers.Integral) and int(epoch) >= 0 for epoch in given):
        raise ValueError(
            f"`{name}` must be a list of epochs, counted from 0. Received: {name}={epochs!r}. "
            "Pass e.g. (0, 2, 4)."
        )
    return frozenset(map(int, given))


def _grow(case: Case, share: float, strength: float, scope: str) -> None:
    with unmasked(case.weights):
        found = mean_gradients(case, [weight.variable for weight in case.weights])
    gradients = [w.layout.to_canonical(g) for w, g in zip(case.weights, found, strict=True)]
    dormant = [~weight.active for weight in case.weights]
    sizes = [np.where(off, np.abs(g), -1.0) for off, g in zip(dormant, gradients, strict=True)]
    for weight, new, gradient in zip(
        case.weights, _largest(sizes, dormant, share, scope), gradients, strict=True
    ):
        if not new.any():
            continue
        active, raw = weight.active, weight.raw
        mean = np.abs(raw[active]).mean() if active.any() else 1.0
        unit = max(np.abs(gradient[new]).mean(), np.finfo(np.float64).tiny)
        weight.set_raw(np.where(new, -strength * mean * gradient / unit, raw))
        weight.set_mask(active | new)


def _largest(
    sizes: Sequence[np.ndarray], dormant: Sequence[np.ndarray], share: float, scope: str
) -> list[np.ndarray]:
    """Returns which weights grow, bool: a share of the dormant ones, of the largest sizes."""
    if scope == "layer":
        return [_top(s, round(share * int(d.sum()))) for s, d in zip(sizes, dormant, strict=True)]
    flat = np.concatenate([size.ravel() for size in sizes])
    chosen = _top(flat, round(share * sum(int(off.sum()) for off in dormant)))
    parts = np.split(chosen, np.cumsum([size.size for size in sizes])[:-1])
    return [part.reshape(size.shape) for part, size in zip(parts, sizes, strict=True)]


def _top(sizes: np.ndarray, count: int) -> np.ndarray:
    chosen = np.zeros(sizes.size, bool)
    chosen[np.argsort(-sizes, axis=None, kind="stable")[:count]] = True
    return chosen.reshape(sizes.shape)


class GrowAndPrune(keras.callbacks.Callback):
    """Lets masked weights grow at the end of some epochs and prunes again at the end of others.

    Between them `fit` trains the weights that are active; see `grow` for which come back. The model
    must mask kernels, as those that `edgeax.prune` returns do. Source: [DYJ17].

    Args:
        samples: Typical inputs, by whose gradients weights grow, as for `edgeax.prune`.
        labels: Their labels; None for a dataset that holds them.
        grow_at: Epochs at whose end weights grow, counted from 0.
        prune_at: Epochs at whose end weights are pruned.
        share: Of the masked weights that come back each time, in (0, 1].
        sparsity: What it is pruned to, in [0, 1).
        criterion: Of pruning, as for `edgeax.prune`: `"folded_magnitude"` is the magnitude behind a
            batch normalization.
        structure: As for `edgeax.prune`.
        scope: As for `edgeax.prune`, of both.
        strength: As for `grow`.
        layers: As for `edgeax.prune`.

    Raises:
        ValueError: An argument is unusable; in `fit`, the model has no masks, or these mask nothing
            and it grows before it is pruned.

    Example: `small.fit(x, y, epochs=9, callbacks=[GrowAndPrune(x, y, (0, 2, 4), (6,))])`
    """

    def __init__(
        self,
        samples: Any,
        labels: Any = None,
        grow_at: Sequence[int] = (0,),
        prune_at: Sequence[int] = (),
        share: float = 0.1,
        sparsity: float = 0.9,
        criterion: str | Criterion = "folded_magnitude",
        structure: str | Structure = "element",
        scope: str = "layer",
        strength: float = 0.1,
        layers: Filter = ".*",
    ) -> None:
        super().__init__()
        _check(share, strength, scope)
        self.samples, self.labels = samples, labels
        self.grow_at = _checked_epochs("grow_at", grow_at)
        self.prune_at = _checked_epochs("prune_at", prune_at)
        self.share, self.strength, self.layers = share, strength, layers
        self.choice: Choice = checked_choice_of(sparsity, structure, scope)
        self.criterion = criterion_of(criterion)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks that there is something to grow, unless it is pruned as early."""
        weights = weights_of(self.model, self.layers)
        if min(self.grow_at, default=math.inf) < min(self.prune_at, default=math.inf):
            _check_dormant(weights)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Grows, then prunes, where it is the epoch for it."""
        if epoch in self.grow_at:
            _grow(self._case(Gradient()), self.share, self.strength, self.choice.scope)
        if epoch in self.prune_at:
            self.criterion.prune(self._case(self.criterion), self.choice)

    def _case(self, criterion: Criterion) -> Case:
        name = type(self).__name__
        weights = weights_of(self.model, self.layers)
        return case_of(self.model, weights, criterion, self.samples, self.labels, None, name)
