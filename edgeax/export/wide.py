"""Wide operators: what TFLite computes between 16-bit tensors and the converter does not know.

The converter takes the results of tanh, sigmoid and softmax for 8 bits, refuses to join 16-bit
tensors, and drops a change of their grid. Here they are placeholders while it runs;
`lower_wide` makes them TFLite's operators afterwards.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.export.placeholder import PREFIX, Placeholder, kept_whole

# Name in the schema, options, table of options and version of what stands for each function.
ACTIVATIONS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "tanh": ("TANH", "", {}, 3),
    "sigmoid": ("LOGISTIC", "", {}, 3),
    "softmax": ("SOFTMAX", "SoftmaxOptions", {"beta": 1.0}, 3),
    "linear": ("QUANTIZE", "QuantizeOptions", {}, 2),  # only changes the grid
}
CONCATENATION = f"{PREFIX}CONCATENATION_"


class WideActivation(Placeholder):
    """An activation over the last axis, or a change of the grid.

    Args:
        function: `"tanh"`, `"sigmoid"`, `"softmax"` or `"linear"`.
    """

    def __init__(self, function: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operator = PREFIX + ACTIVATIONS[function][0]
        apply = keras.activations.get(function)
        self._whole = kept_whole(lambda tensor: apply(tensor), self.operator)

    def call(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the function's values."""
        return self._whole(tensor)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape


def changed_grid() -> WideActivation:
    """Returns what only brings values to another grid, of 8 or of 16 bits."""
    return WideActivation("linear")


class WideConcatenation(Placeholder):
    """Tensors on one grid, joined along an axis.

    Args:
        axis: The axis, counted from the front.
    """

    def __init__(self, axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.operator = f"{CONCATENATION}{axis}"
        self._whole = kept_whole(lambda *tensors: tf.concat(tensors, axis), self.operator)

    def call(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns the joined tensor."""
        return self._whole(*tensors)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the joined tensor."""
        shape = list(input_shape[0])
        shape[self.axis] = sum(one[self.axis] for one in input_shape)
        return tuple(shape)
