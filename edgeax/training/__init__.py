"""What takes part in `fit`: callbacks, losses, regularizers, constraints, teachers."""

from edgeax.training.callbacks import CompressionLogger
from edgeax.training.constraints import WeightClip
from edgeax.training.distillation import Distiller
from edgeax.training.regularizers import Bipolar, Euclidean, Manhattan
from edgeax.training.soft_targets import SoftTargets
from edgeax.training.teacher_effects import (
    SyntheticTeacher,
    TeacherEffects,
    confidence_weights,
    teacher_effects,
)
from edgeax.training.teacher_logits import with_teacher_logits

__all__ = [
    "Bipolar",
    "CompressionLogger",
    "Distiller",
    "Euclidean",
    "Manhattan",
    "SoftTargets",
    "SyntheticTeacher",
    "TeacherEffects",
    "WeightClip",
    "confidence_weights",
    "teacher_effects",
    "with_teacher_logits",
]
