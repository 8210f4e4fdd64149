"""StructuredSparsity: filters, channels, taps and layers drawn to zero together in `fit`."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import implements
from edgeax.training.added_loss import AddedLoss, TrainingStep
from edgeax.training.group_lasso import group_penalty
from edgeax.training.layer_kernels import LayerKernel, Layers, checked_layers, layer_kernels
from edgeax.transforms.checks import checked_nonnegative, checked_strength
from edgeax.transforms.structures import structure_of

DECAYS = {"filter": 0.005, "shape": 0.005}
"""Rows and columns of the matrix of a convolution, as for LeNet in [WWW16]."""


@implements(
    "WWW16", test="tests/training/test_structured_sparsity.py::test_www16_zero_rows_go_exactly"
)
@keras.saving.register_keras_serializable("edgeax")
class StructuredSparsity(AddedLoss):
    """Adds the norms of groups of weights to the loss in `fit`, of several kinds of groups at once.

    For each kernel and each structure `strength * sum_g |w_g|_2`. When `fit` ends, what is all but
    zero is set to zero. Filters and channels of zeros can then be taken out of the network by
    `edgeax.remove_channels` without any change of what it computes; fine-tune afterwards without
    this callback.

    It is also `GroupLasso` for all kernels of a model, in whatever layout they are, compressed or
    not: `StructuredSparsity({"filter": 1e-3}, by_size=True, zero_below=0.0)`.

    Source: [WWW16], a gradient step for each group; for exact zeros see `ProximalGroupLasso`.

    Args:
        strengths: Factor of each structure, at least 0: `"filter"` (an output channel),
            `"channel"` (an input channel), `"shape"` (one tap of all filters), `"layer"` (the
            whole kernel: depth, for layers that a shortcut goes past), `"row"`, `"kernel"`. None:
            0.005 for `"filter"` and `"shape"`, the rows and columns of LeNet's matrices.
        layers: A regular expression searched in the layer's path, or a list of them. None: all
            layers but those that make the model's outputs.
        zero_below: At the end of `fit`, smaller magnitudes in these kernels become zero, at least
            0. With plain SGD a group comes to within `learning_rate * strength` of zero: set it
            above that.
        by_size: Whether the norm of a group counts `sqrt(|g|)` times, |g| its number of weights.
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, no such kernel is trained.

    Example: `model.fit(x, y, callbacks=[StructuredSparsity({"filter": 0.005}, layers="conv")])`
    """

    def __init__(
        self,
        strengths: Mapping[str, float] | None = None,
        layers: Layers = None,
        zero_below: float = 1e-4,
        by_size: bool = False,
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(begin_epoch)
        given = DECAYS if strengths is None else strengths
        if not isinstance(given, Mapping) or not given:
            raise ValueError(
                "`strengths` must say how strongly which structures are drawn, such as "
                f"{{'filter': 0.005}}. Received: strengths={strengths!r}."
            )
        self.strengths = {str(word): checked_strength(value) for word, value in given.items()}
        self._structures = [(structure_of(word), s) for word, s in self.strengths.items()]
        self.layers = checked_layers(layers)
        self.zero_below = checked_nonnegative("zero_below", zero_below)
        self.by_size = bool(by_size)
        self._kernels: list[LayerKernel] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """See `AddedLoss.on_train_begin`."""
        super().on_train_begin(logs)
        self._kernels = []  # of a `fit` that was interrupted

    def prepare(self) -> None:
        """See `AddedLoss.prepare`."""
        self._kernels = layer_kernels(self.model, self.layers, type(self).__name__)

    def term(self, step: TrainingStep) -> Any:
        """See `AddedLoss.term`."""
        terms = [
            strength * group_penalty(kernel.value, structure, kernel.input_axes, self.by_size)
            for kernel in self._kernels
            for structure, strength in self._structures
        ]
        return tf.add_n(terms)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the term out of the loss, and sets to zero what is all but zero."""
        super().on_train_end(logs)
        for kernel in self._kernels:
            value = kernel.value
            kernel.assign(tf.where(tf.abs(value) < self.zero_below, 0.0, value))
        self._kernels = []

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "strengths": self.strengths,
            "layers": self.layers,
            "zero_below": self.zero_below,
            "by_size": self.by_size,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "StructuredSparsity":
        """Returns the callback that `get_config` described."""
        return cls(**config)
