"""Which layers stand first and last in a model, of those that have a kernel.

Papers keep these in a wider format: they see the raw image and make the logits.
"""

from collections.abc import Callable

import keras

from edgeax.model.graph import Call, Graph


def first_layers(graph: Graph, counts: Callable[[Call], bool]) -> set[int]:
    """Returns the ids of the operations that count and that come before all others that do.

    A layer that is called several times is among them if one of its calls is.

    Args:
        graph: The model.
        counts: Whether a call counts: that of a layer with a kernel.
    """
    behind = set()  # tensors that a call that counts lies before
    known = {id(tensor) for tensor in keras.tree.flatten(graph.inputs)}
    passed = False
    first = set()
    for call in graph.calls:
        inputs = call.input_tensors
        # What came about between two layers, out of sight, may come from any call before.
        hidden = passed and any(id(tensor) not in known for tensor in inputs)
        reached = hidden or any(id(tensor) in behind for tensor in inputs)
        if counts(call):
            passed = True
            if not reached:
                first.add(id(call.operation))
        outputs = {id(tensor) for tensor in call.output_tensors}
        known |= outputs
        if reached or counts(call):
            behind |= outputs
    return first


def last_layers(graph: Graph, counts: Callable[[Call], bool]) -> set[int]:
    """Returns the ids of the operations that count and that no other that does comes after.

    A layer that is called several times is among them if one of its calls is.

    Args:
        graph: The model.
        counts: Whether a call counts: that of a layer with a kernel.
    """
    before: set[int] = set()  # tensors that get to a call that counts
    used = {id(tensor) for call in graph.calls for tensor in call.input_tensors}
    used |= _results(graph)
    passed = False
    last = set()
    for call in reversed(graph.calls):
        outputs = {id(tensor) for tensor in call.output_tensors}
        # What nobody is seen to use may be used, out of sight, by any call behind.
        leads = bool(outputs & before) or (passed and not outputs & used)
        if counts(call):
            passed = True
            if not leads:
                last.add(id(call.operation))
        if leads or counts(call):
            before |= {id(tensor) for tensor in call.input_tensors}
    return last


def closing_layers(graph: Graph, counts: Callable[[Call], bool]) -> set[int]:
    """Returns the ids of the operations that count and that get to an output of the model on some
    way past no other that does: those on which the shapes of the outputs depend.

    Args:
        graph: The model; all of it must be known.
        counts: Whether a call counts: that of a layer that chooses how many channels it makes.
    """
    open_tensors = _results(graph)
    closing = set()
    for call in reversed(graph.calls):
        if not open_tensors & {id(tensor) for tensor in call.output_tensors}:
            continue
        if counts(call):
            closing.add(id(call.operation))
        else:
            open_tensors |= {id(tensor) for tensor in call.input_tensors}
    return closing


def _results(graph: Graph) -> set[int]:
    return {id(tensor) for tensor in keras.tree.flatten(graph.outputs)}
