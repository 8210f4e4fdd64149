"""Resource variables of a file as states of a program.

A variable has a name. VAR_HANDLE gives a handle of it, READ_VARIABLE its content, ASSIGN_VARIABLE
stores one; CALL_ONCE runs another graph that stores the first one. In a program a variable is a
state whose number is that of its first handle; handles do not exist when it runs.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from edgeax.formats.flatbuffer import Model, Operator, Subgraph, Tensor
from edgeax.runtime.mcu.node import value_of
from edgeax.runtime.mcu.operators.variables import assignment
from edgeax.runtime.mcu.program import Alias, Array, Step, Value

_HANDLE, _READ, _ASSIGN, _ONCE = "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"
_WAY_OUT = "Convert the model again."
_Key = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Variables:
    """The variables that a file's main graph reads or assigns.

    Attributes:
        values: States by number.
        handles: Number of each handle's state.
    """

    values: Mapping[int, Value]
    handles: Mapping[int, int]


def read_variables(model: Model) -> Variables:
    """Finds the variables of a file.

    Raises:
        ValueError: A variable is used in a way that no program can be generated for.
    """
    graph = model.subgraphs[0]
    keys = _keys(graph)
    first: dict[_Key, int] = {}
    for handle, key in keys.items():
        first.setdefault(key, handle)
    values: dict[int, Value] = {}
    for index, operator in enumerate(graph.operators):
        if operator.name not in (_READ, _ASSIGN):
            continue
        label = f"operator {index} {operator.name}"
        handle = operator.inputs[0]
        if handle not in keys:
            raise ValueError(
                f"{label}: its handle must be one that VAR_HANDLE gives. Received: "
                f"{graph.tensors[handle].name!r}. {_WAY_OUT}"
            )
        number = first[keys[handle]]
        stored = operator.outputs[0] if operator.name == _READ else operator.inputs[1]
        value = _state(number, keys[handle], graph.tensors[stored])
        _check_same(label, values.setdefault(number, value), value)
    contents = _first_contents(model, graph)
    begun = {n: _begun(value, contents.get(keys[n])) for n, value in values.items()}
    return Variables(begun, {handle: first[key] for handle, key in keys.items()})


def settle(
    lowered: Sequence[Step | Alias],
    variables: Variables,
    inputs: Iterable[int],
    outputs: Iterable[int],
) -> list[Step | Alias]:
    """Decides which reads and assignments of variables need no copy.

    A content that is read is the state's own memory if nothing uses it any more when the variable
    is assigned; what is assigned is computed right there if nobody needs the old content by then.

    Args:
        lowered: Steps and aliases in the order of the operators.
        variables: The variables.
        inputs: Numbers of the graph's inputs.
        outputs: Numbers of the graph's outputs.
    """
    parts = [_with_states(part, variables.handles) for part in lowered]
    for number, value in variables.values.items():
        parts = _copied_reads(parts, value, set(outputs))
        parts = _direct_assignment(parts, number, {*inputs, *variables.values})
    return parts


def _keys(graph: Subgraph) -> dict[int, _Key]:
    """Returns the name of each handle's variable."""
    return {
        operator.outputs[0]: (
            operator.options.get("container") or "",
            operator.options.get("shared_name") or "",
        )
        for operator in graph.operators
        if operator.name == _HANDLE
    }


def _first_contents(model: Model, graph: Subgraph) -> dict[_Key, np.ndarray]:
    contents: dict[_Key, np.ndarray] = {}
    used = False
    for index, operator in enumerate(graph.operators):
        used = used or operator.name in (_READ, _ASSIGN)
        if operator.name != _ONCE:
            continue
        label = f"operator {index} {_ONCE}"
        number = operator.options.get("init_subgraph_index", 0)
        if used or not 0 < number < len(model.subgraphs):
            raise ValueError(
                f"{label}: it must come before all that uses variables and call one of the "
                f"{len(model.subgraphs) - 1} other graphs. Received: place {index}, graph "
                f"{number}. {_WAY_OUT}"
            )
        contents.update(_assigned(label, model.subgraphs[number]))
    return contents


def _assigned(label: str, graph: Subgraph) -> dict[_Key, np.ndarray]:
    keys = _keys(graph)
    contents = {}
    for index, operator in enumerate(graph.operators):
        if operator.name == _HANDLE:
            continue
        data = _constant_assigned(graph, operator)
        if data is None or operator.inputs[0] not in keys:
            raise ValueError(
                f"{label}: the graph that it calls must only assign constants to variables. "
                f"Received: operator {index} {operator.name} of graph {graph.name!r}. Initialize "
                "the variables by constants."
            )
        contents[keys[operator.inputs[0]]] = data
    return contents


def _constant_assigned(graph: Subgraph, operator: Operator) -> np.ndarray | None:
    return graph.tensors[operator.inputs[1]].data if operator.name == _ASSIGN else None


def _state(number: int, key: _Key, stored: Tensor) -> Value:
    name = key[1] or "variable"
    if stored.dtype == "float32":
        raise ValueError(
            f"variable {name!r} must be quantized. Received: float32. Convert the model with "
            "`converter._experimental_variable_quantization = True`."
        )
    return dataclasses.replace(value_of(number, stored), name=name, is_state=True)


def _begun(value: Value, data: np.ndarray | None) -> Value:
    """Returns a state with its first content: zeros where the file has none."""
    if data is None:
        return value
    if data.dtype.name != value.dtype or data.nbytes != value.size_bytes:
        raise ValueError(
            f"variable {value.name!r} must begin with a content of its own type and size. "
            f"Received: {data.dtype} {list(data.shape)} for {value.dtype} {list(value.shape)}. "
            f"{_WAY_OUT}"
        )
    return dataclasses.replace(value, initial=_shortest(data))


def _shortest(data: np.ndarray) -> Array | int:
    first = int(data.reshape(-1)[0])
    plain = first == 0 or data.dtype == np.int8
    return first if plain and np.all(data == first) else Array("initial", data)


def _check_same(label: str, known: Value, value: Value) -> None:
    for what in ("dtype", "size_bytes", "scale", "zero_point"):
        if getattr(known, what) != getattr(value, what):
            raise ValueError(
                f"{label}: {what} must be that of the variable's other uses, "
                f"{getattr(known, what)}. Received: {getattr(value, what)}. {_WAY_OUT}"
            )


def _with_states(part: Step | Alias, handles: Mapping[int, int]) -> Step | Alias:
    if isinstance(part, Alias):
        return dataclasses.replace(part, read=handles.get(part.read, part.read))
    writes = tuple(handles.get(write, write) for write in part.writes)
    return dataclasses.replace(part, writes=writes)


def _copied_reads(parts: list[Step | Alias], state: Value, outputs: set[int]) -> list[Step | Alias]:
    """Copies what is read of a variable where it is still used when the variable is assigned."""
    settled = [*parts]
    for place, part in enumerate(parts):
        if isinstance(part, Step) or part.read != state.index:
            continue
        family = _family(parts, part.write)
        uses = [at for at, other in enumerate(parts) if _reads(other, family)]
        last = len(parts) if family & outputs else max(uses, default=place)
        if any(place < at <= last for at in _writers(parts, state.index)):
            settled[place] = assignment(part.label, state.index, part.write, state.size_bytes)
    return settled


def _direct_assignment(
    parts: list[Step | Alias], number: int, elsewhere: set[int]
) -> list[Step | Alias]:
    """Lets the one content that a variable is assigned be computed in the variable's memory.

    Args:
        parts: Steps and aliases.
        number: Number of the variable's state.
        elsewhere: Values that have memory of their own: states, and inputs of the graph.
    """
    places = _writers(parts, number)
    assigned = parts[places[0]] if len(places) == 1 else None
    if not isinstance(assigned, Step) or isinstance(assigned.reads[0], Array):
        return parts
    root = _root(parts, assigned.reads[0])
    producers = _writers(parts, root)
    if root in elsewhere or len(producers) != 1:
        return parts
    between = parts[producers[0] : places[0]]
    if any(_reads(part, _family(parts, number)) for part in between):
        return parts
    settled = [*parts]
    settled[places[0]] = Alias(assigned.label, number, root)
    return settled


def _writers(parts: Sequence[Step | Alias], value: int) -> list[int]:
    return [at for at, part in enumerate(parts) if isinstance(part, Step) and value in part.writes]


def _reads(part: Step | Alias, values: set[int]) -> bool:
    return isinstance(part, Step) and bool(values.intersection(part.values_read))


def _root(parts: Sequence[Step | Alias], value: int) -> int:
    owners = {part.write: part.read for part in parts if isinstance(part, Alias)}
    while value in owners:
        value = owners[value]
    return value


def _family(parts: Sequence[Step | Alias], value: int) -> set[int]:
    """Returns a value and those that are its memory."""
    family = {value}
    for part in parts:
        if isinstance(part, Alias) and part.read in family:
            family.add(part.write)
    return family
