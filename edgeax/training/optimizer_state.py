"""MaskOptimizerState: what the optimizer remembers of masked weights is forgotten."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from edgeax.model.copying import compressed_layers
from edgeax.model.layout import Layout
from edgeax.training.after_step import AfterStep, StepDone
from edgeax.transforms.mask import Mask


@dataclasses.dataclass(frozen=True, eq=False)
class MaskedWeight:
    """A variable that a mask with frozen zeros lies on.

    Attributes:
        variable: The raw weight.
        layout: How it goes to canonical layout.
        mask: Its transform.
    """

    variable: keras.Variable
    layout: Layout
    mask: Mask


@keras.saving.register_keras_serializable("edgeax")
class MaskOptimizerState(AfterStep):
    """Sets masked weights, and what the optimizer keeps of them, to zero after each step of `fit`.

    A masked weight gets no gradient, but the momentum it had moves its variable on, weight decay
    draws at it, and old moments make it jump should it ever come back. With this callback its raw
    value, momentum, Adam's moments and moving average are zero from the step on in which it is
    masked. It happens in the graph of the step, so that it holds between any two steps also with
    `steps_per_execution`. A later choice of a mask by magnitude then finds zeros there and keeps
    them: a weight once pruned stays pruned, as long as the mask does not shrink.

    It sees to every transform whose masks freeze: those derived from `edgeax.transforms.mask.Mask`
    with `updates="masked"`, on weights that are trained. With `updates="dense"` weights go on
    behind their mask, and nothing is touched.

    What an optimizer keeps of a weight is found in it as lists with one variable for each trained
    one, of the weight's shape; so Adafactor's sums over rows and columns stay. Accumulators that
    start above zero, as Adagrad's, start at zero for a weight that comes back.

    Raises:
        ValueError: In `fit`, no weight has such a mask.

    Args:
        begin_epoch: Epoch from which it acts, counted from 0 as `fit` does.

    Example: `model.fit(x, y, callbacks=[MaskOptimizerState()])`
    """

    def __init__(self, begin_epoch: int = 0) -> None:
        super().__init__(begin_epoch)
        self._weights: list[MaskedWeight] = []

    def prepare(self) -> None:
        """Finds the masks, and sees to the weights that are masked already."""
        self._weights = [*masked_weights(self.model)]
        if not self._weights:
            raise ValueError(
                "`model` must have a trained weight with a mask that freezes, such as that of "
                "Prune. Received: none. Use edgeax.compress with Prune(..., updates='masked'), or "
                "leave the callback out."
            )
        self._forget(self.model)

    def after_step(self, done: StepDone) -> None:
        """See `AfterStep.after_step`."""
        self._forget(done.model)

    def _forget(self, model: keras.Model) -> None:
        for weight in self._weights:
            stays = weight.layout.from_canonical(weight.mask.mask.value)
            for variable in (weight.variable, *slots_of(model.optimizer, weight.variable)):
                value = tf.convert_to_tensor(variable.value)
                variable.assign(tf.where(stays, value, tf.zeros_like(value)))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """See `AddedLoss.on_train_end`."""
        super().on_train_end(logs)
        self._weights = []

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"begin_epoch": self.begin_epoch}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MaskOptimizerState":
        """Returns the callback that `get_config` described."""
        return cls(**config)


def masked_weights(model: keras.Model) -> Iterator[MaskedWeight]:
    """Yields each trained weight of a model with a mask that freezes, nested models opened."""
    trained = {id(variable) for variable in model.trainable_variables}
    for layer in compressed_layers(model):
        for weight in layer.weight_chains:
            for transform in weight.chain.transforms:
                freezes = isinstance(transform, Mask) and transform.updates == "masked"
                if freezes and id(weight.variable) in trained:
                    yield MaskedWeight(weight.variable, weight.layout, transform)


def slots_of(optimizer: Any, variable: keras.Variable) -> list[keras.Variable]:
    """Returns what an optimizer keeps for a variable in that variable's shape: momentum and such.

    Args:
        optimizer: A Keras optimizer, one inside others included. Before it is built
            it keeps nothing.
        variable: One that it trains.
    """
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    trained = getattr(optimizer, "_trainable_variables", [])
    place = next((i for i, known in enumerate(trained) if known is variable), None)
    if place is None:
        return []
    lists = [
        value
        for value in vars(optimizer).values()
        if isinstance(value, (list, tuple)) and value is not trained and len(value) == len(trained)
    ]
    own = {id(slot) for slot in optimizer.variables}
    return [
        found[place]
        for found in lists
        if id(found[place]) in own and tuple(found[place].shape) == tuple(variable.shape)
    ]
