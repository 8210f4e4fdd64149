"""Layers computed by looking up: inner products with codewords, or products of two codebooks.

Numpy oracles, slow and sure.
"""

import numpy as np

from edgeax.formats.base import EncodedTensor
from edgeax.formats.methods import implements
from edgeax.formats.vector_codebook import VectorCodebook

_TEST = "tests/formats/test_lookup.py::"


@implements("WLW15", test=_TEST + "test_wlw15_the_lookups_add_up_to_the_product")
def lookup_response(x: np.ndarray, encoded: EncodedTensor) -> np.ndarray:
    """Returns what a weight in a `VectorCodebook` makes of inputs, by tables of inner products.

    For each place m of a sub-vector, `table_m[k] = <x_m, codeword k>` is computed once for all
    output channels, which then only add: `response = sum_m table_m[codeword of m]`. Source:
    [WLW15].

    Args:
        x: float32 `(rows, inputs)`: columns of inputs, those of a convolution's window in the order
            of its kernel.
        encoded: A weight of `inputs` for each output channel.
    Returns:
        float32 `(rows, outputs)`, the sum taken in the order of the places.
    Raises:
        ValueError: The weight has another format, or `x` other inputs.
    """
    format = encoded.format
    if not isinstance(format, VectorCodebook) or encoded.mask is not None:
        raise ValueError(
            "`encoded` must be a weight in a VectorCodebook, without a mask. "
            f"Received: {format}. Cluster it by edgeax.VectorCluster alone."
        )
    codewords = format.codewords(encoded.codes)
    inputs, outputs = format.length * len(codewords), codewords.shape[1]
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or x.shape[1] != inputs:
        raise ValueError(
            f"`x` must have shape (rows, {inputs}), as many inputs as the weight. "
            f"Received: {x.shape}. Flatten the inputs of a row."
        )
    vectors = np.asarray(encoded.params["codebook"], np.float32).reshape(-1, format.length)
    response = np.zeros((len(x), outputs), np.float32)
    for place, of_place in enumerate(codewords):
        used, which = np.unique(of_place, return_inverse=True)
        part = x[:, place * format.length : (place + 1) * format.length]
        response += (part @ vectors[used].T)[:, which]
    return response * np.asarray(encoded.params.get("scale", 1.0), np.float32)


@implements("RIKR17", test=_TEST + "test_rikr17_lookups_give_every_bit_of_the_codebook_forward")
def product_table(weights: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns all products of the values that weights and inputs take. Source: [RIKR17].

    Args:
        weights: float32 `(tables, q_w)`: the values of the weights, one table for all output
            channels or one for each.
        points: float32 `(q_x,)`: the values of the inputs.
    Returns:
        float32 `(tables, q_w, q_x)`, each product rounded once.
    """
    return np.asarray(weights, np.float32)[..., None] * np.asarray(points, np.float32)


def lookup_dense(x_codes: np.ndarray, w_codes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Returns a dense layer's sums without a multiplication. Source: [RIKR17].

    Args:
        x_codes: Integers `(rows, inputs)`: which point each input is.
        w_codes: Integers `(inputs, outputs)`: which value of its table each weight is.
        table: What `product_table` returned, of one table or of one for each output.
    Returns:
        float32 `(rows, outputs)`: `sum_i table[w_codes[i], x_codes[i]]`, added one input after the
        other, so that the same sum of products has the same bits.
    Raises:
        ValueError: The shapes do not fit, or a code has no place in the table.
    """
    x_codes, w_codes = np.asarray(x_codes), np.asarray(w_codes)
    _check_codes(x_codes, w_codes, table)
    rows, outputs = len(x_codes), w_codes.shape[1]
    tables = np.arange(outputs) if len(table) > 1 else np.zeros(outputs, int)
    sums = np.zeros((rows, outputs), np.float32)
    for given, weights in zip(x_codes.T, w_codes, strict=True):
        sums += table[tables, weights, given[:, None]]
    return sums


def _check_codes(x_codes: np.ndarray, w_codes: np.ndarray, table: np.ndarray) -> None:
    shapes = x_codes.shape, w_codes.shape, table.shape
    fits = (
        x_codes.ndim == w_codes.ndim == 2
        and table.ndim == 3
        and x_codes.shape[1] == w_codes.shape[0]
        and len(table) in (1, w_codes.shape[1])
    )
    if not fits:
        raise ValueError(
            "`x_codes`, `w_codes` and `table` must have shapes (rows, inputs), (inputs, outputs) "
            f"and (1 or outputs, q_w, q_x). Received: {shapes}. Flatten the inputs of a row."
        )
    for name, codes, count in (
        ("w_codes", w_codes, shapes[2][1]),
        ("x_codes", x_codes, shapes[2][2]),
    ):
        if codes.size and not 0 <= codes.min() <= codes.max() < count:
            raise ValueError(
                f"`{name}` must lie in [0, {count - 1}], the places of the table. Received: "
                f"min={codes.min()}, max={codes.max()}. Take codes and table of the same layer."
            )


def weight_tables(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the different values of a kernel and which one each weight is.

    One table serves all output channels where its indices need no more bits than those of the
    channels' own tables.

    Args:
        values: float32, canonical layout: the last axis is the output channel.
    Returns:
        float32 `(1 or outputs, q_w)`, a shorter table filled up with its last value, and indices
        uint8 or uint16 `(inputs, outputs)`.
    Raises:
        ValueError: An output channel has more than 65536 values.
    """
    matrix = np.asarray(values, np.float32).reshape(-1, values.shape[-1])
    tables = [np.unique(column) for column in matrix.T]
    most = max(map(len, tables), default=1)
    shared = np.unique(matrix)
    if (len(shared) - 1).bit_length() <= (most - 1).bit_length():
        tables, most = [shared], len(shared)
    if most > 1 << 16:
        raise ValueError(
            f"`values` must be at most 65536 different ones. Received: {most}. Cluster the kernel."
        )
    columns = matrix.T if len(tables) > 1 else matrix.reshape(1, -1)
    codes = [np.searchsorted(t, column) for t, column in zip(tables, columns, strict=True)]
    laid_out = np.stack(codes, 1) if len(tables) > 1 else codes[0].reshape(matrix.shape)
    filled = [np.pad(table, (0, most - len(table)), mode="edge") for table in tables]
    return np.stack(filled), laid_out.astype(np.uint8 if most <= 256 else np.uint16)
