"""Lower packed: a kernel of few different codes as 4-bit indices into a table of them."""

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

_ENTRIES = 16
_INDEX_BITS = 4

_CUSTOM = {
    "CONV_2D": "EdgeaxConv2D",
    "DEPTHWISE_CONV_2D": "EdgeaxDepthwiseConv2D",
    "FULLY_CONNECTED": "EdgeaxFullyConnected",
}


def packed(graph: Subgraph, carrier: Carrier, codes: Codes) -> CustomForm:
    """Returns a kernel in 4-bit indices and a table of the codes in use, the lowest first.

    Raises:
        Unfit: It has too many different codes, or an option is beyond the operator's.
    """
    used = np.unique(codes.codes)
    if used.size > _ENTRIES:
        raise Unfit(f"it has more than {_ENTRIES} different codes")
    custom = _CUSTOM[carrier.operator.name]
    indices = np.searchsorted(used, rows_of(carrier, codes)).astype(np.uint8)
    return CustomForm(
        how=HOW,
        bits=_INDEX_BITS,
        operator=custom,
        options=options_for(graph, carrier, custom),
        constants={
            "weights": packing.pack(indices, bits=_INDEX_BITS),
            "codebook": np.pad(used, (0, _ENTRIES - used.size)),
            **channel_constants(carrier, codes),
        },
    )
