"""Which weights an operation reads, its own or not.

A function may hold a layer that is nowhere in its configuration. Its copy would compute with the
weights of the original, raw and never trained.
"""

from typing import Any

import keras
import tensorflow as tf

from edgeax.model.graph import Call, Graph


def check_reads(graph: Graph) -> None:
    """Checks that every operation of a copied model reads no weights but its own.

    Raises:
        ValueError: One reads those of another layer.
    """
    for call in graph.calls:
        if type(call.operation).__module__.startswith("keras.") and not isinstance(
            call.operation, keras.layers.Lambda
        ):
            continue  # Keras's own layers keep to themselves, and tracing takes time.
        own = {id(variable) for variable in getattr(call.operation, "variables", ())}
        for variable in variables_read(call):
            if id(variable) not in own:
                raise ValueError(
                    "`model` must read each weight in the layer that has it. Received: "
                    f"{graph.path(call.operation)!r}, which reads {variable.path!r} of another "
                    "layer. Its copy would go on reading the original's. Call that layer instead, "
                    "or compute with its weights in the call of a subclassed model, where "
                    "edgeax.compress can see to them."
                )


def variables_read(call: Call) -> list[keras.Variable]:
    """Returns the Keras variables that the operation of a call reads."""
    scope = _NotingScope()
    leaves = keras.tree.flatten((call.args, call.kwargs))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, keras.KerasTensor)]

    def run(*tensors: Any) -> Any:
        filled = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        args, kwargs = keras.tree.pack_sequence_as((call.args, call.kwargs), filled)
        return call.operation(*args, **kwargs)

    specs = [tf.TensorSpec(leaves[place].shape, leaves[place].dtype) for place in places]
    with scope:
        tf.function(run, autograph=False).get_concrete_function(*specs)
    return scope.read


class _NotingScope(keras.StatelessScope):
    """Notes every variable that is read inside it."""

    def __init__(self) -> None:
        super().__init__(collect_losses=True)
        self.read: list[keras.Variable] = []

    def get_current_value(self, variable: keras.Variable) -> Any:
        self.read.append(variable)
        return super().get_current_value(variable)
