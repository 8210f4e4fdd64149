"""Bias corrections: rounding moves the mean of what a layer gives, which a bias takes back."""

import numpy as np

from edgeax.formats import implements
from edgeax.model.graph import is_nested
from edgeax.post_training.case import Case, Correction
from edgeax.post_training.expectations import expected_inputs
from edgeax.post_training.kernels import grid_kernels, set_kernel, shift_outputs
from edgeax.post_training.outputs import with_biases, without_shift

_TEST = "tests/post_training/test_bias_correction.py::"


class _Shifting(Correction):
    """Base of the corrections that add something to the outputs of layers."""

    what = "bias correction"

    def prepare(self, case: Case) -> None:
        """Gives a bias to layers that have none and no batch normalization behind them."""
        if not is_nested(case.plain):
            return
        missing = without_shift(case.plain)
        if missing:
            case.plain = with_biases(case.plain, missing)

    def shift(self, case: Case, path: str, shift: np.ndarray) -> None:
        """Adds `shift`, `(groups, outputs)`, to what a layer gives."""
        if np.all(np.isfinite(shift)) and not shift_outputs(case, path, shift):
            case.skip(f"{self.what} of {path}", "it has no bias and no batch normalization")


@implements("NBBW19", test=_TEST + "test_nbbw19_the_mean_of_every_output_is_that_in_float")
class BiasCorrection(_Shifting):
    """Takes back what rounding does to the mean of each output channel, measured on the samples.

    Layer by layer, so that each sees the inputs that the corrected layers before it make.
    Source: [NBBW19], empirical.
    """

    needs_samples = 1

    def correct(self, case: Case) -> None:
        """See `Correction.correct`."""
        for path in case.progress("Bias correction", case.linear_layers(self.what)):
            moments = case.moments(path, with_grams=False)
            wanted = _product(moments.teacher_mean, case.original(path))
            self.shift(case, path, wanted - _product(moments.student_mean, case.rounded(path)))


@implements("NBBW19", test=_TEST + "test_nbbw19_the_expectation_is_that_of_a_clipped_normal")
class AnalyticBiasCorrection(_Shifting):
    """Takes back what the rounded kernel does to the mean of each output channel, without samples.

    The mean input comes from the batch normalization before: `gamma N(-beta/gamma) + beta (1 -
    Phi(-beta/gamma))` behind a ReLU. Where it cannot be known, as at the first layer or behind max
    pooling, the layer is skipped, which is said. Source: [NBBW19].
    """

    what = "analytic bias correction"

    def correct(self, case: Case) -> None:
        """See `Correction.correct`."""
        if not is_nested(case.plain):
            case.skip(self.what, "the model has no graph to follow the batch normalizations in")
            return
        means = expected_inputs(case.plain, case.statistics)
        for path in case.linear_layers(self.what):
            mean = means.get(path)
            if mean is None:
                case.skip(f"{self.what} of {path}", "no batch normalization tells its mean input")
                continue
            change = case.rounded(path) - case.original(path)
            self.shift(case, path, -_product(_as_columns(mean, change.shape), change))


@implements("BNS19", test=_TEST + "test_bns19_mean_and_deviation_of_the_weights_are_restored")
class WeightBiasCorrection(_Shifting):
    """Restores the mean and the standard deviation of the weights of each output channel.

    `w_q` becomes `xi (w_q + mu)`, `mu = E w - E w_q`, `xi = sigma(w) / sigma(w_q)`. The factor goes
    into the channel's scale; the mean, which no symmetric grid can hold, into the bias, times the
    mean input of the samples. Source: [BNS19].
    """

    what = "weight bias correction"

    def correct(self, case: Case) -> None:
        """See `Correction.correct`."""
        if not case.samples:
            case.skip(self.what, "without samples only deviations are restored, not means")
        for kernel in grid_kernels(case, "Weight bias correction", self.what):
            path = kernel.path
            before, after = kernel.original, kernel.rounded
            shift = before.mean(1, keepdims=True) - after.mean(1, keepdims=True)
            spread = after.std(1, keepdims=True)
            xi = np.ones_like(spread)
            np.divide(before.std(1, keepdims=True), spread, xi, where=spread > 0)
            if kernel.per_channel:
                set_kernel(case, path, xi * after, xi * kernel.step)
            else:
                xi = np.ones_like(xi)
            if case.samples:
                mean = case.moments(path, with_grams=False).student_mean.sum(1)[:, None]
                self.shift(case, path, (xi * shift)[:, 0] * mean)


def _product(mean: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Returns what a matrix makes of a mean column, `(groups, outputs)`."""
    return np.einsum("gn,gno->go", mean, matrix)


def _as_columns(mean: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the mean column, `(groups, size)`, of inputs with a mean for each channel."""
    groups, size, _ = shape
    if groups > 1 or mean.size == groups:  # depthwise: one channel a group
        return np.repeat(mean[:, None], size, axis=1)
    return np.tile(mean, size // mean.size)[None]
