"""A `.tflite` file as a program, after everything about it was checked."""

import dataclasses
import os

from edgeax.formats.flatbuffer import Model, Operator, Subgraph, Tensor
from edgeax.runtime.mcu import oracle_float
from edgeax.runtime.mcu.fold import fold_activations, fold_pads
from edgeax.runtime.mcu.node import NO_BORDERS, Node, value_of
from edgeax.runtime.mcu.operators import HANDLERS, cmsis_nn
from edgeax.runtime.mcu.operators.looked_up import add_points
from edgeax.runtime.mcu.program import Alias, Array, Lowered, Program, Step, Value
from edgeax.runtime.mcu.read_state import read_variables, settle
from edgeax.runtime.mcu.targets import Target
from edgeax.runtime.mcu.unread import without_unread

_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool", "float32")
_FLOAT_OPERATORS = (
    *("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
    oracle_float.NAME,
)
_MOST_NAMED = 8  # places that an error names
_SPLITTING = ("SPLIT", "SPLIT_V", "UNPACK")
_OUTPUTS = {"ASSIGN_VARIABLE": 0, "CALL_ONCE": 0}  # of all others but the splitting 1
_LEAST_INPUTS = {"ASSIGN_VARIABLE": 2, "CALL_ONCE": 0, "VAR_HANDLE": 0}  # of others 1


def read_program(
    source: str | os.PathLike[str] | bytes,
    target: Target,
    rounding: str,
    is_thrifty: bool = False,
    with_cmsis_nn: bool = False,
) -> Program:
    """Reads a file and lowers its main graph.

    Args:
        source: Path of a `.tflite` file, or its bytes.
        target: The processor that the program is for.
        rounding: "single" or "double".
        is_thrifty: Whether kernels should take little scratch, though they are slower then.
        with_cmsis_nn: Whether CMSIS-NN computes what it can; for Cortex-M and double rounding only.

    Raises:
        ValueError: The file is damaged, or has something that no program can be generated for.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        model = Model.from_bytes(bytes(source))
    else:
        model = Model.read(source)
    graph = model.subgraphs[0]
    _check_operators(graph)
    _check_counts(graph)
    _check_tensors(graph)
    _check_order(graph)
    _check_floats(graph)
    variables = read_variables(model)
    activations = fold_activations(graph)
    borders, folded = fold_pads(graph)
    add_points(graph)
    nodes = [
        Node(
            index,
            operator,
            graph.tensors,
            target,
            rounding,
            borders.get(index, NO_BORDERS),
            is_thrifty,
        )
        for index, operator in enumerate(graph.operators)
        if index not in folded | activations
    ]
    lowered = [part for node in nodes for part in _lowered(node, with_cmsis_nn)]
    lowered = settle(lowered, variables, graph.inputs, graph.outputs)
    _check_computed(graph, lowered)
    steps = tuple(part for part in lowered if isinstance(part, Step))
    aliases = {part.write: part.read for part in lowered if isinstance(part, Alias)}
    values = {**_values(graph, steps, aliases), **variables.values}
    for index, name in _names_of_ends(model).items():
        values[index] = dataclasses.replace(values[index], name=name)
    return without_unread(Program(values, steps, aliases, graph.inputs, graph.outputs))


def _lowered(node: Node, with_cmsis_nn: bool) -> Lowered:
    step = cmsis_nn.step_of(node) if with_cmsis_nn else None
    return HANDLERS[node.operator.name](node) if step is None else [step]


def _values(graph: Subgraph, steps: tuple[Step, ...], aliases: dict[int, int]) -> dict[int, Value]:
    used = {*graph.inputs, *graph.outputs, *aliases, *aliases.values()}
    for step in steps:
        used.update(read for read in step.reads if not isinstance(read, Array))
        used.update(step.writes)
    return {index: value_of(index, graph.tensors[index]) for index in sorted(used)}


def _names_of_ends(model: Model) -> dict[int, str]:
    """Returns the names that a signature gives to inputs and outputs, where there is just one."""
    signatures = [signature for signature in model.signatures if signature.subgraph == 0]
    if len(signatures) != 1:
        return {}
    graph, (signature,) = model.subgraphs[0], signatures
    named = [*signature.outputs.items(), *signature.inputs.items()]
    return {index: name for name, index in named if index in (*graph.inputs, *graph.outputs)}


def _check_computed(graph: Subgraph, lowered: Lowered) -> None:
    """Checks that no step takes a constant of the file for a value in RAM."""
    for part in lowered:
        for index in (part.read,) if isinstance(part, Alias) else part.values_read:
            if graph.tensors[index].is_constant:
                raise ValueError(
                    f"operator {part.label}: its input must be computed. Received: the constant "
                    f"{graph.tensors[index].name!r}. Fold constants before conversion."
                )


def _check_operators(graph: Subgraph) -> None:
    unknown = [
        f"{index} {_kind(operator)}"
        for index, operator in enumerate(graph.operators)
        if operator.name not in HANDLERS
    ]
    if unknown:
        raise ValueError(
            "the operators of the file must be ones that edgeax.mcu knows. Received: "
            f"{', '.join(unknown)}. Known are {', '.join(sorted(HANDLERS))}. Replace the others in "
            "the model, or run the file in TensorFlow Lite Micro."
        )
    if not graph.operators:
        raise ValueError(
            "the graph must have operators. Received: none. There is nothing to generate."
        )


def _check_counts(graph: Subgraph) -> None:
    """Checks how many outputs operators have, and that all have inputs."""
    for index, operator in enumerate(graph.operators):
        inputs, outputs = len(operator.inputs), len(operator.outputs)
        least, most = _LEAST_INPUTS.get(operator.name, 1), _OUTPUTS.get(operator.name, 1)
        is_right = outputs > 0 if operator.name in _SPLITTING else outputs == most
        if not is_right or inputs < least:
            wanted = "outputs" if operator.name in _SPLITTING else f"{most} outputs"
            raise ValueError(
                f"operator {index} {operator.name}: it must have {wanted} and at least {least} "
                f"inputs. Received: {outputs} and {inputs}. The file is damaged; export it again."
            )


def _kind(operator: Operator) -> str:
    return f"{operator.name} (custom)" if operator.is_custom else operator.name


def _check_tensors(graph: Subgraph) -> None:
    """Checks types and shapes of all tensors that lie in RAM, and the ends of the graph."""
    for ends, word in ((graph.inputs, "input"), (graph.outputs, "output")):
        for position, index in enumerate(ends):
            if index < 0 or graph.tensors[index].is_constant:
                what = "absent" if index < 0 else f"the constant {graph.tensors[index].name!r}"
                raise ValueError(
                    f"{word} {position} of the graph must be a tensor without content. Received: "
                    f"{what}. Leave it out of the model."
                )
    if not graph.outputs:
        raise ValueError("the graph must have outputs. Received: none. Export the model again.")
    for index in _tensors_in_ram(graph):
        tensor = graph.tensors[index]
        if tensor.unknown_axes or any(size < 1 for size in tensor.shape):
            raise ValueError(
                f"tensor {tensor.name!r} must have a fixed shape of positive sizes. Received: "
                f"{list(tensor.shape)}, open along {list(tensor.unknown_axes)}. Export the model "
                "with fixed input shapes."
            )
        if tensor.dtype not in _TYPES:
            raise ValueError(
                f"tensor {tensor.name!r} must have one of the types {', '.join(_TYPES)}. "
                f"Received: {tensor.dtype}. Quantize the model to int8."
            )


def _tensors_in_ram(graph: Subgraph) -> list[int]:
    used = {*graph.inputs, *graph.outputs}
    for operator in graph.operators:
        used.update(index for index in operator.inputs if index >= 0)
        used.update(operator.outputs)
    return [
        i
        for i in sorted(used)
        if i >= 0 and not _is_known(graph.tensors[i]) and graph.tensors[i].dtype != "resource"
    ]


def _is_known(tensor: Tensor) -> bool:
    """Returns whether a tensor is a constant, be it one without elements."""
    return tensor.is_constant or tensor.shape == (0,)


def _check_order(graph: Subgraph) -> None:
    """Checks that every tensor is written once, and before it is read."""
    known = {*graph.inputs}
    known.update(
        i for i, tensor in enumerate(graph.tensors) if _is_known(tensor) or tensor.is_variable
    )
    for index, operator in enumerate(graph.operators):
        label = f"operator {index} {operator.name}"
        for read in operator.inputs:
            if read >= 0 and read not in known:
                raise ValueError(
                    f"{label}: its inputs must have been computed before. Received: "
                    f"{graph.tensors[read].name!r}, which is not. The file is damaged; export it "
                    "again."
                )
        for write in operator.outputs:
            if write < 0 or write in known:
                what = "an absent one" if write < 0 else f"{graph.tensors[write].name!r}"
                raise ValueError(
                    f"{label}: its outputs must be tensors that nothing else writes. Received: "
                    f"{what}. The file is damaged; export it again."
                )
            known.add(write)
    for write in graph.outputs:
        if write not in known:
            raise ValueError(
                "the outputs of the graph must have been computed. Received: "
                f"{graph.tensors[write].name!r}, which is not. The file is damaged; export it "
                "again."
            )


def _check_floats(graph: Subgraph) -> None:
    """Checks that nothing is in float but the ends of the graph and products of packed weights."""
    found = []
    for index, operator in enumerate(graph.operators):
        tensors = [graph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        is_float = any(tensor.dtype == "float32" for tensor in tensors if not tensor.is_constant)
        if is_float and operator.name not in _FLOAT_OPERATORS:
            found.append(f"{index} {operator.name}")
    if found:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise ValueError(
            "all operators must compute in integers. Received: in float "
            f"{', '.join(found[:_MOST_NAMED])}{more}. Quantize the model: edgeax.export with "
            'io="int8", or any full-integer TFLite converter.'
        )
