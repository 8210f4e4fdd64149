"""TrainingCost: what the steps of `fit` cost on modelled hardware, in the logs."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.energy import TABLES
from edgeax.model.training_cost import StepCost, step_cost
from edgeax.training.predicted_signs import predicted_fractions
from edgeax.training.predictive_models import predictive_layers


@keras.saving.register_keras_serializable("edgeax")
class TrainingCost(keras.callbacks.Callback):
    """Writes into the logs of each batch and epoch what a step costs: see `edgeax.cost`.

    `step_macs`, `step_bit_operations`, `step_traffic_bytes` and `step_energy_pj`: means over all
    steps of the epoch so far, those included that were dropped and cost nothing. Skips are those
    that happened: of mini-batches as `steps_run` and `steps_seen` in the logs say (list it behind
    MinibatchDropping), of blocks as their variable `kept` says after each batch, of gradients as
    layers that predict have counted.

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
        self._cost: StepCost | None = None
        self._kept: dict[str, list[float]] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Counts the work of a step."""
        self._cost = step_cost(self.model, self.batch_size, energy=self.energy, slots=self.slots)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts to count anew."""
        self._kept = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which blocks ran, and writes the costs so far."""
        for name, block in self._blocks().items():
            kept = float(tf.convert_to_tensor(block.kept.value))
            self._kept.setdefault(name, []).append(kept)
        if logs is not None:
            logs.update(self._values(logs))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the costs of the epoch."""
        if logs is not None:
            logs.update(self._values(logs))

    def _blocks(self) -> dict[str, Any]:
        """Returns the selective blocks by their paths."""
        paths = {work.block for work in self._work() if work.block is not None}
        by_name = {
            layer.name: layer
            for layer in self.model._flatten_layers()
            if isinstance(getattr(layer, "kept", None), keras.Variable)
        }
        names = {path: path.rsplit("/")[-1] for path in paths}
        return {path: by_name[name] for path, name in names.items() if name in by_name}

    def _values(self, logs: dict[str, Any]) -> dict[str, float]:
        if self._cost is None:
            return {}
        seen = float(logs.get("steps_seen", 0.0))
        ran = float(logs.get("steps_run", seen)) / seen if seen else 1.0
        kept = {path: sum(values) / len(values) for path, values in self._kept.items()}
        total = self._cost(ran, kept, self._predicted()).total
        return {f"step_{name}": float(value) for name, value in dataclasses.asdict(total).items()}

    def _predicted(self) -> dict[str, float]:
        fractions = predicted_fractions(self.model)
        by_name = {layer.name: fractions[id(layer)] for layer in predictive_layers(self.model)}
        names = {work.path: work.path.rsplit("/")[-1] for work in self._work()}
        return {path: by_name[name] for path, name in names.items() if name in by_name}

    def _work(self) -> Any:
        return self._cost.work if self._cost is not None else ()

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"batch_size": self.batch_size, "energy": self.energy, "slots": self.slots}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TrainingCost":
        """Returns the callback that `get_config` described."""
        return cls(**config)
