"""Lower sparse: a pruned kernel without its zeros, as `formats.sparse` lays it out."""

import numpy as np

from edgeax.export.carriers import Carrier, Codes
from edgeax.export.lower_custom import (
    CustomForm,
    Unfit,
    channel_constants,
    options_for,
    rows_of,
)
from edgeax.formats.flatbuffer import Subgraph
from edgeax.formats.sparse import BITMASK, RELATIVE4, RELATIVE8, smallest

HOW = "sparse"

LEAST_GAIN = 0.1
"""Which part of the bytes must go before a kernel is stored so: its operator needs the plugin, and
with so few zeros it is slower than the built-in one."""

_VALUE_BITS = 8

_LOSS = "without its zeros it would be {part:.2f} of int8"

_CUSTOM = {
    "CONV_2D": "EdgeaxSparseConv2D",
    "FULLY_CONNECTED": "EdgeaxSparseFullyConnected",
}

_PLACES = {BITMASK: "bitmask", RELATIVE4: "relative4", RELATIVE8: "relative8"}


def sparse(graph: Subgraph, carrier: Carrier, codes: Codes) -> CustomForm:
    """Returns a kernel's blocks that are not zero, in the block and places of the fewest bytes.

    Raises:
        Unfit: Its zeros are too few, no operator does it, or an option is beyond the operator's.
    """
    rows = rows_of(carrier, codes)
    left = int(np.count_nonzero(rows))
    if not left:
        raise Unfit("it is all zeros, and a file holds no empty tensor")
    most = (1.0 - LEAST_GAIN) * rows.size
    if left > most:
        raise Unfit("")  # as most kernels that nobody pruned
    found = smallest(rows)
    if found.size_bytes > most:
        raise Unfit(_LOSS.format(part=found.size_bytes / rows.size))
    custom = _CUSTOM.get(carrier.operator.name)
    if custom is None:
        raise Unfit(f"{carrier.operator.name} has no sparse kernel")
    return CustomForm(
        how=HOW,
        bits=_VALUE_BITS,
        operator=custom,
        options=options_for(graph, carrier, custom, block=found.block, places=found.places),
        constants={
            "weights": found.values,
            "indices": found.indices,
            **channel_constants(carrier, codes),
        },
        details={
            "block": found.block,
            "places": _PLACES[found.places],
            "sparsity": round(1.0 - left / rows.size, 4),
        },
        loss=_LOSS,
        least_gain=LEAST_GAIN,
    )
