"""Post-training quantization: calibrations, corrections, and samples where there are none.

`quantize` takes a `Case` through corrections; `named` lists what it knows by name.
"""

from edgeax.post_training.api import quantize
from edgeax.post_training.calibration import Calibration
from edgeax.post_training.case import Case, Correction
from edgeax.post_training.distilled_samples import distilled_samples
from edgeax.post_training.equalization import equalize
from edgeax.post_training.named import CALIBRATIONS, CORRECTIONS
from edgeax.post_training.outlier_splitting import split_outlier_channels
from edgeax.post_training.product_quantization import product_quantize

__all__ = [
    "product_quantize",
    "CALIBRATIONS",
    "CORRECTIONS",
    "Calibration",
    "Case",
    "Correction",
    "distilled_samples",
    "equalize",
    "quantize",
    "split_outlier_channels",
]
