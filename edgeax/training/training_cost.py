"""TrainingCost: what the steps of `fit` cost on modelled hardware, in the logs."""

import dataclasses
from typing import Any

import keras
import numpy as np

from edgeax.formats.energy import TABLES
from edgeax.model.training_cost import Cost, StepCost, step_cost
from edgeax.model.training_formats import ChangingWidths
from edgeax.training.predicted_signs import predicted_fractions
from edgeax.training.predictive_models import predictive_layers
from edgeax.transforms.base import now


@keras.saving.register_keras_serializable("edgeax")
class TrainingCost(keras.callbacks.Callback):
    """Writes into the logs of each batch and epoch what a step costs: see `edgeax.cost`.

    `step_macs`, `step_bit_operations`, `step_traffic_bytes` and `step_energy_pj`: means over all
    steps of the epoch so far, those included that were dropped and cost nothing. Skips are those
    that happened: of mini-batches as `steps_run` and `steps_seen` in the logs say (list it behind
    MinibatchDropping), of blocks as their variable `kept` says after each batch, of gradients as
    layers that predict have counted. Formats are those of the transforms and of the arithmetic of
    each layer; widths that a schedule or a stage changes are read before each batch, and what a
    gate has chosen behind it.

    Args:
        batch_size: Samples in a step, at least 1.
        energy: `"45nm"` or `"eyeriss"`.
        slots: How many numbers the optimizer remembers for each weight.

    Raises:
        ValueError: An argument is out of its range.

    Example: `model.fit(x, y, batch_size=32, callbacks=[edgeax.callbacks.TrainingCost(32)])`
    """

    def __init__(self, batch_size: int, energy: str = "45nm", slots: int = 1) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}.")
        if energy not in TABLES:
            raise ValueError(f"`energy` must be one of {sorted(TABLES)}. Received: {energy!r}.")
        self.batch_size, self.energy, self.slots = int(batch_size), energy, int(slots)
        self._costs: dict[tuple[int, ...], StepCost] = {}  # by the widths that hold
        self._widths = ChangingWidths(())
        self._steps: dict[tuple[int, ...], int] = {}
        self._kept: dict[str, list[float]] = {}
        self._chosen: dict[str, list[np.ndarray]] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Counts the work of a step."""
        self._costs, self._widths = {}, ChangingWidths.of(self.model)
        self._costs_of(self._widths.now())

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts to count anew."""
        self._kept, self._chosen, self._steps = {}, {}, {}

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the widths of the step to come."""
        widths = self._widths.now()
        self._steps[widths] = self._steps.get(widths, 0) + 1
        self._costs_of(widths)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which blocks ran and what was chosen, and writes the costs so far."""
        for name, block in self._blocks("kept").items():
            self._kept.setdefault(name, []).append(float(now(block.kept)))
        for name, block in self._blocks("chosen").items():
            self._chosen.setdefault(name, []).append(now(block.chosen))
        if logs is not None:
            logs.update(self._values(logs))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the costs of the epoch."""
        if logs is not None:
            logs.update(self._values(logs))

    def _costs_of(self, widths: tuple[int, ...]) -> StepCost:
        """Returns the cost of a step in some widths; those not seen yet must hold now."""
        if widths not in self._costs:
            self._costs[widths] = step_cost(
                self.model, self.batch_size, energy=self.energy, slots=self.slots
            )
        return self._costs[widths]

    def _blocks(self, variable: str) -> dict[str, Any]:
        """Returns the blocks that have a variable of a name, by their paths."""
        paths = {work.block for work in self._work() if work.block is not None}
        by_name = {
            layer.name: layer
            for layer in self.model._flatten_layers()
            if isinstance(getattr(layer, variable, None), keras.Variable)
        }
        names = {path: path.rsplit("/")[-1] for path in paths}
        return {path: by_name[name] for path, name in names.items() if name in by_name}

    def _values(self, logs: dict[str, Any]) -> dict[str, float]:
        seen = float(logs.get("steps_seen", 0.0))
        ran = float(logs.get("steps_run", seen)) / seen if seen else 1.0
        kept = {path: sum(values) / len(values) for path, values in self._kept.items()}
        chosen = {path: np.mean(values, axis=0) for path, values in self._chosen.items()}
        steps = self._steps or {self._widths.now(): 1}
        total = Cost()
        for widths, count in steps.items():
            cost = self._costs_of(widths)(ran, kept, self._predicted(), chosen).total
            total += cost.scaled(count / sum(steps.values()))
        return {f"step_{name}": float(value) for name, value in dataclasses.asdict(total).items()}

    def _predicted(self) -> dict[str, float]:
        fractions = predicted_fractions(self.model)
        by_name = {layer.name: fractions[id(layer)] for layer in predictive_layers(self.model)}
        names = {work.path: work.path.rsplit("/")[-1] for work in self._work()}
        return {path: by_name[name] for path, name in names.items() if name in by_name}

    def _work(self) -> Any:
        return next(iter(self._costs.values())).work if self._costs else ()

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"batch_size": self.batch_size, "energy": self.energy, "slots": self.slots}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TrainingCost":
        """Returns the callback that `get_config` described."""
        return cls(**config)
