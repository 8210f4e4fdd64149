"""Cross distillation: each layer learns from the float one, fed both with its own inputs and with
those that the rounded layers before it make. For a handful of samples.
"""

import math

import numpy as np

from edgeax.formats import implements
from edgeax.post_training.case import Case, Correction
from edgeax.post_training.kernels import (
    GridKernel,
    descended,
    error,
    grid_kernels,
    mean_diagonal,
    nearest,
    ridge_of,
    set_kernel,
)
from edgeax.post_training.learned_rounding import Adam
from edgeax.post_training.linear import Moments

_TEST = "tests/post_training/test_cross_distillation.py::"


@implements("BWKL19", test=_TEST + "test_bwkl19_mu_mixes_correction_and_imitation")
def cross_gram(moments: Moments, mu: float) -> np.ndarray:
    """Returns the Gram matrix H for which `tr((M - W)^T H (M - W))` is `mu L_c + (1 - mu) L_i`.

    L_c is the mean squared difference between the float and the rounded layer where both are fed
    the float model's inputs (correction), L_i where both are fed the rounded model's (imitation).

    Args:
        moments: Of the inputs of both models.
        mu: In [0, 1].

    Returns:
        float64 `(groups, size, size)`.
    """
    return mu * moments.teacher + (1.0 - mu) * moments.student


@implements("BWKL19", test=_TEST + "test_bwkl19_beats_plain_estimation_from_a_few_images")
class CrossDistillation(Correction):
    """Trains each kernel through its rounding on `mu L_c + (1 - mu) L_i`; see `cross_gram`.

    From a few images, a layer that only follows the float model's outputs from the inputs that it
    gets fits their noise; what both layers make of the same inputs does not have it. The best
    codes of all steps are taken, never worse ones than rounding to nearest, and coordinate descent
    ends it; see `kernels.descended`. Source: [BWKL19].

    With `keep` below 1 it prunes input channels too: only those of the largest norm are kept, fewer
    from step to step of the first third, and what is dropped gets no gradient anymore. Depthwise
    kernels keep all.

    Args:
        mu: Share of the correction, in [0, 1].
        steps: Steps of Adam for each layer, 1 or more.
        learning_rate: In steps of the grid, above 0.
        keep: Part of the input channels that is kept, in (0, 1]; rounded up.

    Raises:
        ValueError: An argument is out of its range.
    """

    needs_samples = 1

    def __init__(
        self, mu: float = 0.6, steps: int = 400, learning_rate: float = 0.02, keep: float = 1.0
    ) -> None:
        if not 0.0 <= mu <= 1.0 or steps < 1 or not learning_rate > 0.0 or not 0.0 < keep <= 1.0:
            raise ValueError(
                "`mu` must lie in [0, 1], `steps` be at least 1, `learning_rate` above 0, and "
                f"`keep` in (0, 1]. Received: mu={mu}, steps={steps}, keep={keep}, "
                f"learning_rate={learning_rate}."
            )
        self.mu = mu
        self.steps = steps
        self.learning_rate = learning_rate
        self.keep = keep

    def correct(self, case: Case) -> None:
        """See `Correction.correct`."""
        for kernel in grid_kernels(case, "Cross distillation", "cross distillation"):
            path = kernel.path
            moments = case.moments(path)
            gram = cross_gram(moments, self.mu)
            gram = gram + ridge_of(gram, moments.rows)
            set_kernel(case, path, self.trained(gram, kernel, _input_channels(case, path)))

    def trained(self, gram: np.ndarray, kernel: GridKernel, channels: int = 1) -> np.ndarray:
        """Returns the best matrix on the grid that the training came by.

        Args:
            gram: What `cross_gram` returned.
            kernel: The kernel.
            channels: Of its inputs, the fastest along its columns; 1 prunes none.
        """
        original, step = kernel.original, kernel.step
        size = original.shape[1]
        unit = np.maximum(mean_diagonal(gram), 1e-30)
        values = original / step
        best, least = kernel.rounded, error(kernel.rounded, original, gram)
        dropped = channels - math.ceil(self.keep * channels)
        mask = np.ones((1, size, 1))
        adam = Adam(self.learning_rate)
        for count in range(self.steps):
            if dropped and mask.sum() > size - dropped * size // channels:
                gone = min(dropped, math.ceil(dropped * 3 * (count + 1) / self.steps))
                mask = _mask_of_largest(step * values, channels, channels - gone)
                values, least = values * mask, math.inf  # what was best had more channels
            matrix = nearest(step * values, step, kernel.top)
            found = error(matrix, original, gram)
            if found < least:
                best, least = matrix, found
            gradient = 2.0 * (gram / unit) @ ((matrix - original) / step)
            values = adam.updated(values, gradient * mask) * mask  # straight through the rounding
        return descended(gram, original, step, kernel.top, best, mask)


def _input_channels(case: Case, path: str) -> int:
    """Returns how many input channels the columns of a layer go through; 1 of a depthwise one."""
    layer = case.layers[path].layer
    return 1 if case.original(path).shape[0] > 1 else int(layer.kernel.shape[-2])


def _mask_of_largest(values: np.ndarray, channels: int, kept: int) -> np.ndarray:
    """Returns 1 in the rows of the input channels of the largest norm, 0 elsewhere."""
    norms = np.sqrt(np.square(values).sum((0, 2)).reshape(-1, channels).sum(0))
    chosen = np.zeros(channels)
    chosen[np.argsort(-norms, kind="stable")[:kept]] = 1.0
    return np.tile(chosen, values.shape[1] // channels)[None, :, None]
