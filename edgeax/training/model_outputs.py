"""What models give: classes or yes-no questions, by which names, and whether two models fit."""

from typing import Any

import keras
import tensorflow as tf

from edgeax.model import placement
from edgeax.model.graph import is_functional, is_nested
from edgeax.training.soft_targets import KINDS
from edgeax.transforms.checks import checked_choice

# Layers behind which values are still what they were: they move them, or average probabilities.
_KEEPING = (
    *("Reshape", "Flatten", "Permute", "Dropout", "Identity", "ActivityRegularization"),
    "Average",
)


def checked_gives(role: str, model: Any, gives: Any) -> Any:
    """Returns what a model gives, each one of `KINDS`: as told, or as its graph shows.

    Args:
        role: `"teacher"` or `"student"`, for messages.
        model: The model.
        gives: One for all outputs, or a list or dict; None if the graph shall show it.

    Raises:
        ValueError: It is no model, or what it gives is unknown or cannot be seen.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`{role}` must be a Keras model. Received: {type(model).__name__}. "
            "Wrap what you have in one."
        )
    if gives is not None:
        for kind in keras.tree.flatten(gives):
            checked_choice(f"{role}_gives", kind, KINDS)
        return gives
    outputs = model.outputs if _has_graph(model) else []
    found = [_kind_of(tensor) for tensor in outputs] or [None]
    if None in found:
        raise ValueError(
            f"`{role}_gives` must be one of {KINDS} for a model whose last activation cannot be "
            f"seen. Received: {role}_gives=None for {model.name!r}."
        )
    return found


def output_names(outputs: Any, model: keras.Model) -> list[str]:
    """Returns a name for each of the flattened outputs."""
    if isinstance(outputs, dict):
        return list(keras.tree.flatten({name: name for name in outputs}))
    if is_functional(model):
        return list(model.output_names)
    return [str(i) for i in range(len(keras.tree.flatten(outputs)))]


def for_each_output(argument: str, given: Any, names: list[str]) -> list[Any]:
    """Returns what is given for each output: one for all, or one for each by name or in order.

    Raises:
        ValueError: There are not as many as outputs, or the names are others.
    """
    if isinstance(given, dict) and set(given) == set(names):
        return [given[name] for name in names]
    if isinstance(given, (list, tuple)) and len(given) == len(names):
        return list(given)
    if isinstance(given, (dict, list, tuple)):
        raise ValueError(
            f"`{argument}` must have one entry for each output, which are {names}. "
            f"Received: {argument}={given!r}."
        )
    return [given] * len(names)


def check_models(teacher: keras.Model, student: keras.Model, adapted: bool) -> None:
    """Checks what can be known of two models before they are run.

    Args:
        teacher: The teacher.
        student: The student.
        adapted: Whether the teacher's inputs are made from the student's.

    Raises:
        ValueError: They take different inputs, unless `adapted`, or give different outputs.
    """
    if not (_has_graph(student) and _has_graph(teacher)):
        return
    if not adapted and not _fit(teacher.inputs, student.inputs):
        raise ValueError(
            "`teacher` must take the inputs of `student` unless `adapt_inputs` makes them. "
            f"Received: {_shapes(teacher.inputs)} and {_shapes(student.inputs)}. Pass e.g. "
            "adapt_inputs=keras.layers.Resizing(height, width)."
        )
    check_outputs(_outputs_of(teacher), _outputs_of(student))


def check_outputs(teacher: Any, student: Any) -> None:
    """Checks that what a teacher gives has the form and shapes of what its student gives.

    Raises:
        ValueError: It has not.
    """
    if not _fit(teacher, student):
        raise ValueError(
            "`teacher` must answer as `student` does, with as many outputs, places and classes. "
            f"Received: {_shapes(teacher)} and {_shapes(student)}. Give the student the teacher's "
            "classes, or wrap the teacher in a model that gives the student's."
        )


def _has_graph(model: keras.Model) -> bool:
    return is_nested(model) and (model.built or is_functional(model))


def _outputs_of(model: keras.Model) -> Any:
    """Returns the symbolic outputs of a graph in the structure that its maker gave them."""
    return model.outputs[0] if isinstance(model, keras.Sequential) else model.output


def _kind_of(tensor: Any) -> str | None:
    """Returns what an output of a graph holds, one of `KINDS`; None if that cannot be seen."""
    operation, node, index = tensor._keras_history
    if is_nested(operation):
        return _kind_of(operation.outputs[index])
    name = placement.activation_name(operation)
    layer = placement.plain(operation)
    kind = type(layer).__name__
    own = type(layer).__module__.partition(".")[0] == "keras"
    if name == "linear" and kind in ("Softmax", "Sigmoid") and own:  # of keras.ops
        name = kind.lower()
    if name in ("softmax", "sigmoid"):
        return name
    if name == "unknown" or (name == "linear" and not own):
        return None
    keeps = kind in _KEEPING or isinstance(layer, keras.layers.Activation)
    if name != "linear" or (getattr(layer, "weights", False) and not keeps):
        return "logits"
    found = {_kind_of(given) for given in operation._inbound_nodes[node].input_tensors}
    if found <= {"logits"}:
        return "logits"
    return found.pop() if keeps and len(found) == 1 else None


def _shapes(structure: Any) -> list[tuple[int | None, ...]]:
    return [tuple(tensor.shape) for tensor in keras.tree.flatten(structure)]


def _fit(one: Any, other: Any) -> bool:
    """Returns whether two structures of tensors have the same names and may have equal shapes."""
    if isinstance(one, dict) and isinstance(other, dict) and set(one) != set(other):
        return False
    shapes, others = _shapes(one), _shapes(other)
    return len(shapes) == len(others) and all(
        tf.TensorShape(shape).is_compatible_with(twin)
        for shape, twin in zip(shapes, others, strict=True)
    )
