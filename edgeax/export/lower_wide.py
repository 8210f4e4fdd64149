"""Lower, for 16-bit activations: what the converter left becomes what TFLite wants."""

from typing import Any

import numpy as np

from edgeax.export.placeholder import PREFIX, integer_output, integer_sources
from edgeax.export.wide import ACTIVATIONS, CONCATENATION
from edgeax.export.widen import BIAS, VERSIONS, WITH_BIAS
from edgeax.formats.flatbuffer import Model, Subgraph


def lower_wide(model: Model) -> None:
    """Makes 16-bit operators what TFLite wants them to be, in place.

    The placeholders of this module become TFLite's operators. Biases of 32 bits, which the
    converter writes, become 64 bits wide.
    """
    graph = model.subgraphs[0]
    _widen_biases(graph)
    known = {PREFIX + settings[0]: settings for settings in ACTIVATIONS.values()}
    places = [operator for operator in graph.operators if operator.name.startswith(PREFIX)]
    for operator in places:
        name, table, options, version = known.get(operator.name) or _concatenation(operator.name)
        place = graph.operators.index(operator)
        sources = integer_sources(graph, place, name)
        operator.outputs = [integer_output(graph, place, name)]
        place = graph.operators.index(operator)
        model.replace_with_builtin(0, place, name, sources, table, options)
        graph.operators[place].retarget(version, {})
    if places:
        graph.drop_unread("DEQUANTIZE")
        model.prune()


def _widen_biases(graph: Subgraph) -> None:
    for operator in graph.operators:
        given = graph.tensors[operator.inputs[0]] if operator.inputs else None
        if operator.name not in WITH_BIAS or given is None or given.dtype != "int16":
            continue
        index = operator.inputs[BIAS] if len(operator.inputs) > BIAS else -1
        if index >= 0 and graph.tensors[index].dtype == "int32":
            bias = graph.tensors[index]
            wide = np.asarray(bias.data, np.int64)
            inputs = [*operator.inputs]
            inputs[BIAS] = graph.add_tensor(f"{bias.name}/int64", wide, bias.scale)
            operator.inputs = inputs
            operator.retarget(VERSIONS[operator.name], {})


def _concatenation(name: str) -> tuple[str, str, dict[str, Any], int]:
    axis = int(name.removeprefix(CONCATENATION))
    return "CONCATENATION", "ConcatenationOptions", {"axis": axis}, 3
