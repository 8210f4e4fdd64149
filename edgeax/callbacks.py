"""Public callbacks for `fit`, also by `from edgeax.callbacks import ...` as with Keras's own."""

from edgeax.training.auto_balanced import AutoBalanced
from edgeax.training.callbacks import CompressionLogger
from edgeax.training.deep_kmeans import DeepKMeans
from edgeax.training.gradient_l1 import GradientL1
from edgeax.training.incremental_regularization import IncrementalRegularization
from edgeax.training.kurtosis import KURE
from edgeax.training.minibatch_dropping import MinibatchDropping
from edgeax.training.muppet import MuPPET
from edgeax.training.optimizer_state import MaskOptimizerState
from edgeax.training.predicted_signs import PredictedSigns
from edgeax.training.progressive_precision import ProgressivePrecision
from edgeax.training.proximal import ProximalGroupLasso
from edgeax.training.quantization_error import MSQE, PartialL2
from edgeax.training.slimming import SlimmingL1
from edgeax.training.structured_sparsity import StructuredSparsity
from edgeax.training.svrg import SVRG
from edgeax.training.swa import SWA
from edgeax.training.training_cost import TrainingCost

__all__ = [
    "DeepKMeans",
    "KURE",
    "MSQE",
    "SVRG",
    "SWA",
    "AutoBalanced",
    "CompressionLogger",
    "GradientL1",
    "IncrementalRegularization",
    "MaskOptimizerState",
    "MinibatchDropping",
    "MuPPET",
    "PartialL2",
    "PredictedSigns",
    "ProgressivePrecision",
    "ProximalGroupLasso",
    "SlimmingL1",
    "StructuredSparsity",
    "TrainingCost",
]
