"""Training that goes on where a model is used: for less, and without forgetting."""

from edgeax.model.update_plan import UpdatePart, UpdatePlan
from edgeax.search.plan_update import plan_update

__all__ = ["UpdatePart", "UpdatePlan", "plan_update"]
