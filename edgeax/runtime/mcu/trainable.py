"""Which layers of a file learn, and how much of them, from what a user asks for."""

import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgeax.formats.flatbuffer import Operator, Subgraph
from edgeax.runtime.mcu.backward.tape import Part

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_OTHERS = ("TRANSPOSE_CONV", "BATCH_MATMUL", "UNIDIRECTIONAL_SEQUENCE_LSTM")
_WORDS = (
    "`trainable` must be how many last layers learn, a list of places or names, 'biases', a plan "
    "of edgeax.lifelong.plan_update, or a dict of shares by place or name"
)


def parts_of(graph: Subgraph, places: Sequence[int], trainable: Any) -> dict[int, Part]:
    """Returns what is trained, by the place of the operator.

    Args:
        graph: The graph, activations folded.
        places: Operators that run, up to the outputs.
        trainable: As `edgeax.mcu.generate_training` takes it.

    Raises:
        ValueError: It names what is not there or cannot be trained.
    """
    layers = _Layers(graph, places)
    if isinstance(trainable, numbers.Integral) and not isinstance(trainable, bool):
        if not 1 <= int(trainable) <= len(layers.places):
            raise ValueError(
                f"`trainable` must be a whole number in [1, {len(layers.places)}]. Received: "
                f"{trainable!r}. Leave it out for the default."
            )
        return {place: layers.checked(place) for place in layers.places[-int(trainable) :]}
    if isinstance(trainable, str):
        if trainable != "biases":
            raise ValueError(f"{_WORDS}. Received: {trainable!r}. Use 1 for the last layer.")
        known = [place for place in layers.places if graph.operators[place].name in WEIGHTED]
        return {place: Part(0.0) for place in known}
    if isinstance(trainable, Mapping) and trainable:
        return {layers.place(key): _shared(key, share) for key, share in trainable.items()}
    if hasattr(trainable, "parts"):
        return {
            layers.place(part.path): Part(1.0, part.channels, part.bias) for part in trainable.parts
        }
    if isinstance(trainable, Sequence) and trainable:
        return {layers.place(key): Part() for key in trainable}
    raise ValueError(f"{_WORDS}. Received: {trainable!r}. Use 1 for the last layer.")


def told(graph: Subgraph, place: int) -> str:
    """Returns an operator's place, name, and the name of what it writes."""
    operator = graph.operators[place]
    return f"{place} {operator.name}, {_name(graph, operator)}"


class _Layers:
    def __init__(self, graph: Subgraph, places: Sequence[int]) -> None:
        self._graph = graph
        self.places = [p for p in places if graph.operators[p].name in (*WEIGHTED, *_OTHERS)]

    def place(self, key: Any) -> int:
        """Returns the place of a layer that is named by its place, its output, or a Keras path."""
        found = [place for place in self.places if self._is_named(place, key)]
        if len(found) != 1:
            known = ", ".join(told(self._graph, place) for place in self.places)
            which = "which none is" if not found else f"which {len(found)} are"
            raise ValueError(
                f"`trainable` must name layers with weights. Received: {key!r}, {which}. The file "
                f"has {known}."
            )
        self.checked(found[0])
        return found[0]

    def checked(self, place: int) -> Part:
        if self._graph.operators[place].name in WEIGHTED:
            return Part()
        raise ValueError(
            f"`trainable` must name layers of {', '.join(WEIGHTED)}. Received: "
            f"{told(self._graph, place)}, which cannot be trained. Leave it frozen."
        )

    def _is_named(self, place: int, key: Any) -> bool:
        if isinstance(key, str):
            name = _name(self._graph, self._graph.operators[place])
            within = any(_holds(part, key) for part in name.split(";"))
            return name == key or (within and not self._has_output(key))
        return not isinstance(key, bool) and place == key

    def _has_output(self, name: str) -> bool:
        return any(_name(self._graph, self._graph.operators[p]) == name for p in self.places)


def _holds(name: str, key: str) -> bool:
    """Returns whether a path holds another, as Keras writes it or as `edgeax.export` does."""
    exported = re.escape(re.sub(r"[^A-Za-z0-9_.-]", "_", key)) + r"\.\d+(_\d+)?"
    return f"/{key}/" in f"/{name}/" or bool(re.search(f"/{exported}/", f"/{name}/"))


def _name(graph: Subgraph, operator: Operator) -> str:
    return graph.tensors[operator.outputs[0]].name


def _shared(key: Any, share: Any) -> Part:
    if not isinstance(share, numbers.Real) or isinstance(share, bool) or not 0 <= float(share) <= 1:
        raise ValueError(
            f"`trainable` must give shares in [0, 1]. Received: {share!r} for {key!r}. Use 1 for "
            "all channels, 0 for the bias alone."
        )
    return Part(float(share))
