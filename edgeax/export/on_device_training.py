"""OnDeviceTraining: what an exported file will be able to learn, and how."""

import contextlib
import dataclasses
from typing import Any

import keras

from edgeax.formats.training_signature import LOSSES
from edgeax.transforms.checks import checked_count

BATCH_NORM = ("frozen", "live")
WEIGHTS = ("float32", "int8")


@dataclasses.dataclass(frozen=True)
class OnDeviceTraining:
    """How `edgeax.export(model, path, train=...)` makes a file that goes on learning.

    Args:
        optimizer: A Keras optimizer or its name. What it keeps of each weight becomes state of the
            file, and its `apply`, in TensorFlow's operators, part of the training step: any of
            Keras's and of `edgeax.optimizers` that gathers nothing over several steps. Its learning
            rate is the default of an input.
        trainable: What is trained: `"all"` layers, the last so many, a list of layers' names,
            `"biases"`, or a plan of `edgeax.lifelong.plan_update`. All other weights are constants
            of the file, and layers in front of the first that is trained stay as compressed as
            `edgeax.export` makes them.
        loss: `"cross_entropy"` of class indices, for a model that ends in a softmax or in logits,
            or `"mean_square"` of the differences from targets of the output's shape.
        batch_size: Rows of a training step, at least 1.
        infer_batch_size: Rows of `infer`, at least 1.
        batch_norm: `"frozen"`: batch normalizations compute with their statistics, as constants;
            `"live"`: they are trained and their statistics follow the batches, where layers in
            front of them are trained, or all.
        weights: `"float32"`, or `"int8"`: kernels that are trained stay codes of 8 bits, on the
            grid that training gave them or on one of their own. The file computes from the floats
            that they stand for, and an update moves them by whole steps, one at least, as far up
            as down. The optimizer must know its direction: one of `edgeax.optimizers` that go by
            signs.
        keep: Whether a training step takes an input that says which of the model's SelectiveBlocks
            it runs.

    Raises:
        ValueError: An argument is out of its range.

    Example: `edgeax.OnDeviceTraining(keras.optimizers.SGD(0.01), trainable=2, batch_size=8)`
    """

    optimizer: Any = "sgd"
    trainable: Any = "all"
    loss: str = "cross_entropy"
    batch_size: int = 1
    infer_batch_size: int = 1
    batch_norm: str = "frozen"
    weights: str = "float32"
    keep: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "infer_batch_size"):
            object.__setattr__(self, name, checked_count(name, getattr(self, name)))
        for name, choices in (
            ("loss", LOSSES),
            ("batch_norm", BATCH_NORM),
            ("weights", WEIGHTS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"`{name}` must be one of {choices}. Received: {getattr(self, name)!r}."
                )
        if not isinstance(self.keep, bool):
            raise ValueError(f"`keep` must be True or False. Received: {self.keep!r}.")
        optimizer = self.optimizer
        if isinstance(optimizer, str):
            with contextlib.suppress(ValueError):
                optimizer = keras.optimizers.get(optimizer)
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise ValueError(
                "`optimizer` must be a Keras optimizer or the name of one, such as 'sgd'. "
                f"Received: {self.optimizer!r}."
            )
        object.__setattr__(self, "optimizer", optimizer)
