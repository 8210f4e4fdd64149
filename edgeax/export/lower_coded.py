"""Lower coded: a kernel with its bias and scales as one entropy-coded tensor of few bytes."""

import numpy as np

from edgeax.export.carriers import Carrier, Codes
from edgeax.export.lower_custom import (
    CustomForm,
    Unfit,
    channel_constants,
    options_for,
    rows_of,
)
from edgeax.formats.coded import (
    HUFFMAN,
    PACKED4,
    RANGE,
    RAW,
    SPARSE,
    CodedRows,
    encode,
    run_time_layout,
)
from edgeax.formats.flatbuffer import Subgraph

HOW = "coded"

_CODINGS = {RAW: "raw", HUFFMAN: "huffman", RANGE: "range"}

_LAYOUTS = {PACKED4: "packed", SPARSE: "sparse"}

_CUSTOM = {
    "CONV_2D": "EdgeaxCodedConv2D",
    "FULLY_CONNECTED": "EdgeaxCodedFullyConnected",
}


def coded(graph: Subgraph, carrier: Carrier, codes: Codes) -> CustomForm:
    """Returns a kernel in the coding of the fewest bytes, which is decoded when a file is loaded.

    Raises:
        Unfit: No operator does it, or an option is beyond the operator's.
    """
    custom = _CUSTOM.get(carrier.operator.name)
    if custom is None:
        raise Unfit(f"{carrier.operator.name} has no kernel for coded weights")
    options = options_for(graph, carrier, custom)
    channels = channel_constants(carrier, codes)
    scale = channels["scale"]
    is_shared = bool(np.all(scale == scale[0]))
    rows = CodedRows(rows_of(carrier, codes), channels["bias"], scale[:1] if is_shared else scale)
    ways = {coding: encode(rows, coding) for coding in _CODINGS}
    coding, data = min(ways.items(), key=lambda way: len(way[1]))
    layout = run_time_layout(rows.codes)
    return CustomForm(
        how=HOW,
        bits=_index_bits(rows.codes),
        operator=custom,
        options=options,
        constants={"coded": np.frombuffer(data, np.uint8)},
        details={
            "coding": _CODINGS[coding],
            "coded_bytes": len(data),
            "decoded_to": _LAYOUTS[layout.layout],
            "decoded_bytes": layout.size_bytes,
            "sparsity": round(float(np.mean(rows.codes == 0)), 4),
        },
    )


def _index_bits(codes: np.ndarray) -> int:
    """Returns how many bits an index into the table of all different codes has."""
    return max(1, (np.unique(codes).size - 1).bit_length())
