"""Lower packed: a kernel of few different codes as indices of 4, 2 or 1 bits into a table."""

import numpy as np

from edgeax.export.carriers import Carrier, Codes
from edgeax.export.lower_custom import (
    CustomForm,
    Unfit,
    channel_constants,
    options_for,
    rows_of,
)
from edgeax.formats import packing
from edgeax.formats.flatbuffer import Subgraph

HOW = "packed"

_INDEX_BITS = (1, 2, 4)
_ENTRIES = 1 << _INDEX_BITS[-1]  # of the largest table

_CUSTOM = {
    "CONV_2D": "EdgeaxConv2D",
    "DEPTHWISE_CONV_2D": "EdgeaxDepthwiseConv2D",
    "FULLY_CONNECTED": "EdgeaxFullyConnected",
}


def packed(graph: Subgraph, carrier: Carrier, codes: Codes) -> CustomForm:
    """Returns a kernel in indices of the fewest bits and a table of the codes in use, the lowest
    first.

    Raises:
        Unfit: It has too many different codes, or an option is beyond the operator's.
    """
    used = np.unique(codes.codes)
    if used.size > _ENTRIES:
        raise Unfit(f"it has more than {_ENTRIES} different codes")
    bits = next(bits for bits in _INDEX_BITS if used.size <= 1 << bits)
    custom = _CUSTOM[carrier.operator.name]
    indices = np.searchsorted(used, rows_of(carrier, codes)).astype(np.uint8)
    return CustomForm(
        how=HOW,
        bits=bits,
        operator=custom,
        options=options_for(graph, carrier, custom),
        constants={
            "weights": packing.pack(indices, bits),
            "codebook": np.pad(used, (0, (1 << bits) - used.size)),
            **channel_constants(carrier, codes),
        },
    )
