"""Lower sign sum: a kernel that is a sum of signs beside activations that are one too, counted in
bits.

Where both are a single sign, `lower_binary` does it. Gains become integers as fine as int32 sums
allow, so that the file has the values of training where 8-bit integers could not express them.
"""

import math

import numpy as np

from edgeax.export.carriers import Carrier, Codes
from edgeax.export.constants import zero_point_of
from edgeax.export.frozen import FrozenWeight
from edgeax.export.lower_binary import HOW, before_padding, signs_read, taps_of
from edgeax.export.lower_custom import CustomForm, Unfit, options_for
from edgeax.export.rounding import SIGN_TOP
from edgeax.export.sign_sums import Read, Sums, read_sums
from edgeax.formats import sign_sum as rows
from edgeax.formats.flatbuffer import Subgraph
from edgeax.formats.integer_form import IntegerForm
from edgeax.formats.sign_sum import SignBases

_CUSTOM = {
    "CONV_2D": "EdgeaxSignSumConv2D",
    "FULLY_CONNECTED": "EdgeaxSignSumFullyConnected",
}


def sign_sum(
    graph: Subgraph,
    carrier: Carrier,
    codes: Codes,
    *,
    weight: FrozenWeight,
    sums: Sums,
    is_measured: bool,
) -> CustomForm:
    """Returns a kernel of sums of signs for inputs that are such.

    Args:
        graph: The graph of the carrier.
        carrier: A built-in operator.
        codes: Its kernel.
        weight: The same as it was trained.
        sums: Of the model.
        is_measured: Whether measured speeds decide against 8-bit integers.

    Raises:
        Unfit: Either is no sum of signs, there are too many of them, or an option or a gain is
            beyond the operator's.
    """
    custom = _CUSTOM.get(carrier.operator.name)
    tensor, changes = before_padding(graph, carrier.operator)
    read = _read(graph, carrier, tensor, sums)
    bases = _bases(weight, codes)
    if custom is None or read is None or bases is None:
        raise Unfit("")
    if changes.get("pad_value") and min(read.gains) < 0:
        raise Unfit("")  # its signs are not all 1 where their sum is the largest
    planes = len(read.gains)
    counts = planes * len(bases.digits)
    decided = is_measured and read.is_exact
    if not decided and not rows.pays(planes, len(bases.digits), beside_float=not read.is_exact):
        raise Unfit(f"it would count bits {counts} times, which int8 is faster than")
    gains = bases.gains[:, np.newaxis] * np.array(read.gains)[:, np.newaxis]
    gains = gains.reshape(-1, codes.scale.size) * codes.scale.astype(np.float64)
    offset = np.zeros(codes.scale.size) if carrier.bias is None else carrier.bias
    try:
        units, bias, scale = rows.fold(gains, offset, codes.depth)
    except ValueError as error:
        raise Unfit("its gains are too small beside its biases") from error
    options = {"planes": planes, "bases": len(bases.digits), **changes}
    if custom == "EdgeaxSignSumConv2D":
        options = {"pad_value": 0, **options}
    return CustomForm(
        how=HOW,
        bits=len(bases.digits),
        operator=custom,
        options=options_for(graph, carrier, custom, **options),
        constants={
            "weights": rows.pack_bases(np.stack([taps_of(base) for base in bases.digits])),
            "bias": bias,
            "scale": scale,
            "gains": units,
            "thresholds": rows.thresholds_of(read.thresholds),
        },
        details={"planes": planes},
        source=read.tensor,
        has_rival=read.is_exact,
        snr_db=math.inf,
    )


def rounded_sums(graph: Subgraph, sums: Sums) -> frozenset[str]:
    """Returns the places of the sums of signs that 8-bit integers do not hold and that others read
    than operators that count bits.

    Args:
        graph: With kernels as `lower` writes them.
        sums: Of the model.
    """
    return frozenset(
        sums[operator.name].place
        for operator in graph.operators
        if operator.name in sums
        and not sums[operator.name].is_exact
        and not _is_counted(graph, operator.outputs[0])
    )


def _is_counted(graph: Subgraph, tensor: int) -> bool:
    """Returns whether all that reads a tensor, in another shape too, counts bits of its signs."""
    readers = [graph.operators[index] for index in graph.consumers(tensor)]
    return tensor not in graph.outputs and all(
        reader.name in _CUSTOM.values()
        or (reader.name == "RESHAPE" and _is_counted(graph, reader.outputs[0]))
        for reader in readers
    )


def _read(graph: Subgraph, carrier: Carrier, tensor: int, sums: Sums) -> Read | None:
    """Returns how the signs are read that make up a tensor: sums of them, or a single one."""
    found = read_sums(graph, tensor, sums)
    if found is not None:
        return found
    source = signs_read(graph, tensor)
    if source is None:
        return None
    zero = zero_point_of(graph.tensors[source])
    return Read(source, (carrier.input_scale * SIGN_TOP,), ((zero,),))


def _bases(weight: FrozenWeight, codes: Codes) -> SignBases | None:
    """Returns the signs of a kernel, gains in steps of its codes; a channel whose codes were set to
    zero has no gains.
    """
    encoded = weight.encoded
    if isinstance(encoded, IntegerForm) and encoded.bases is not None:
        bases = encoded.bases
        return SignBases(bases.digits, np.where(codes.is_live, bases.gains, 0.0))
    return rows.bases_of_values(codes.codes)
