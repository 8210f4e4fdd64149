"""Names of calibrations and corrections: what `edgeax.quantize` takes as words."""

from collections.abc import Callable, Mapping
from typing import Any

from edgeax.post_training.admm import ADMM
from edgeax.post_training.analytic import Analytic
from edgeax.post_training.batch_norm import BatchNormReestimation
from edgeax.post_training.bias_correction import (
    AnalyticBiasCorrection,
    BiasCorrection,
    WeightBiasCorrection,
)
from edgeax.post_training.bit_allocation import BitAllocation
from edgeax.post_training.calibration import Calibration, MinMax, MovingAverage, Percentile
from edgeax.post_training.case import Correction
from edgeax.post_training.codebook_correction import CodebookCorrection
from edgeax.post_training.cross_distillation import CrossDistillation
from edgeax.post_training.dual_tensor import DualTensor
from edgeax.post_training.entropy import Entropy
from edgeax.post_training.learned_rounding import LearnedRounding
from edgeax.post_training.rewrites import CrossLayerEqualization, OutlierChannelSplitting
from edgeax.post_training.search import HessianWeighted, MeanSquaredError
from edgeax.post_training.sqnr import SignalToNoise
from edgeax.transforms.checks import named_object

CALIBRATIONS: dict[str, Callable[[], Calibration]] = {
    "min_max": MinMax,
    "moving_average": MovingAverage,
    "percentile": Percentile,
    "mse": MeanSquaredError,
    "hessian": HessianWeighted,
    "entropy": Entropy,
    "analytic": Analytic,
    "laplace": lambda: Analytic("laplace"),
    "gauss": lambda: Analytic("gauss"),
    "sqnr": SignalToNoise,
}

CORRECTIONS: dict[str, Callable[[], Correction]] = {
    "cross_layer_equalization": CrossLayerEqualization,
    "outlier_channel_splitting": OutlierChannelSplitting,
    "bit_allocation": BitAllocation,
    "dual_tensor": DualTensor,
    "admm": ADMM,
    "adaround": LearnedRounding,
    "cross_distillation": CrossDistillation,
    "codebook_correction": CodebookCorrection,
    "weight_bias_correction": WeightBiasCorrection,
    "bias_correction": BiasCorrection,
    "analytic_bias_correction": AnalyticBiasCorrection,
    "batch_norm_reestimation": BatchNormReestimation,
}


def calibrations_of(given: Any) -> tuple[Calibration, Calibration]:
    """Returns the calibrations of weights and of activations.

    Args:
        given: A name such as `"mse"`, a `Calibration`, or a mapping of `"weights"` and
            `"activations"` to these; min-max where one of them is missing.

    Raises:
        ValueError: There is no such calibration.
    """
    if not isinstance(given, Mapping):
        made = named_object("calibration", given, CALIBRATIONS, (Calibration,))
        return made, made
    unknown = sorted({*given} - {"weights", "activations"}, key=str)
    if unknown:
        raise ValueError(
            "`calibration` must map 'weights' and 'activations' to calibrations. "
            f"Received: {unknown}."
        )
    weights, activations = (given.get(name, "min_max") for name in ("weights", "activations"))
    return (
        named_object("calibration", weights, CALIBRATIONS, (Calibration,)),
        named_object("calibration", activations, CALIBRATIONS, (Calibration,)),
    )


def corrections_of(given: Any) -> list[Correction]:
    """Returns the corrections that words or objects stand for, in order.

    Raises:
        ValueError: There is no such correction.
    """
    if isinstance(given, (str, Correction)):
        given = [given]
    if not isinstance(given, (list, tuple)):
        raise ValueError(
            f"`corrections` must be a list of names or Corrections. Received: {given!r}."
        )
    return [named_object("corrections", member, CORRECTIONS, (Correction,)) for member in given]
