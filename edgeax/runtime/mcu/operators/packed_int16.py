"""Convolutions and matrix products of int16 codes whose weights are packed in flash."""

import dataclasses

import numpy as np

from edgeax.formats import packing
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, conv2d
from edgeax.runtime.mcu.operators.packings import PIECES, Field, Packing, bits_for
from edgeax.runtime.mcu.operators.products import Products
from edgeax.runtime.mcu.program import Array, Step, Struct

_QUICK = 0.72  # bytes count less where zeros are skipped


@dataclasses.dataclass(frozen=True, eq=False)
class _Form:
    """Packed weights, and the scratch of the kernel that reads them."""

    packing: Packing
    scratch_bytes: int
    weight: float

    @property
    def cost(self) -> float:
        return self.packing.size_bytes * self.weight


def packed_int16(node: Node, found: Products, shape: conv2d.Shape) -> Step:
    """Returns the step of a layer in the form that takes the fewest bytes, packed or not.

    Args:
        node: The operator.
        found: Its numbers.
        shape: Its shapes.
    """
    rows = found.rows
    forms = [_masked(rows, shape.groups, piece) for piece in PIECES]
    forms += _in_codes(rows)
    form = min(forms, key=lambda form: form.cost)
    if form.packing.size_bytes >= rows.size:
        wide = dataclasses.replace(found, bias=found.bias.astype(np.int64))
        return conv2d.convolution_int16(node, wide, shape)
    fields: dict[str, Field] = {
        "shape": shape.struct(),
        "clamp": codes.clamp(found.output_limits),
        "factor_step": 0 if found.factors.is_one else 1,
        "factors": found.factors.struct(),
        "bias": Array("bias", found.bias),
        **form.packing.fields,
    }
    return Step(
        label=node.label,
        kernel=form.packing.kernel,
        header=form.packing.header,
        arguments=Struct(f"{form.packing.kernel}Int16Args", fields),
        reads=(node.inputs[0],),
        writes=(node.outputs[0],),
        extent=shape.window,
        rounds=True,
        scratch_bytes=-(-form.scratch_bytes // 8) * 8,
        macs=shape.macs,
    )


def _in_codes(rows: np.ndarray) -> list[_Form]:
    """Returns weights in codes, if there are few different ones."""
    codebook, indices = np.unique(rows, return_inverse=True)
    bits = bits_for(codebook.size)
    if bits is None:
        return []
    packed = packing.pack(indices.reshape(rows.shape).astype(np.uint8), bits)
    fields: dict[str, Field] = {
        "bits": bits,
        "codebook": Array("codebook", np.pad(codebook, (0, (1 << bits) - codebook.size))),
        "codes": Array("codes", packed.reshape(-1)),
    }
    decoded = packed.shape[1] * (8 // bits)
    return [_Form(Packing("CodebookConv2D", "codebook_conv2d_int16.h", fields), decoded, 1.0)]


def _masked(rows: np.ndarray, groups: int, piece: int) -> _Form:
    """Returns weights without the pieces that are zeros."""
    filled = np.pad(rows, ((0, 0), (0, -rows.shape[1] % piece)))
    pieces = filled.reshape(len(rows), -1, piece)
    stored = np.asarray(np.any(pieces, axis=2))
    masks = packing.pack(stored.astype(np.uint8), bits=1)
    counts = stored.reshape(groups, -1).sum(axis=1)
    values = pieces[stored].reshape(-1)
    fields: dict[str, Field] = {
        "piece": piece,
        "mask_bytes": masks.shape[1],
        "masks": Array("masks", masks.reshape(-1)),
        "starts": Array("starts", (np.cumsum(counts) - counts).astype(np.int32)),
        "pieces": Array("pieces", values if values.size else np.zeros(1, np.int8)),
    }
    packed = Packing("MaskedConv2D", "masked_conv2d_int16.h", fields)
    return _Form(packed, 2 * filled.shape[1], _QUICK)
