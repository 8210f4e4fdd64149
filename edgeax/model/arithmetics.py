"""Arithmetics of the literature by name: `Recipe(arithmetic="bfloat16")`."""

import difflib
from collections.abc import Callable
from typing import Any

from edgeax.formats import implements
from edgeax.formats.fixed_point import FixedPoint
from edgeax.formats.minifloat import Minifloat
from edgeax.transforms.arithmetic import Arithmetic

_TEST = "tests/model/test_arithmetics.py::"


@implements("KMM19", test=_TEST + "test_kmm19_operands_and_gradients_are_casts_to_bfloat16")
def bfloat16() -> Arithmetic:
    """All operands and gradients in bfloat16, sums and the master copy in float32.

    No loss scaling: the exponents are those of float32. Source: [KMM19].
    """
    return Arithmetic("bfloat16", "bfloat16", "bfloat16")


@implements("MNA17", test=_TEST + "test_mna17_gradients_that_fp16_flushes_are_recovered_by_a_scale")
def fp16(loss_scale: float | str | None = "dynamic") -> Arithmetic:
    """All operands and gradients in IEEE half precision, sums and the master copy in float32.

    Source: [MNA17].

    Args:
        loss_scale: See `Arithmetic`; None shows what is lost without.
    """
    return Arithmetic("fp16", "fp16", "fp16", loss_scale=loss_scale)


@implements("GAGN15", test=_TEST + "test_gagn15_stochastic_rounding_moves_what_nearest_stalls")
def fixed16(rounding: str = "stochastic", seed: int = 0) -> Arithmetic:
    """Everything in 16-bit fixed point, weights too: no copy of them in float32.

    Weights, errors and gradients are <2, 14> (IL = 2 bits with the sign before the point), inputs
    of layers <6, 10>; sums are wide and rounded at their end. Source: [GAGN15]; the split of inputs
    is ours.

    Args:
        rounding: `"stochastic"`, or `"nearest"`, with which small updates are lost.
        seed: Of the stochastic rounding.
    """
    narrow = FixedPoint(2, 14, "up")
    forward = {"kernel": narrow, "input": FixedPoint(6, 10, "up")}
    return Arithmetic(forward, narrow, narrow, narrow, rounding=rounding, seed=seed)


@implements("WCB18", test=_TEST + "test_wcb18_has_fp8_operands_and_16_bit_sums_in_chunks")
def fp8(chunk: int | None = 64, loss_scale: float | None = 1000.0, seed: int = 0) -> Arithmetic:
    """FP8 operands (1-5-2), sums in chunks in 16 bits (1-6-9), weights in 16 bits.

    Weights are rounded stochastically as they are stored; for momentum and weight decay in the same
    format use `edgeax.optimizers.RoundedSGD`. Give the last layer `wide_fp8()`, as the paper does.

    Source: [WCB18].

    Args:
        chunk: Products of a chunk; None for one sum over all, which stalls.
        loss_scale: See `Arithmetic`.
        seed: Of the stochastic rounding.
    """
    half = Minifloat(6, 9)
    operand = Minifloat(5, 2)
    return Arithmetic(
        operand,
        operand,
        half,
        half,
        half,
        chunk=chunk,
        rounding={"update": "stochastic"},
        loss_scale=loss_scale,
        seed=seed,
    )


def wide_fp8(loss_scale: float | None = 1000.0, seed: int = 0) -> Arithmetic:
    """What `fp8` is for the last layer: operands in 16 bits (1-6-9), sums in float32.

    Source: [WCB18].

    Args:
        loss_scale: See `Arithmetic`.
        seed: Of the stochastic rounding.
    """
    half = Minifloat(6, 9)
    rounding = {"update": "stochastic"}
    return Arithmetic(half, half, half, half, rounding=rounding, loss_scale=loss_scale, seed=seed)


ARITHMETICS: dict[str, Callable[..., Arithmetic]] = {
    made.__name__: made for made in (bfloat16, fp16, fixed16, fp8, wide_fp8)
}
"""What makes the arithmetic of each name."""


def as_arithmetic(given: Any) -> Arithmetic:
    """Returns an arithmetic, or the one of a name.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(given, Arithmetic):
        return given
    if isinstance(given, str) and given in ARITHMETICS:
        return ARITHMETICS[given]()
    near = difflib.get_close_matches(str(given), ARITHMETICS, n=3, cutoff=0.4) or [*ARITHMETICS]
    raise ValueError(
        "`arithmetic` must be an edgeax.training.Arithmetic or the name of one. "
        f"Received: arithmetic={given!r}. Did you mean one of {near}?"
    )
