"""What takes part in `fit`: callbacks, losses, regularizers, constraints, teachers."""

from edgeax.model.arithmetics import ARITHMETICS, as_arithmetic
from edgeax.model.loss_scaling import (
    DynamicLossScaleOptimizer,
    EnhancedLossScaleOptimizer,
    loss_scaled,
)
from edgeax.training.accumulator import accumulator_bits, variance_retained
from edgeax.training.added_loss import AddedLoss
from edgeax.training.auto_balanced import AutoBalanced
from edgeax.training.auto_pruner import AutoPruner
from edgeax.training.callbacks import CompressionLogger
from edgeax.training.constraints import WeightClip
from edgeax.training.deep_kmeans import DeepKMeans
from edgeax.training.distillation import Distiller
from edgeax.training.dropped_data import drop
from edgeax.training.e2train import E2Train
from edgeax.training.fractional_block import FractionalBlock
from edgeax.training.gradient_l1 import GradientL1
from edgeax.training.group_lasso import GroupLasso
from edgeax.training.halp import HALP
from edgeax.training.incremental_regularization import IncrementalRegularization
from edgeax.training.kurtosis import KURE, Kurtosis
from edgeax.training.lars import LARS
from edgeax.training.lottery import LotteryTicket, lottery_ticket
from edgeax.training.minibatch_dropping import MinibatchDropping
from edgeax.training.muppet import MuPPET
from edgeax.training.optimizer_state import MaskOptimizerState
from edgeax.training.precision_gate import PrecisionGate
from edgeax.training.predicted_signs import PredictedSigns
from edgeax.training.predictive_models import (
    with_predictive_gradients,
    without_predictive_gradients,
)
from edgeax.training.progressive_precision import ProgressivePrecision
from edgeax.training.proximal import ProximalGroupLasso
from edgeax.training.psg import (
    PredictiveConv1D,
    PredictiveConv1DTranspose,
    PredictiveConv2D,
    PredictiveConv2DTranspose,
    PredictiveDense,
    PredictiveDepthwiseConv1D,
    PredictiveDepthwiseConv2D,
)
from edgeax.training.quantization_error import MSQE, PartialL2
from edgeax.training.regularizers import Bipolar, Euclidean, Manhattan
from edgeax.training.rehearsed_data import rehearse
from edgeax.training.residual_blocks import with_selective_blocks, without_selective_blocks
from edgeax.training.rounded_sgd import RoundedSGD
from edgeax.training.scratch import reinitialized, retraining_dropout, scratch_epochs
from edgeax.training.selection_gate import SelectionGate
from edgeax.training.selective_block import SelectiveBlock
from edgeax.training.sign_optimizers import (
    PredictiveSignSGD,
    SignSGD,
    Signum,
    majority_vote,
)
from edgeax.training.skip_aware import SkipAware
from edgeax.training.slimming import SlimmingL1
from edgeax.training.soft_targets import SoftTargets
from edgeax.training.stretched import StretchedSchedule
from edgeax.training.strip_auto_pruners import auto_pruned_channels, strip_auto_pruners
from edgeax.training.structured_sparsity import StructuredSparsity
from edgeax.training.svrg import SVRG
from edgeax.training.swa import SWA
from edgeax.training.teacher_effects import (
    SyntheticTeacher,
    TeacherEffects,
    confidence_weights,
    teacher_effects,
)
from edgeax.training.teacher_logits import with_teacher_logits
from edgeax.training.training_cost import TrainingCost
from edgeax.transforms.arithmetic import Arithmetic

__all__ = [
    "ARITHMETICS",
    "DeepKMeans",
    "DynamicLossScaleOptimizer",
    "EnhancedLossScaleOptimizer",
    "HALP",
    "KURE",
    "LARS",
    "MSQE",
    "SVRG",
    "SWA",
    "AddedLoss",
    "Arithmetic",
    "AutoBalanced",
    "AutoPruner",
    "Bipolar",
    "CompressionLogger",
    "Distiller",
    "E2Train",
    "Euclidean",
    "FractionalBlock",
    "GradientL1",
    "GroupLasso",
    "IncrementalRegularization",
    "Kurtosis",
    "LotteryTicket",
    "Manhattan",
    "MaskOptimizerState",
    "MinibatchDropping",
    "MuPPET",
    "PartialL2",
    "PrecisionGate",
    "PredictedSigns",
    "PredictiveConv1D",
    "PredictiveConv1DTranspose",
    "PredictiveConv2D",
    "PredictiveConv2DTranspose",
    "PredictiveDense",
    "PredictiveDepthwiseConv1D",
    "PredictiveDepthwiseConv2D",
    "PredictiveSignSGD",
    "ProgressivePrecision",
    "ProximalGroupLasso",
    "SelectionGate",
    "SelectiveBlock",
    "SkipAware",
    "SignSGD",
    "Signum",
    "RoundedSGD",
    "SlimmingL1",
    "SoftTargets",
    "StretchedSchedule",
    "StructuredSparsity",
    "SyntheticTeacher",
    "TeacherEffects",
    "TrainingCost",
    "WeightClip",
    "accumulator_bits",
    "as_arithmetic",
    "auto_pruned_channels",
    "confidence_weights",
    "drop",
    "loss_scaled",
    "lottery_ticket",
    "majority_vote",
    "rehearse",
    "reinitialized",
    "retraining_dropout",
    "scratch_epochs",
    "strip_auto_pruners",
    "teacher_effects",
    "with_predictive_gradients",
    "variance_retained",
    "with_selective_blocks",
    "with_teacher_logits",
    "without_predictive_gradients",
    "without_selective_blocks",
]
