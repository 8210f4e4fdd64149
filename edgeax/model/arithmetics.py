"""Arithmetics of the literature by name: `Recipe(arithmetic="bfloat16")`."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from edgeax.formats import Integer, implements
from edgeax.formats.block_float import Flex16, HybridBlockFloat, SmallBlockFloat
from edgeax.formats.fixed_point import FixedPoint
from edgeax.formats.minifloat import Minifloat
from edgeax.formats.power_of_two import PowerOfTwo
from edgeax.transforms.arithmetic import Arithmetic
from edgeax.transforms.autoflex import Autoflex
from edgeax.transforms.bit_choices import BitChoices
from edgeax.transforms.dorefa import DoReFa, DoReFaGradient
from edgeax.transforms.followed_exponent import FollowedExponent, FollowedGradient
from edgeax.transforms.overflow_scale import OverflowScale
from edgeax.transforms.quantize import Quantize
from edgeax.transforms.quantized_gradient import QuantizeGradient
from edgeax.transforms.round_to import RoundTo
from edgeax.transforms.stages import BitStages
from edgeax.transforms.wage import WAGE, WAGEError, WAGEUpdate
from edgeax.transforms.word_length import WIDTHS, KeptGradient, SwitchedGradient, SwitchedWidth

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


@implements("MSDK19", test=_TEST + "test_msdk19_is_fp8_with_wide_sums_and_a_rising_scale")
def enhanced_fp8(seed: int = 0) -> Arithmetic:
    """FP8 operands and gradients (1-5-2), float32 sums, an fp16 master copy, enhanced loss scaling.

    Inputs, errors and gradients are rounded stochastically, weights to nearest; the master copy
    stochastically, or a small update would be lost. Source: [MSDK19], the latter as recalled.

    Args:
        seed: Of the stochastic rounding.
    """
    narrow = Minifloat(5, 2)
    rounding = {"backward": "stochastic", "gradient": "stochastic", "update": "stochastic"}
    return Arithmetic(
        {"kernel": narrow, "input": RoundTo(narrow, "stochastic", seed)},
        narrow,
        narrow,
        Minifloat(5, 10),
        rounding=rounding,
        loss_scale="enhanced",
        seed=seed,
    )


@implements("DTJF18", test=_TEST + "test_dtjf18_products_are_in_blocks_and_weights_in_16_bits")
def hbfp(bits: int = 8, tile: int = 24, rounding: str = "nearest", seed: int = 0) -> Arithmetic:
    """Products in block floating point, all else in float32; weights stored in 16 bits.

    Source: [DTJF18].

    Args:
        bits: Of a mantissa besides its sign, 1 to 15; the paper's 8 to 12.
        tile: Edge of the tiles of weights that share an exponent; inputs and errors have one per
            sample.
        rounding: `"nearest"` or `"stochastic"`, of all.
        seed: Of the stochastic rounding.
    """
    operand, stored = HybridBlockFloat(bits, tile=tile), HybridBlockFloat(15, tile=tile)
    return Arithmetic(operand, operand, None, stored, rounding=rounding, seed=seed)


@implements("CBG20", test=_TEST + "test_cbg20_small_gradients_survive_without_a_loss_scale")
def s2fp8() -> Arithmetic:
    """Everything in S2FP8, shifted and squeezed FP8; float32 sums and master copy, no loss scale.

    Source: [CBG20].
    """
    return Arithmetic("s2fp8", "s2fp8", "s2fp8")


@implements("DMM18", test=_TEST + "test_dmm18_products_are_those_of_16_bit_integers")
def dfp16() -> Arithmetic:
    """Operands and gradients in DFP16: 16-bit mantissas with one exponent; float32 master copy.

    Sums are those of integers, here in float32 as they are spilled to. Source: [DMM18].
    """
    return Arithmetic("dfp16", "dfp16", "dfp16")


@implements("KWW17", test=_TEST + "test_kww17_exponents_are_predicted_for_every_tensor")
def flexpoint() -> Arithmetic:
    """Everything in flex16+5 with exponents that Autoflex predicts, weights as stored too.

    The exponent of a stored weight is measured. Source: [KWW17].
    """
    value, gradient = FollowedExponent(Autoflex()), FollowedGradient(Autoflex())
    return Arithmetic(value, gradient, gradient, Flex16())


@implements("CBD14", test=_TEST + "test_cbd14_computes_in_10_bits_and_stores_12")
def dynamic_fixed(
    width: int = 10, update_width: int = 12, period: int = 100, rounding: str = "nearest"
) -> Arithmetic:
    """Dynamic fixed point: 10 bits to compute with and 12 to store, scales by overflow.

    The scale of a stored weight is measured. Source: [CBD14].

    Args:
        width: Bits of operands and gradients.
        update_width: Bits of a stored weight.
        period: Steps between two changes of scale.
        rounding: Of stored weights, `"nearest"` as in the paper or `"stochastic"`.
    """
    value = FollowedExponent(OverflowScale(width, period))
    gradient = FollowedGradient(OverflowScale(width, period))
    stored = SmallBlockFloat(update_width, axis=None)
    return Arithmetic(value, gradient, gradient, stored, rounding={"update": rounding})


@implements("YZK19", test=_TEST + "test_yzk19_everything_is_8_bit_and_stochastic")
def swalp(width: int = 8, seed: int = 0) -> Arithmetic:
    """Everything in small-block floating point of 8 bits, rounded stochastically.

    Weights are stored in it and used as they are stored, so that the model computes with a mean of
    them in float. Use `edgeax.optimizers.RoundedSGD(format="swalp8")` for an 8-bit momentum, and
    `edgeax.callbacks.SWA` for the mean of the last epochs. Source: [YZK19].

    Args:
        width: Bits of a code with its sign.
        seed: Of the stochastic rounding.
    """
    block = SmallBlockFloat(width)
    return Arithmetic({"input": block}, block, block, block, rounding="stochastic", seed=seed)


@implements("RVVB20", test=_TEST + "test_rvvb20_products_are_in_block_fixed_point_of_8_bits_first")
def muppet(widths: Sequence[int] = WIDTHS, seed: int = 0) -> Arithmetic:
    """Operands and errors in MuPPET's block fixed point, stochastically; a float32 master copy.

    The first width is in force until `edgeax.callbacks.MuPPET` goes on to the next, and in the end
    to float32. Gradients of kernels, which it looks at, stay in float32. Source: [RVVB20].

    Args:
        widths: Word lengths in bits, growing, each 2 to 16.
        seed: Of the stochastic rounding.
    """
    value, error = SwitchedWidth(widths, seed), SwitchedGradient(widths, seed)
    return Arithmetic(value, error, KeptGradient())


@implements("WLCS18", test=_TEST + "test_wlcs18_has_the_four_widths_of_wage")
def wage(
    weights: int = 2, activations: int = 8, gradients: int = 8, errors: int = 8, rate: float = 1.0
) -> Arithmetic:
    """WAGE, 2-8-8-8 bits: train it by plain SGD of learning rate 1, `rate` is in steps.

    Start from `edgeax.WAGEInitializer`. Source: [WLCS18].

    Args:
        weights: Bits of weights in products.
        activations: Bits of inputs.
        gradients: Bits of a step of the stored weights.
        errors: Bits of errors.
        rate: The paper's learning rate.
    """
    forward = {"kernel": WAGE(weights), "input": WAGE(activations)}
    return Arithmetic(forward, WAGEError(errors), WAGEUpdate(gradients, rate))


@implements("ZWN16", test=_TEST + "test_zwn16_has_the_three_widths_of_dorefa")
def dorefa(weights: int = 1, activations: int = 2, gradients: int = 6) -> Arithmetic:
    """DoReFa, 1-2-6 bits: inputs of layers are clipped to [0, 1].

    Leave the first and the last layer out by rules with an `arithmetic` of their own.
    Source: [ZWN16].

    Args:
        weights: Bits of weights.
        activations: Bits of inputs.
        gradients: Bits of errors.
    """
    forward = {"kernel": DoReFa(weights), "input": DoReFa(activations)}
    return Arithmetic(forward, DoReFaGradient(gradients))


@implements("SG94", test=_TEST + "test_sg94_one_factor_of_each_product_is_a_power_of_two")
def powers_of_two(bits: int = 7) -> Arithmetic:
    """One factor of each product a power of two, by rounding the logarithm: no multiplications.

    These are the weights (of outputs and errors) and the errors (of gradients). Source: [SG94].

    Args:
        bits: Of a code, 2 to 7: of how many powers there are.
    """
    power = PowerOfTwo(bits, domain="log")
    return Arithmetic({"kernel": power}, power)


@implements("FYZ20", test=_TEST + "test_fyz20_pfq_has_the_widths_of_its_stage")
def pfq(
    forward: Sequence[int] = (3, 4, 6, 8), backward: Sequence[int] = (6, 6, 8, 8), seed: int = 0
) -> Arithmetic:
    """Progressive fractional quantization: integers whose widths grow from stage to stage.

    `edgeax.callbacks.ProgressivePrecision` moves from stage to stage; without it the last widths
    hold. Errors are rounded stochastically. Source: [FYZ20].

    Args:
        forward: Bits of kernels and inputs in each stage.
        backward: Bits of errors in each stage; the paper's other schedule is 6, 8, 12, 16.
        seed: Of the stochastic rounding.

    Raises:
        ValueError: There are not as many of one as of the other, or a width is out of its range.
    """
    _check_as_many("forward", forward, "backward", backward)
    last = Integer(forward[-1])
    kernel = Quantize(Integer(forward[-1], axis=-1), bits=BitStages([*forward]))
    value = RoundTo(last, bits=BitStages([*forward]))
    error = QuantizeGradient(Integer(backward[-1]), seed=seed, bits=BitStages([*backward]))
    return Arithmetic({"kernel": kernel, "input": value}, error)


@implements("FYZ20", test=_TEST + "test_fyz20_dfq_rounds_each_sample_to_the_widths_of_its_choice")
def dfq(
    activations: Sequence[int] = (3, 4, 4, 6, 6),
    gradients: Sequence[int] = (6, 6, 8, 8, 12),
    weights: int = 4,
    seed: int = 0,
) -> Arithmetic:
    """Dynamic fractional quantization: integers whose widths a gate chooses for each sample.

    It is the arithmetic of the layers in a `edgeax.layers.FractionalBlock`; elsewhere the last
    widths hold. Errors are rounded stochastically. Source: [FYZ20].

    Args:
        activations: Bits of inputs, choice by choice.
        gradients: Bits of errors, choice by choice.
        weights: Bits of kernels.
        seed: Of the stochastic rounding.

    Raises:
        ValueError: There are not as many of one as of the other, or a width is out of its range.
    """
    _check_as_many("activations", activations, "gradients", gradients)
    value = RoundTo(Integer(activations[-1]), bits=BitChoices([*activations]))
    error = QuantizeGradient(Integer(gradients[-1]), seed=seed, bits=BitChoices([*gradients]))
    return Arithmetic({"kernel": Integer(weights, axis=-1), "input": value}, error)


def _check_as_many(name: str, widths: Sequence[int], other: str, others: Sequence[int]) -> None:
    if not widths or len(widths) != len(others):
        raise ValueError(
            f"`{name}` and `{other}` must have as many widths each, at least one. "
            f"Received: {name}={widths}, {other}={others}."
        )


_MAKERS = (
    *(bfloat16, fp16, fixed16, fp8, wide_fp8, enhanced_fp8, hbfp, s2fp8, dfp16, flexpoint),
    *(dynamic_fixed, swalp, muppet, wage, dorefa, powers_of_two, pfq, dfq),
)

ARITHMETICS: dict[str, Callable[..., Arithmetic]] = {made.__name__: made for made in _MAKERS}
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
