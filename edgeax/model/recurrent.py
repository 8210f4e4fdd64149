"""Cells of recurrent layers whose hidden state is rounded at every step."""

from typing import Any

import keras

from edgeax.formats import implements
from edgeax.model.slots import Slot, as_transforms, deserialized, serialized
from edgeax.transforms.base import Transform, fresh
from edgeax.transforms.quantize import Quantize


class _RoundsState:
    """Adds `state_quantizer` to a cell of Keras; comes before it among the bases."""

    def __init__(self, *args: Any, state_quantizer: Slot = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members = as_transforms("state_quantizer", state_quantizer)
        self._rounding = [fresh(_without_state(member)) for member in members]

    def build(self, input_shape: Any) -> None:
        """Creates the weights, and what rounds the state."""
        super().build(input_shape)  # type: ignore[misc]
        for transform in self._rounding:
            transform.bind("activation", ())

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """Returns the rounded output, and the next states, the hidden one rounded."""
        output, states = super().call(inputs, states, training=training)  # type: ignore[misc]
        # Nothing is assigned here: this runs within a loop, where no state can be followed.
        rounded = keras.ops.cast(output, "float32")
        for transform in self._rounding:
            rounded = transform.call(rounded, keras.ops.zeros((), "int32"))
        rounded = keras.ops.cast(rounded, output.dtype)
        if isinstance(states, (list, tuple)):
            return rounded, [rounded, *states[1:]]
        return rounded, rounded

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()  # type: ignore[misc]
        return {**config, **serialized({"state_quantizer": self._rounding})}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Returns the cell that `get_config` described."""
        members = deserialized({"state_quantizer": config["state_quantizer"]})
        return cls(**{**config, **members})


_HWZ16 = "tests/model/test_recurrent.py::test_hwz16_a_quantized_cell_learns_to_copy"


@implements("HWZ16", test=_HWZ16)
@keras.saving.register_keras_serializable("edgeax")
class RoundedLSTMCell(_RoundsState, keras.layers.LSTMCell):
    """LSTMCell whose hidden state is rounded at every step; the cell state, which sums up, is not.

    A `state_quantizer` is a transform, a number format, a name, or a list of these. A format is
    spread over [-1, 1], where tanh keeps the hidden state. Source: [HWZ16], as recalled.

    Raises:
        ValueError: `state_quantizer` would have to follow something from step to step.
    """


@implements("HWZ16", test=_HWZ16)
@keras.saving.register_keras_serializable("edgeax")
class RoundedGRUCell(_RoundsState, keras.layers.GRUCell):
    """GRUCell whose hidden state is rounded at every step.

    A `state_quantizer` is a transform, a number format, a name, or a list of these. A format is
    spread over [-1, 1], where tanh keeps the hidden state. Source: [HWZ16], as recalled.

    Raises:
        ValueError: `state_quantizer` would have to follow something from step to step.
    """


def _without_state(member: Transform) -> Transform:
    """Returns what rounds a hidden state, with a range that need not be followed.

    Raises:
        ValueError: It has other state.
    """
    if isinstance(member, Quantize) and member.fixed_range is None:
        member = Quantize.from_config(
            {**member.get_config(), "range": (-1.0, 1.0), "begin_step": 0}
        )
    trial = fresh(member)
    trial.bind("activation", ())
    if trial.weights:
        raise ValueError(
            "`state_quantizer` must have no state: it runs within the loop over the steps, where "
            f"nothing can be followed. Received: {type(member).__name__}, which keeps "
            f"{[variable.name for variable in trial.weights]}. Give the name of a number format."
        )
    return member
