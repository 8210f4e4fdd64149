"""What takes part in `fit`: callbacks, losses, regularizers, constraints, teachers."""

from edgeax.training.added_loss import AddedLoss
from edgeax.training.callbacks import CompressionLogger
from edgeax.training.constraints import WeightClip
from edgeax.training.distillation import Distiller
from edgeax.training.gradient_l1 import GradientL1
from edgeax.training.kurtosis import KURE, Kurtosis
from edgeax.training.lottery import LotteryTicket, lottery_ticket
from edgeax.training.quantization_error import MSQE, PartialL2
from edgeax.training.regularizers import Bipolar, Euclidean, Manhattan
from edgeax.training.scratch import reinitialized, retraining_dropout, scratch_epochs
from edgeax.training.soft_targets import SoftTargets
from edgeax.training.teacher_effects import (
    SyntheticTeacher,
    TeacherEffects,
    confidence_weights,
    teacher_effects,
)
from edgeax.training.teacher_logits import with_teacher_logits

__all__ = [
    "KURE",
    "MSQE",
    "AddedLoss",
    "Bipolar",
    "CompressionLogger",
    "Distiller",
    "Euclidean",
    "GradientL1",
    "Kurtosis",
    "LotteryTicket",
    "Manhattan",
    "PartialL2",
    "SoftTargets",
    "SyntheticTeacher",
    "TeacherEffects",
    "WeightClip",
    "confidence_weights",
    "lottery_ticket",
    "reinitialized",
    "retraining_dropout",
    "scratch_epochs",
    "teacher_effects",
    "with_teacher_logits",
]
