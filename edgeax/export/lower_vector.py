"""Lower vector: a kernel of few different sub-vectors as indices into tables of these."""

import numpy as np

from edgeax.export.carriers import Carrier, Codes, settled
from edgeax.export.lower_custom import (
    CustomForm,
    Unfit,
    channel_constants,
    options_for,
    rows_of,
)
from edgeax.formats import vector_rows
from edgeax.formats.flatbuffer import Subgraph
from edgeax.formats.vector_rows import VectorCodes

HOW = "vector"

LEAST_DB = 30.0
"""Ratio of signal to noise that every channel of a kernel keeps in codes of one step."""

_COARSE = f"one step for all channels leaves {{:.1f}} dB to one of them, less than {LEAST_DB:.0f}"

_CUSTOM = {
    "CONV_2D": "EdgeaxVectorConv2D",
    "FULLY_CONNECTED": "EdgeaxVectorFullyConnected",
}


def vector(graph: Subgraph, carrier: Carrier, codes: Codes) -> CustomForm:
    """Returns a kernel that training cut into sub-vectors, in indices of 4 or 8 bits for each.

    Its codes have one step for all channels, as these share sub-vectors.

    Raises:
        Unfit: It has no sub-vectors or too many different ones, a channel would lose too much, no
            operator does it, or an option is beyond the operator's.
    """
    vectors = codes.vectors
    if vectors is None:
        raise Unfit("")
    custom = _CUSTOM.get(carrier.operator.name)
    if custom is None:
        raise Unfit(f"{carrier.operator.name} has no kernel for sub-vectors")
    options = options_for(graph, carrier, custom)
    if vectors.least_db < LEAST_DB:
        raise Unfit(_COARSE.format(vectors.least_db))
    shared = _shared(vectors, codes, carrier)
    length, tables = vectors.format.length, vectors.format.table_count(codes.codes.shape)
    try:
        stored = vector_rows.encode(rows_of(carrier, shared), length, tables)
    except ValueError as error:
        raise Unfit(str(error)) from error
    return CustomForm(
        how=HOW,
        bits=stored.bits,
        operator=custom,
        options=options,
        constants={
            "weights": stored.weights,
            "codebook": stored.codebook,
            **channel_constants(carrier, shared),
        },
        details={"length": length, "tables": tables, "entries": stored.codebook.shape[2]},
        snr_db=vectors.snr_db,
    )


def _shared(vectors: VectorCodes, codes: Codes, carrier: Carrier) -> Codes:
    """Returns the codes of one step, zeros in channels that are nothing but their bias."""
    live = np.where(codes.is_live, vectors.codes, np.int8(0))
    return settled(Codes(live, (codes.scale * vectors.steps).astype(np.float32)), carrier)
