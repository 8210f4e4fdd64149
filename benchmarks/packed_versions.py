"""A full-integer file with its kernels in fewer bits or without most blocks, as export writes them.

Nothing is trained: the versions show what programs take and run, not what networks lose.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeax.export.carriers import Carrier, Codes, from_file_layout
from edgeax.export.constants import Constants
from edgeax.export.lower_custom import CustomForm, write_custom
from edgeax.export.lower_packed import packed
from edgeax.export.lower_sparse import sparse
from edgeax.formats.flatbuffer import Model, Operator, Subgraph

_OPERATORS = ("CONV_2D", "FULLY_CONNECTED")
_ENTRIES = 16
_TERNARY_LIMIT = 0.7  # part of the mean weight below which a weight is 0
_BLOCK = 4  # weights beside each other, and channels, of a block
_KEPT, _OF = 4, 16

Rows = np.ndarray
"""int8 `(channels, depth)`."""
Change = Callable[[Rows, np.ndarray], tuple[Rows, np.ndarray]]
"""Returns other weights and scales of channels for those of a layer."""


def codebook(content: bytes) -> bytes:
    """Returns a file whose kernels hold 16 different codes each, stored in 4 bits."""
    return _changed(content, _few_codes, packed)


def ternary(content: bytes) -> bytes:
    """Returns a file whose kernels are -1, 0 and 1 times a step of each channel, in 2 bits."""
    return _changed(content, _three_codes, packed)


def block_sparse(content: bytes) -> bytes:
    """Returns a file whose kernels keep a quarter of their blocks of 4 weights in 4 channels."""
    return _changed(content, _without_blocks, sparse)


def scattered(content: bytes) -> bytes:
    """Returns a file whose kernels keep a quarter of their blocks of 4 weights in each channel."""
    return _changed(content, _without_pieces, sparse)


def _changed(
    content: bytes, change: Change, form: Callable[[Subgraph, Carrier, Codes], CustomForm]
) -> bytes:
    model = Model.from_bytes(content)
    graph = model.subgraphs[0]
    constants = Constants(graph)
    for operator in [one for one in graph.operators if one.name in _OPERATORS]:
        carrier, rows = _read(graph, operator)
        changed, scale = change(rows, carrier.scale)
        kernel = graph.tensors[operator.inputs[1]]
        shape = (*kernel.shape[1:], kernel.shape[0])
        codes = Codes(from_file_layout(operator.name, changed, shape), scale.astype(np.float32))
        write_custom(model, constants, carrier, form(graph, carrier, codes), kernel.name)
    return model.to_bytes()


def _read(graph: Subgraph, operator: Operator) -> tuple[Carrier, Rows]:
    """Returns an operator with its scales and its bias, and its weights."""
    x, kernel = (graph.tensors[operator.inputs[place]] for place in (0, 1))
    bias = graph.tensors[operator.inputs[2]]
    input_scale = float(np.asarray(x.scale)[0])
    scale = np.broadcast_to(np.asarray(kernel.scale), kernel.shape[:1]).astype(np.float32)
    real = np.asarray(bias.data, np.float64) * input_scale * scale
    weights = np.asarray(kernel.data).reshape(len(scale), -1)
    return Carrier(operator, input_scale, scale, real), weights


def _few_codes(rows: Rows, scale: np.ndarray) -> tuple[Rows, np.ndarray]:
    parts = (np.arange(_ENTRIES) + 0.5) / _ENTRIES
    entries = np.unique(np.quantile(rows, parts).round())
    nearest = np.abs(rows[..., None] - entries).argmin(axis=-1)
    return entries[nearest].astype(np.int8), scale


def _three_codes(rows: Rows, scale: np.ndarray) -> tuple[Rows, np.ndarray]:
    size = np.abs(rows.astype(np.float64))
    kept = size > _TERNARY_LIMIT * size.mean(axis=1, keepdims=True)
    step = np.array(
        [row[of].mean() if of.any() else 1.0 for row, of in zip(size, kept, strict=True)]
    )
    return (np.sign(rows) * kept).astype(np.int8), scale * step


def _without_blocks(
    rows: Rows, scale: np.ndarray, together: int = _BLOCK
) -> tuple[Rows, np.ndarray]:
    """Keeps the largest blocks among neighbors; the last of a row may be fewer.

    Args:
        rows: The weights.
        scale: Of the channels.
        together: Channels of a block.
    """
    channels, depth = rows.shape
    filled = np.pad(rows, ((0, -channels % together), (0, -depth % (_BLOCK * _OF))))
    blocks = filled.reshape(-1, together, filled.shape[1] // (_BLOCK * _OF), _OF, _BLOCK)
    size = np.abs(blocks.astype(np.int64)).sum(axis=(1, 4))
    rank = (-size).argsort(axis=-1, kind="stable").argsort(axis=-1)
    left = -(-depth // _BLOCK) - np.arange(size.shape[1]) * _OF  # blocks of the row from here on
    kept = rank < np.ceil(np.clip(left, 0, _OF) * _KEPT / _OF)[:, None]
    whole = (blocks * kept[:, None, :, :, None]).reshape(filled.shape)
    return whole[:channels, :depth].astype(np.int8), scale


def _without_pieces(rows: Rows, scale: np.ndarray) -> tuple[Rows, np.ndarray]:
    return _without_blocks(rows, scale, together=1)
