"""AutoBalanced: weak filters decay while the strong ones of their layer grow as much."""

import dataclasses
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.model.channels import ChannelGroup, channel_groups, values_of
from edgeax.model.copying import compressed_layers
from edgeax.model.rewrite import strip
from edgeax.training.added_loss import AddedLoss, TrainingStep
from edgeax.training.layer_kernels import LayerKernel, Layers, checked_layers, layer_kernels
from edgeax.transforms.checks import checked_strength
from edgeax.transforms.schedules import check_sparsity

_TEST = "tests/training/test_auto_balanced.py::"


@implements("DDHT18", test=_TEST + "test_ddht18_factors_are_those_worked_out_by_hand")
def balanced_factors(importance: np.ndarray, sparsity: float) -> np.ndarray:
    """Returns the factor of each filter: `1 + log(t / m)` for a weak one, `-(1 + log(m / t))` for a
    strong one, m its importance.

    The `round(sparsity * filters)` least important ones are weak, of equal ones the first; t is the
    importance of the strongest of them. Source: [DDHT18], as recalled.

    Args:
        importance: At least 0, shape `(filters,)`. What is below a millionth of t counts as that.
        sparsity: Share of weak filters, in [0, 1); one of them at least is weak.

    Returns:
        float32, shape `(filters,)`: above 0 where a filter is weak, below 0 where it is strong.
    """
    importance = np.asarray(importance, np.float64)
    order = np.argsort(importance, kind="stable")
    weak = order[: max(1, round(sparsity * importance.size))]
    border = max(importance[weak[-1]], np.finfo(np.float64).tiny)
    distance = 1.0 + np.abs(np.log(np.maximum(importance, 1e-6 * border) / border))
    signs = -np.ones(importance.size)
    signs[weak] = 1.0
    return (signs * distance).astype(np.float32)


@implements("DDHT18", test=_TEST + "test_ddht18_weak_filters_vanish_while_strong_ones_grow")
@keras.saving.register_keras_serializable("edgeax")
class AutoBalanced(AddedLoss):
    """Adds `strength * (P - b * N)` in `fit`: weak filters shrink, strong ones grow in their stead.

    P is the sum over weak filters of `factor * |F|**2`, N that over strong ones of `|factor| *
    |F|**2`, and `b = P / N`, through which no gradient goes. So the term is 0 in each layer at any
    time, and what it takes from the weak it gives to the strong. Factors are those of
    `balanced_factors`, for the sum of the magnitudes of the weights by which the layers behind read
    the filter's channel.

    Importances, and with them which filters are weak, are taken once, when the term is added: train
    the model before, by `begin_epoch` or an earlier `fit`. A new callback, as after a restart,
    takes them anew. Prune the weak filters afterwards, with `edgeax.remove_channels` or by their
    norms. Nothing holds the strong ones back but the loss and the weak ones' end: with P their
    growth ends too.

    Source: [DDHT18], as recalled: no fidelity beyond this description is claimed.

    Args:
        sparsity: Share of the filters of each layer that are to vanish, in [0, 1); one at least.
        strength: Factor of the term, finite, at least 0.
        layers: A regular expression searched in the layer's path, or a list of them. None: all
            layers but those that make the model's outputs. Of these, the layers take part whose
            channels can go, as `edgeax.channel_groups` has it.
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, the model has no graph, or no
            such filters are trained.

    Example: `model.fit(x, y, epochs=20, callbacks=[AutoBalanced(0.5, begin_epoch=5)])`
    """

    def __init__(
        self,
        sparsity: float = 0.5,
        strength: float = 1e-3,
        layers: Layers = None,
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(begin_epoch)
        self.sparsity = check_sparsity("sparsity", sparsity)
        self.strength = checked_strength(strength)
        self.layers = checked_layers(layers)
        self._filters: list[_Filters] = []

    def prepare(self) -> None:
        """Takes the importances of the filters from the layers behind them."""
        kernels = layer_kernels(self.model, self.layers, type(self).__name__)
        plain = _plain(self.model)
        self._filters = []
        for group in channel_groups(plain):
            if group.reason or not group.readers or group.size < 2:
                continue
            factors = balanced_factors(importance_of_units(plain, group), self.sparsity)
            self._filters += [
                _Filters(kernel, factors[piece.units])
                for piece in group.makers
                for kernel in kernels
                if (kernel.path, kernel.variable.name) == (piece.path, piece.weight)
                and piece.units.size == kernel.shape[-1]
                and (piece.units >= 0).all()
            ]
        if not self._filters:
            raise ValueError(
                "`layers` of AutoBalanced must pick a layer whose channels can go. Received: "
                f"layers={self.layers!r}, kernels of {[kernel.path for kernel in kernels]}. See "
                "the reasons in edgeax.channel_groups(model)."
            )

    @property
    def weak(self) -> dict[str, list[int]]:
        """The output channels of the weak filters by the path of their layer, empty before `fit`,
        such as `edgeax.remove_channels` takes them where a layer is a group of its own.
        """
        return {f.kernel.path: np.flatnonzero(f.factors > 0).tolist() for f in self._filters}

    def term(self, step: TrainingStep) -> Any:
        """See `AddedLoss.term`."""
        return self.strength * tf.add_n([filters.balanced_sum() for filters in self._filters])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "sparsity": self.sparsity,
            "strength": self.strength,
            "layers": self.layers,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AutoBalanced":
        """Returns the callback that `get_config` described."""
        return cls(**config)


@dataclasses.dataclass(frozen=True, eq=False)
class _Filters:
    """A kernel and the factors of its filters."""

    kernel: LayerKernel
    factors: np.ndarray

    def balanced_sum(self) -> tf.Tensor:
        value = self.kernel.value
        squares = tf.reduce_sum(tf.square(value), axis=[*range(len(value.shape) - 1)])
        weak = tf.reduce_sum(np.maximum(self.factors, 0.0) * squares)
        strong = tf.reduce_sum(np.maximum(-self.factors, 0.0) * squares)
        return weak - tf.stop_gradient(tf.math.divide_no_nan(weak, strong)) * strong


def _plain(model: keras.Model) -> keras.Model:
    """Returns a model itself, or a plain copy of a compressed one; not to be trained."""
    if next(compressed_layers(model), None) is None:
        return model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a copy that cannot be compiled
        return strip(model)


def importance_of_units(model: keras.Model, group: ChannelGroup) -> np.ndarray:
    """Returns for each unit of a group of channels the sum of the magnitudes of all weights that
    read it, float64 `(units,)`.

    Args:
        model: Plain.
        group: One of `edgeax.channel_groups(model)`.
    """
    importance = np.zeros(group.size)
    for piece in group.readers:
        values = np.abs(np.asarray(values_of(model, piece), np.float64))
        of_positions = values.reshape(len(values), -1).sum(axis=1)
        known = piece.units >= 0
        np.add.at(importance, piece.units[known], of_positions[known])
    return importance
