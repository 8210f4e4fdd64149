"""Stored: what an export tells of each kernel in its file."""

import dataclasses
import math
from collections.abc import Mapping

from edgeax.export.frozen import FrozenWeight
from edgeax.formats import Float32
from edgeax.formats.integer_form import IntegerForm
from edgeax.formats.names import described

FLOAT32 = "float32"
AS_CONVERTED = "as converted"


@dataclasses.dataclass(frozen=True)
class Stored:
    """How a layer's kernel stands in the file.

    Attributes:
        path: Path of the layer.
        how: `"packed"` in codes of 4, 2 or 1 bits, beside float activations of 8 too, of a custom
            operator, `"binary"` in bits of one whose inputs are signs or sums of some, `"sparse"`
            without its zeros in one, `"vector"` in indices of sub-vectors in one, `"lookup"` in
            indices of one whose inputs are on points, `"decode"` in indices for the DECODE operator
            of TensorFlow Lite Micro, `"int8"`, or `"as converted"`.
        bits: Bits of one stored code, of a `"vector"` kernel of the index of a sub-vector; None as
            the converter chose.
        why: Why no custom operator holds it; if one does and `optimize` was given, what it gains.
        format: The number format that training used, where the file has integers instead of it;
            `FLOAT32` where training had none.
        snr_db: What that cost: the ratio of the kernel's energy to that of the difference; None
            where nothing was lost.
        details: What else there is to know of this form, by name: of a sparse kernel the codes in
            a `block`, how `places` are written, and the `sparsity`, 0..1; of one of sub-vectors
            their `length`, the number of `tables` and of the `entries` of each; of one whose inputs
            share scales or steps in groups the inputs of a `group`; of one whose inputs are on
            points the number of its `tables` and of the `points`; of one whose inputs are sums of
            signs how many these are, `planes`; of one for DECODE the number of
            its `tables`, and the `decoded_bytes` that it has in the arena.
    """

    path: str
    how: str
    bits: int | None
    why: str
    format: str = ""
    snr_db: float | None = None
    details: Mapping[str, int | float | str] = dataclasses.field(default_factory=dict)


def at_cost(weight: FrozenWeight, cost: float) -> FrozenWeight:
    """Returns a kernel whose values in the file cost another `snr_db` than its integers'."""
    encoded = weight.encoded
    if not isinstance(encoded, IntegerForm):
        return weight
    return dataclasses.replace(weight, encoded=dataclasses.replace(encoded, snr_db=cost))


def stored_as(
    weight: FrozenWeight,
    how: str,
    bits: int | None,
    why: str = "",
    details: Mapping[str, int | float | str] | None = None,
) -> Stored:
    """Returns what to tell of a kernel, with what its number format cost; see `Stored`."""
    encoded, details = weight.encoded, dict(details or {})
    if not isinstance(encoded, IntegerForm):
        return Stored(weight.path, how, bits, why, details=details)
    # Nothing is lost where the values of training stand in the file as they are.
    lost = bits is not None and not math.isinf(encoded.snr_db)
    cost = encoded.snr_db if lost else None
    trained = encoded.trained
    name = FLOAT32 if isinstance(trained, Float32) else described(trained)
    return Stored(weight.path, how, bits, why, name, cost, details)
