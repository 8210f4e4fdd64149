"""Lower grouped: a kernel whose groups of inputs have steps of their own, in few bits."""

from edgeax.export.carriers import Carrier, Codes
from edgeax.export.lower_custom import (
    CustomForm,
    Unfit,
    channel_constants,
    options_for,
    rows_of,
)
from edgeax.export.lower_packed import HOW
from edgeax.formats.flatbuffer import Subgraph
from edgeax.formats.grouped import GroupedInteger
from edgeax.formats.grouped_rows import NoGroups, grouped_rows

_LEAST, _MOST = 16, 65536
_MOST_BITS = 4  # of a code

_CUSTOM = {
    "CONV_2D": "EdgeaxGroupedConv2D",
    "FULLY_CONNECTED": "EdgeaxGroupedFullyConnected",
}


def grouped(graph: Subgraph, carrier: Carrier, codes: Codes) -> CustomForm:
    """Returns a kernel in indices into a codebook for each step.

    Raises:
        Unfit: It has no groups, or others than the operators.
    """
    if codes.groups is None:
        raise Unfit("")
    group = codes.groups.group
    custom = _CUSTOM.get(carrier.operator.name)
    if custom is None:
        raise Unfit(f"{carrier.operator.name} has no kernel in groups")
    if not _LEAST <= group <= _MOST or group & (group - 1):
        raise Unfit(f"its groups of {group} are no power of two from {_LEAST} to {_MOST}")
    options = options_for(graph, carrier, custom, group_bits=group.bit_length() - 1)
    if not codes.groups.whole:
        raise Unfit(_why_not_whole(codes.groups))
    try:
        found = grouped_rows(rows_of(carrier, codes), group)
    except NoGroups as error:
        raise Unfit(str(error)) from error
    return CustomForm(
        how=HOW,
        bits=found.bits,
        operator=custom,
        options=options,
        constants={
            "weights": found.packed(),
            "codebook": found.codebooks,
            **channel_constants(carrier, codes),
        },
        details={"group": group},
    )


def _why_not_whole(format: GroupedInteger) -> str:
    why = "the steps of its groups are no whole numbers of one"
    if format.bits > _MOST_BITS:
        return why
    return f"{why}, as those of 'int{format.bits}_g{format.group}_int8' are"
