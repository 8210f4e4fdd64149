"""What training costs: `edgeax.cost.training_cost(model, batch_size=32)`."""

from edgeax.formats.energy import (
    TABLES,
    EnergyTable,
    Eyeriss,
    FortyFiveNanometres,
    Width,
    training_share,
)
from edgeax.model.training_cost import (
    Cost,
    LayerTrainingCost,
    ModelTrainingCost,
    StepCost,
    step_cost,
    training_cost,
)
from edgeax.model.training_formats import TrainingFormats

__all__ = [
    "TABLES",
    "Cost",
    "EnergyTable",
    "Eyeriss",
    "FortyFiveNanometres",
    "LayerTrainingCost",
    "ModelTrainingCost",
    "StepCost",
    "TrainingFormats",
    "Width",
    "step_cost",
    "training_cost",
    "training_share",
]
