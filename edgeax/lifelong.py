"""Training that goes on where a model is used: for less, and without forgetting."""

from edgeax.formats.rehearsal import RehearsalBuffer
from edgeax.model.update_plan import UpdatePart, UpdatePlan
from edgeax.search.plan_update import plan_update
from edgeax.training.e2train import E2Train
from edgeax.training.rehearsed_data import rehearse
from edgeax.training.residual_blocks import with_selective_blocks, without_selective_blocks

__all__ = [
    "E2Train",
    "RehearsalBuffer",
    "UpdatePart",
    "UpdatePlan",
    "plan_update",
    "rehearse",
    "with_selective_blocks",
    "without_selective_blocks",
]
