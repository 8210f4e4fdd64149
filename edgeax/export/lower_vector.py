"""Lower vector: a kernel of few different sub-vectors as indices into tables of these."""

from edgeax.export.carriers import Carrier, Codes
from edgeax.export.lower_custom import (
    CustomForm,
    Unfit,
    channel_constants,
    options_for,
    rows_of,
)
from edgeax.formats import vector_rows
from edgeax.formats.flatbuffer import Subgraph

HOW = "vector"

_CUSTOM = {
    "CONV_2D": "EdgeaxVectorConv2D",
    "FULLY_CONNECTED": "EdgeaxVectorFullyConnected",
}


def vector(graph: Subgraph, carrier: Carrier, codes: Codes) -> CustomForm:
    """Returns a kernel that training cut into sub-vectors, in indices of 4 or 8 bits for each.

    Raises:
        Unfit: It has no sub-vectors or too many different ones, no operator does it, or an option
            is beyond the operator's.
    """
    if codes.vectors is None:
        raise Unfit("")
    custom = _CUSTOM.get(carrier.operator.name)
    if custom is None:
        raise Unfit(f"{carrier.operator.name} has no kernel for sub-vectors")
    length = codes.vectors.length
    try:
        rows = rows_of(carrier, codes)
        stored = vector_rows.encode(rows, length, codes.vectors.table_count(codes.codes.shape))
    except ValueError as error:
        raise Unfit(str(error)) from error
    tables, _, entries = stored.codebook.shape
    return CustomForm(
        how=HOW,
        bits=stored.bits,
        operator=custom,
        options=options_for(graph, carrier, custom),
        constants={
            "weights": stored.weights,
            "codebook": stored.codebook,
            **channel_constants(carrier, codes),
        },
        details={"length": length, "tables": tables, "entries": entries},
    )
