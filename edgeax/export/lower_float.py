"""Lower float: kernels of a file that computes in float stay in the codes of training.

The converter wrote a kernel as the float values that its codes stand for. A matrix product gets the
codes and their table instead; a convolution of single pixels is one.
"""

from collections.abc import Sequence

import numpy as np

from edgeax.export.carriers import to_file_layout
from edgeax.export.constants import Constants, bytes_in_file
from edgeax.export.frozen import FrozenWeight
from edgeax.export.lower_custom import MOST_DEPTH, TOO_SMALL
from edgeax.export.lower_packed import HOW
from edgeax.export.stored import AS_CONVERTED, Stored
from edgeax.formats import packing
from edgeax.formats.flatbuffer import Model, Operator, Subgraph
from edgeax.formats.layer_shape import CONV, FULLY_CONNECTED
from edgeax.formats.operators import OPERATORS
from edgeax.formats.packed_floats import NoPackedFloats, PackedFloats, packed_floats

_CUSTOM = "EdgeaxFloatFullyConnected"
_ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU6": 2, "RELU_N1_TO_1": 3}

# What folding a normalization may do to the last bits of the values, in the converter or before.
_CLOSE = 1e-5

_NO_PRODUCT = "no matrix product holds its kernel"


def lower_float(model: Model, weights: Sequence[FrozenWeight]) -> tuple[Stored, ...]:
    """Writes trained codes into a float file, in place.

    Args:
        model: As the converter made it.
        weights: The kernels in the number formats of training.

    Returns:
        How each of them is stored.
    """
    graph = model.subgraphs[0]
    constants = Constants(graph)
    free = [operator for operator in graph.operators if _is_product(graph, operator)]
    stored = []
    for weight in weights:
        values = weight.encoded.decode()
        holders = [one for one in free if _holds(graph, one, values)][: weight.uses]
        free = [operator for operator in free if operator not in holders]
        stored.append(_lower_weight(model, constants, weight, holders))
    model.prune()
    return tuple(stored)


def _lower_weight(
    model: Model, constants: Constants, weight: FrozenWeight, holders: list[Operator]
) -> Stored:
    why = "" if holders else _NO_PRODUCT
    if not why:
        try:
            packed = packed_floats(weight.encoded)
            rows = packing.pack(packed.codes.T, packed.bits)
            why = "" if _is_smaller(packed, rows) else TOO_SMALL
        except NoPackedFloats as error:
            why = str(error)
    if why:
        return Stored(weight.path, AS_CONVERTED, None, why)
    for operator in holders:
        _write(model, constants, operator, packed, rows, weight.path)
    details = {"group": packed.group} if packed.group else {}
    return Stored(weight.path, HOW, packed.bits, "", details=details)


def _is_product(graph: Subgraph, operator: Operator) -> bool:
    """Returns whether an operator multiplies float vectors with a constant matrix, or pixels."""
    if operator.name not in (FULLY_CONNECTED, CONV) or len(operator.inputs) < 2:
        return False
    source, kernel = (graph.tensors[index] for index in operator.inputs[:2])
    if source.dtype != "float32" or kernel.dtype != "float32" or not kernel.is_constant:
        return False
    if operator.options["fused_activation_function"] not in _ACTIVATIONS:
        return False
    depth = kernel.shape[-1]
    if depth > MOST_DEPTH or source.shape[-1] != depth:
        return False
    if operator.name == FULLY_CONNECTED:
        return True
    strides = operator.options["stride_h"], operator.options["stride_w"]
    return tuple(kernel.shape[1:3]) == (1, 1) and strides == (1, 1)


def _holds(graph: Subgraph, operator: Operator, values: np.ndarray) -> bool:
    """Returns whether an operator holds a kernel."""
    kernel = graph.tensors[operator.inputs[1]]
    if kernel.data is None or kernel.data.size != values.size:
        return False
    if kernel.shape[0] != values.shape[-1]:
        return False
    return np.allclose(kernel.data, to_file_layout(operator.name, values, kernel.shape), _CLOSE, 0)


def _is_smaller(packed: PackedFloats, rows: np.ndarray) -> bool:
    """Returns whether a kernel takes fewer bytes in the file than its values do."""
    parts = (rows, packed.scale, packed.codebook)
    return bytes_in_file(part.nbytes for part in parts) < bytes_in_file([4 * packed.codes.size])


def _write(
    model: Model,
    constants: Constants,
    operator: Operator,
    packed: PackedFloats,
    rows: np.ndarray,
    path: str,
) -> None:
    """Replaces a built-in operator by the custom one."""
    graph, outputs = model.subgraphs[0], len(rows)
    bias = operator.inputs[2] if len(operator.inputs) > 2 else -1
    if bias < 0:
        bias = constants.add(f"{path}/bias", np.zeros(outputs, np.float32))
    inputs = [
        operator.inputs[0],
        constants.add(f"{path}/weights", rows),
        bias,
        constants.add(f"{path}/scale", np.ascontiguousarray(packed.scale.T)),
        constants.add("codebook", packed.codebook),  # kernels of one format share it
    ]
    given = operator.options
    options = OPERATORS[_CUSTOM].pack_options(
        keep_num_dims=int(operator.name == CONV or given["keep_num_dims"]),
        group=packed.group,
        activation=_ACTIVATIONS[given["fused_activation_function"]],
    )
    place = graph.operators.index(operator)
    model.replace_with_custom(graph, place, _CUSTOM, inputs, options)
