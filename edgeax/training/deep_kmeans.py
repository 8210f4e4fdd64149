"""DeepKMeans: rows of kernels drawn into few dimensions, so that few codewords can replace them."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.formats.vector_codebook import VectorCodebook
from edgeax.training.added_loss import AddedLoss, TrainingStep
from edgeax.training.layer_kernels import LayerKernel, Layers, checked_layers, layer_kernels
from edgeax.transforms.checks import checked_count, checked_strength
from edgeax.transforms.structures import InputAxes

_TEST = "tests/training/test_deep_kmeans.py::"


def kernel_rows(weight: tf.Tensor, input_axes: InputAxes = None) -> tf.Tensor:
    """Returns the samples of a kernel, one in each column, float32 `(length, samples)`.

    A sample of a convolution is a row of one filter in one input channel, as long as the kernel is
    wide; a row-stationary chip keeps such a row in place. A dense kernel has no width: its samples
    are the weights of one output.

    Args:
        weight: float32, canonical layout.
        input_axes: See `Transform.input_axes`.
    """
    axes = [*range(weight.shape.rank)]
    if input_axes:  # dense in all of them
        along = list(input_axes)
    elif input_axes is None and len(axes) > 2:
        along = axes[-3:-2]
    else:  # a matrix, or depthwise: the channels are the last axis alone
        along = axes[-2:-1]
    across = [axis for axis in axes if axis not in along]
    length = int(np.prod([weight.shape[axis] for axis in along]))
    return tf.reshape(tf.transpose(weight, along + across), [length, -1])


def top_directions(samples: np.ndarray, count: int) -> np.ndarray:
    """Returns the eigenvectors of `W^T W` with the largest eigenvalues, in columns.

    Args:
        samples: W, real values, `(length, samples)`.
        count: How many, at most the smaller of both sizes.
    Returns:
        F with `F^T F = I`, float32 `(samples, count)`.
    """
    _, _, right = np.linalg.svd(np.asarray(samples, np.float32), full_matrices=False)
    return np.ascontiguousarray(right[:count].T)


@implements("WWW18", test=_TEST + "test_www18_is_half_the_squares_of_the_singular_values_left_over")
def spectral_penalty(samples: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """Returns `(Tr(W^T W) - Tr(F^T W^T W F)) / 2`, a float32 scalar, at least 0.

    With the F of `top_directions` it is half the sum of the squares of all singular values of W but
    the largest `count`: 0 where W has no higher rank, as it is when all samples are among `count`
    codewords.

    Source: [WWW18], as recalled.

    Args:
        samples: W, float32 `(length, samples)`.
        directions: F, float32 `(samples, count)`.
    """
    kept = tf.matmul(samples, directions)
    return 0.5 * (tf.reduce_sum(tf.square(samples)) - tf.reduce_sum(tf.square(kept)))


@implements("WWW18", test=_TEST + "test_www18_rows_lose_the_rank_that_is_not_asked_for")
@keras.saving.register_keras_serializable("edgeax")
class DeepKMeans(AddedLoss):
    """Adds `strength * spectral_penalty` of the rows of kernels to the loss in `fit`.

    It is k-means with hard assignments relaxed to an orthonormal matrix F, which follows the rows
    every few epochs; in between, F stays. After training `edgeax.VectorCluster` replaces what was
    drawn together by codewords. It cuts sub-vectors of `length` inputs in a row: rows of the kernel
    where a filter has one input channel, as in depthwise and many first layers, and for other
    convolutions those that the same `length` here takes for rows. See `AddedLoss` for what
    `val_loss` shows.

    Rows of n weights span n dimensions at most. So `rank` lies below their length, however many
    codewords follow: 1 or 2 for kernels of 3 x 3.

    Source: [WWW18], the formula as recalled; the defaults are choices of edgeax.

    Args:
        rank: Columns of F: dimensions that rows may span for nothing, at least 1.
        strength: Factor of the term, finite, at least 0.
        length: Weights of a sub-vector as `VectorCluster` cuts them, at least 1. None: rows as
            `kernel_rows` takes them, which is what the paper does.
        layers: A regular expression searched in the layer's path, or a list of them. None: all
            layers but those that make the model's outputs.
        refresh_epochs: Epochs after which F is found anew, at least 1.
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, no such kernel is trained, or one
            of them has a NaN, or rows that never span more than `rank` dimensions.

    Example: `model.fit(x, y, callbacks=[DeepKMeans(rank=2, layers="conv")])`
    """

    def __init__(
        self,
        rank: int,
        strength: float = 1e-3,
        length: int | None = None,
        layers: Layers = None,
        refresh_epochs: int = 3,
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(begin_epoch)
        self.rank = checked_count("rank", rank)
        self.strength = checked_strength(strength)
        self.length = None if length is None else checked_count("length", length)
        self.layers = checked_layers(layers)
        self.refresh_epochs = checked_count("refresh_epochs", refresh_epochs)
        self._kernels: list[tuple[LayerKernel, tf.Variable]] = []

    def prepare(self) -> None:
        """See `AddedLoss.prepare`."""
        kernels = layer_kernels(self.model, self.layers, type(self).__name__)
        directions = [self._directions(kernel) for kernel in kernels]
        with self.model.distribute_strategy.scope():
            variables = [tf.Variable(found, trainable=False) for found in directions]
        self._kernels = [*zip(kernels, variables, strict=True)]

    def _samples(self, kernel: LayerKernel) -> tf.Tensor:
        """Returns W of the kernel as it is now."""
        if self.length is None:
            return kernel_rows(kernel.value, kernel.input_axes)
        cut = VectorCodebook(length=self.length).cut(kernel.value, keras.ops)[0]
        return tf.transpose(cut)

    def _directions(self, kernel: LayerKernel) -> np.ndarray:
        """Returns F of the kernel as it is now.

        Raises:
            ValueError: The term would always be 0, or the kernel is not finite.
        """
        samples = self._samples(kernel).numpy()
        most = min(samples.shape)
        if self.rank >= most:
            raise ValueError(
                f"`rank` must be below {most} for layer {kernel.path!r}: its "
                f"{samples.shape[1]} rows of {samples.shape[0]} weights never span more, and the "
                f"term would always be 0. Received: rank={self.rank}. Leave the layer out by "
                "`layers`."
            )
        if not np.isfinite(samples).all():
            raise ValueError(
                f"`model` must have finite weights. Received: NaN or infinity in {kernel.path!r}. "
                "Train again with a smaller learning rate or strength."
            )
        return top_directions(samples, self.rank)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """See `AddedLoss.on_epoch_begin`; finds F anew when that is due."""
        super().on_epoch_begin(epoch, logs)
        since = epoch - self.begin_epoch
        if since > 0 and since % self.refresh_epochs == 0:
            for kernel, directions in self._kernels:
                directions.assign(self._directions(kernel))

    def term(self, step: TrainingStep) -> Any:
        """See `AddedLoss.term`."""
        terms = [
            spectral_penalty(self._samples(kernel), tf.convert_to_tensor(directions))
            for kernel, directions in self._kernels
        ]
        return self.strength * tf.add_n(terms)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """See `AddedLoss.on_train_end`."""
        super().on_train_end(logs)
        self._kernels = []

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "rank": self.rank,
            "strength": self.strength,
            "length": self.length,
            "layers": self.layers,
            "refresh_epochs": self.refresh_epochs,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DeepKMeans":
        """Returns the callback that `get_config` described."""
        return cls(**config)
