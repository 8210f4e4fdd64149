"""Lower: the converter's operators get the exact codes of training, in the smallest form."""

from collections.abc import Sequence
from functools import partial
from types import MappingProxyType

from edgeax.export.carriers import Carrier, carriers_of, integer_codes, settled
from edgeax.export.choice import BY_BYTES, Choice, Pairs
from edgeax.export.constants import Constants
from edgeax.export.frozen import FrozenWeight
from edgeax.export.lower_binary import binary
from edgeax.export.lower_bits import Thresholds, pack_bits
from edgeax.export.lower_coded import coded
from edgeax.export.lower_custom import CustomForm, Form, Unfit, why_built_in, write_custom
from edgeax.export.lower_dense import BITS, HOW, write_dense
from edgeax.export.lower_grouped import grouped
from edgeax.export.lower_lookup import lookup
from edgeax.export.lower_packed import packed
from edgeax.export.lower_sign_sum import sign_sum
from edgeax.export.lower_sparse import sparse
from edgeax.export.lower_vector import vector
from edgeax.export.nearest import Named, expand_nearest
from edgeax.export.sign_sums import Sums, drop_unread_sums
from edgeax.export.signs import drop_unread_signs
from edgeax.export.stored import AS_CONVERTED, Stored, at_cost, stored_as
from edgeax.formats.flatbuffer import Model, Subgraph

FORMS: tuple[Form, ...] = (packed, grouped, sparse, vector)
"""Forms of a kernel in operators of edgeax. Where bytes decide, a later one is taken instead of an
earlier one if it is smaller, by its `least_gain`."""

FORMS_FOR_SIZE: tuple[Form, ...] = (*FORMS, coded)
"""The same where a file is to be as small as can be: also what is decoded when it is loaded."""

_STEP = "it computes from a state of 16 bits"


def lower(
    model: Model,
    weights: Sequence[FrozenWeight],
    forms: Sequence[Form],
    choice: Choice = BY_BYTES,
    sums: Sums = MappingProxyType({}),
    nearest: Named = MappingProxyType({}),
) -> tuple[Stored, ...]:
    """Writes the trained codes into `model`, in place.

    Args:
        model: As the converter made it.
        weights: The kernels that have a number format.
        forms: Those in operators of edgeax that may be used, such as `FORMS`; none: built-in
            operators only.
        choice: What decides between them.
        sums: Activations that are sums of signs, placed; those that are counted go.
        nearest: Activations that are put on points, placed.

    Returns:
        One entry per kernel, in the order of `weights`.
    """
    graph = model.subgraphs[0]
    constants = Constants(graph)
    thresholds: Thresholds = {}
    stored = [
        _lower_weight(model, constants, weight, carriers, forms, choice, thresholds, sums, nearest)
        for weight, carriers in zip(weights, carriers_of(graph, weights), strict=True)
    ]
    drop_unread_signs(graph)
    drop_unread_sums(graph, sums)
    expand_nearest(graph, nearest)
    pack_bits(model, constants, thresholds)
    model.prune()
    return tuple(stored)


def _lower_weight(
    model: Model,
    constants: Constants,
    weight: FrozenWeight,
    carriers: list[Carrier],
    forms: Sequence[Form],
    choice: Choice,
    thresholds: Thresholds,
    sums: Sums,
    nearest: Named,
) -> Stored:
    graph = model.subgraphs[0]
    if not carriers:
        return stored_as(weight, AS_CONVERTED, None, "no integer operator holds its kernel")
    trained = integer_codes(weight.encoded)
    pairs = [(carrier, settled(trained, carrier)) for carrier in carriers]
    reasons = [_STEP if weight.is_step else why_built_in(*pair, bool(forms)) for pair in pairs]
    why = next(filter(None, reasons), "")
    found, why = ([], why) if why else _best(graph, weight, pairs, forms, choice, sums, nearest)
    if not found:
        for carrier, codes in pairs:
            write_dense(graph, constants, carrier, codes, weight.path)
        return stored_as(weight, HOW, BITS, why)
    for (carrier, _), form in zip(pairs, found, strict=True):
        write_custom(model, constants, carrier, form, weight.path)
        if form.threshold is not None:
            thresholds[carrier.operator.outputs[0]] = form.threshold
    if found[0].snr_db is not None:
        weight = at_cost(weight, found[0].snr_db)
    return stored_as(weight, found[0].how, found[0].bits, why, found[0].details)


def _best(
    graph: Subgraph,
    weight: FrozenWeight,
    pairs: Pairs,
    forms: Sequence[Form],
    choice: Choice,
    sums: Sums,
    nearest: Named,
) -> tuple[list[CustomForm], str]:
    """Returns a kernel in bits where its inputs are some, or sums of some, by far the fastest; one
    that looks products up where its inputs are on points, which it finds itself; else, or where
    `choice` knows better, as `_chosen` does.
    """
    reasons = []
    of_inputs: tuple[Form, ...] = (
        binary,
        partial(sign_sum, weight=weight, sums=sums, is_measured=choice.speeds is not None),
        partial(lookup, nearest=nearest),
    )
    for form in of_inputs:
        try:
            found = [form(graph, carrier, codes) for carrier, codes in pairs]
        except Unfit as error:
            reasons.append(str(error))
            continue
        found, why = choice.confirm(graph, pairs, found)
        if found:
            return found, why
        reasons.append(why)
    found, why = _chosen(graph, pairs, forms, choice)
    return found, why if found else "; ".join(filter(None, (*reasons, why)))


def _chosen(
    graph: Subgraph, pairs: Pairs, forms: Sequence[Form], choice: Choice
) -> tuple[list[CustomForm], str]:
    """Returns a kernel in the chosen form, for each operator that holds it, and why; or none, and
    why the built-in operators are as good.
    """
    candidates = []
    reasons = []
    for form in forms:
        try:
            candidates.append([form(graph, carrier, codes) for carrier, codes in pairs])
        except Unfit as error:
            reasons.append(str(error))
    found, why = choice.choose(graph, pairs, candidates)
    return found, why if found else "; ".join(dict.fromkeys(filter(None, [*reasons, why])))
