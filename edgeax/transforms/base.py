"""Transform: a tensor-to-tensor map with a gradient that can be frozen. Chain: several in a row."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Float32

Role = Literal["weight", "activation"]


class Stateful(keras.layers.Layer):
    """Keeps state for one tensor: masks, centroids, ranges, steps.

    It is a Keras layer so that its state is saved, restored and distributed like any other weight.
    It always computes in float32, also under mixed precision.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.role: Role = "weight"

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the state for a tensor of this `shape`, a weight or an activation.

        Raises:
            ValueError: There can be no state for such a tensor.
        """
        self.role = role
        self.build(tuple(shape))
        self.built = True

    def state(self, name: str, shape: Sequence[int] = (), **kwargs: Any) -> keras.Variable:
        """Adds a variable that is saved with the model and equal on all replicas."""
        kwargs.setdefault("initializer", "zeros")
        kwargs.setdefault("trainable", False)
        return self.add_weight(
            name=name,
            shape=tuple(shape),
            autocast=False,
            aggregation="only_first_replica",
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    def get_build_config(self) -> None:
        """Returns nothing: what `bind` creates follows from the wrapper that owns the state."""
        return None


class Transform(Stateful):
    """Approximates a tensor in the forward pass and says what its gradient is.

    Weights arrive in canonical layout: the last axis is the output channel.

    Attributes:
        input_axes: Axes along which a filter goes through its input channels, none of a depthwise
            kernel; None: the last but one.
    """

    sources: tuple[str, ...] = ()
    weights_only = False
    activations_only = False
    input_axes: tuple[int, ...] | None = None

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the state for a tensor of this `shape`, a weight or an activation.

        Raises:
            ValueError: The transform cannot work on such a tensor.
        """
        if self.weights_only and role == "activation":
            raise ValueError(
                f"`{type(self).__name__}` must stand in the chain of a weight. Received: an input "
                "or output of a layer. Quantize works on those."
            )
        if self.activations_only and role == "weight":
            raise ValueError(
                f"`{type(self).__name__}` must stand at an input or output of a layer. Received: a "
                "weight. Quantize works on those."
            )
        super().bind(role, shape)

    def follow(self, before: "Transform") -> None:
        """Learns which transform comes right before it in a chain, so as to keep what it did.

        Raises:
            ValueError: The order would undo it.
        """
        del before

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Transforms `tensor`.

        Args:
            tensor: float32.
            step: int32 scalar, training steps done so far.
            renew: bool scalar, whether state may change now; None outside training.
        """
        raise NotImplementedError

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Takes the state for step 0 from the weight `tensor`; returns it transformed."""
        return self.call(tensor, tf.constant(0))

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns `tensor` as this transform leaves it after training."""
        raise NotImplementedError

    @property
    def settled_step(self) -> int:
        """How many training steps it takes until a weight has what was asked for."""
        return 0

    def at_once(self) -> "Transform":
        """Returns a transform without state that has its full effect from step 0 on."""
        return fresh(self)


@keras.saving.register_keras_serializable("edgeax")
class Chain(Stateful):
    """Transforms in a row, each keeping what the former ones did.

    The chain counts the training steps for the schedules of its members. A weight that one forward
    pass uses several times is still one step: that is what `uses` is for.

    Args:
        transforms: Transforms in the order in which they are applied.
        uses: Calls per forward pass, at least 1.

    Raises:
        ValueError: Something is no transform, the order is wrong, or `uses` is below 1.
    """

    def __init__(self, transforms: Sequence[Transform], uses: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.transforms = [_as_transform(transform) for transform in transforms]
        if uses < 1:
            raise ValueError(f"`uses` must be at least 1. Received: uses={uses}.")
        self.uses = int(uses)
        for before, after in zip(self.transforms, self.transforms[1:], strict=False):
            after.follow(before)

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates the state of every member for a tensor of this `shape`, and the step counter."""
        for transform in self.transforms:
            transform.bind(self.role, shape)
        self.calls = self.state("calls", dtype="int32")

    def call(self, tensor: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns `tensor` after all transforms, float32, same shape."""
        calls = self.calls.value
        step = calls // self.uses
        renew = tf.equal(calls % self.uses, 0) if training else None
        for transform in self.transforms:
            tensor = transform.call(tensor, step, renew)
        if training:
            self.calls.assign(calls + 1)
        return tensor

    @property
    def step(self) -> int:
        """Training steps done so far."""
        return int(now(self.calls)) // self.uses

    def initialize(self, tensor: tf.Tensor) -> None:
        """Gives members that act from step 0 on their first state, from the weight `tensor`.

        Once training has begun, it does nothing.
        """
        if now(self.calls) > 0:
            return
        for transform in self.transforms:
            tensor = transform.initialize(tensor)

    def freeze(self, value: np.ndarray) -> EncodedTensor:
        """Returns the weight as the chain leaves it, in codes.

        Args:
            value: float32, the raw weight in canonical layout.

        Returns:
            An encoded tensor whose `decode()` equals `self(value)` exactly.
        """
        encoded = EncodedTensor(np.asarray(value, np.float32), Float32(), {})
        for transform in self.transforms:
            encoded = transform.freeze(encoded)
        return encoded

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        members = [keras.saving.serialize_keras_object(member) for member in self.transforms]
        return {"transforms": members, "uses": self.uses}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Chain":
        """Returns the chain that `get_config` described, with new state."""
        members = [keras.saving.deserialize_keras_object(member) for member in config["transforms"]]
        return cls(members, config["uses"])


def _as_transform(value: Any) -> Transform:
    if isinstance(value, Transform):
        return value
    raise ValueError(
        "`transforms` must hold edgeax transforms such as Prune, Cluster or Quantize. "
        f"Received: {value!r}."
    )


def now(variable: keras.Variable) -> np.ndarray:
    """Returns the value of a state variable, also of one that is mirrored on several replicas."""
    return tf.convert_to_tensor(variable.value).numpy()


def fresh(transform: Transform) -> Transform:
    """Returns a transform of the same settings with no state."""
    return type(transform).from_config(transform.get_config())
