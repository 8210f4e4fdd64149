"""Lower lookup: a kernel of few values beside inputs on points: all their products are a table."""

import numpy as np

from edgeax.export.carriers import Carrier, Codes
from edgeax.export.lower_custom import (
    CustomForm,
    Unfit,
    channel_constants,
    options_for,
    rows_of,
)
from edgeax.export.nearest import Named, read_nearest
from edgeax.formats import implements
from edgeax.formats.flatbuffer import Subgraph
from edgeax.formats.grouped_rows import NoGroups, row_codebooks

HOW = "lookup"

_TEST = "tests/export/test_lower_lookup.py::"

_CUSTOM = {
    "CONV_2D": "EdgeaxLookupConv2D",
    "FULLY_CONNECTED": "EdgeaxLookupFullyConnected",
}


@implements("RIKR17", test=_TEST + "test_rikr17_the_file_gives_the_sums_of_looked_up_products")
def lookup(graph: Subgraph, carrier: Carrier, codes: Codes, *, nearest: Named) -> CustomForm:
    """Returns a kernel in indices into a codebook for each output, for inputs on points.

    A sum is that of `LookupLayer.sums` for the points found, but that weights w and points p are
    8-bit integers: a product is off by at most `max|w| * max|p| * (1 / 127 + 1 / 254**2)`. What
    lies within half an 8-bit step of a middle may go to the other one of its two points.

    Raises:
        Unfit: Its inputs are on no points, an output has too many different weights, or no operator
            does it.
    """
    read = None if carrier.is_wide else read_nearest(graph, carrier.operator.inputs[0], nearest)
    if read is None:
        raise Unfit("")
    custom = _CUSTOM.get(carrier.operator.name)
    if custom is None:
        raise Unfit(f"{carrier.operator.name} has no kernel that looks products up")
    try:
        rows = row_codebooks(rows_of(carrier, codes))
    except NoGroups as error:
        raise Unfit(str(error)) from error
    constants = channel_constants(carrier, codes)
    unit = carrier.input_scale * constants["scale"].astype(np.float64)
    return CustomForm(
        how=HOW,
        bits=rows.bits,
        operator=custom,
        options=options_for(graph, carrier, custom),
        constants={
            "weights": rows.packed(),
            "codebook": rows.codebooks,
            "points": read.table,
            **constants,
            "scale": unit.astype(np.float32),
        },
        details={"tables": len(rows.codebooks), "points": read.points},
        source=read.tensor,
    )
