import re

import keras
import pytest

from edgeax.formats import FixedPoint, Minifloat
from edgeax.transforms import WAGE, Quantize, QuantizeGradient, RoundTo, WAGEError
from edgeax.transforms.arithmetic import Arithmetic


def test_each_part_becomes_the_transform_that_does_it():
    forward, rounding = {"kernel": "hbfp8", "input": "int8"}, {"gradient": "stochastic"}
    made = Arithmetic(forward, "fp8_e5m2", "fp16", rounding=rounding)
    kernel, gradient = made.kernel_members()
    (value,), (error,) = made.input_members(), made.error_members()
    assert isinstance(kernel, Quantize) and kernel.rounding == "nearest"
    assert isinstance(value, RoundTo) and isinstance(error, QuantizeGradient)
    assert (gradient.rounding, error.rounding) == ("stochastic", "nearest")
    assert gradient.overflow == error.overflow == "infinity"


def test_layers_draw_different_noise():
    made = Arithmetic(gradient="fp16", rounding="stochastic", seed=5)
    assert made.kernel_members(1)[0].seed == 6 != made.kernel_members(2)[0].seed


def test_a_transform_stands_for_itself_without_its_state():
    error = WAGEError(8)
    made = Arithmetic({"kernel": WAGE(2)}, backward=error)
    assert isinstance(made.kernel_members()[0], WAGE) and not made.input_members()
    assert made.error_members()[0] is not error and made.error_members()[0].bits == 8


@pytest.mark.parametrize(
    "arithmetic",
    [
        Arithmetic("bfloat16"),
        Arithmetic(FixedPoint(2, 14), update=FixedPoint(2, 14), rounding="stochastic", seed=3),
        Arithmetic({"kernel": WAGE(2), "input": "int8"}, WAGEError(4), loss_scale="dynamic"),
        Arithmetic(*["fp8_e5m2"] * 2, accumulate=Minifloat(6, 9), chunk=64, loss_scale=8),
    ],
)
def test_it_is_the_same_after_it_was_saved(arithmetic):
    data = keras.saving.serialize_keras_object(arithmetic)
    again = keras.saving.deserialize_keras_object(data)
    assert keras.saving.serialize_keras_object(again) == data


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "must be given a format for at least one of"),
        ({"forward": "fp17"}, "`forward` cannot be 'fp17'"),
        ({"forward": {"weights": "fp16"}}, r"keys of ('kernel', 'input')"),
        ({"update": 3}, "`update` cannot be 3"),
        ({"forward": "fp16", "rounding": "up"}, "`rounding` must be one of"),
        ({"forward": "fp16", "rounding": {"sums": "nearest"}}, "keys of ('forward', 'backward'"),
        ({"forward": "fp16", "loss_scale": 0}, "`loss_scale` must be None, a number above 0"),
        ({"forward": "fp16", "loss_scale": "static"}, "`loss_scale` must be None, a number"),
        (
            {"backward": "fp16", "loss_scale": 2.0**24},
            "`backward` can represent, at most 65504. Received: loss_scale=1.67772e+07",
        ),
        (
            {"gradient": "fixed2_14", "loss_scale": 1000},
            "`gradient` can represent, at most 1.99994. Received: loss_scale=1000",
        ),
        # What a transform rounds to counts as a format does.
        (
            {"backward": QuantizeGradient("fp16"), "loss_scale": 2.0**24},
            "`backward` can represent, at most 65504. Received: loss_scale=1.67772e+07",
        ),
        (
            {
                "forward": {"kernel": Quantize("bfloat16"), "input": RoundTo("bfloat16")},
                "backward": QuantizeGradient("bfloat16"),
                "accumulate": "fp16",
            },
            "16 significant bits for bfloat16 times bfloat16. Received: accumulate='fp16' with 11",
        ),
        ({"forward": "fp16", "chunk": 64}, "`chunk` must be None where nothing accumulates"),
        ({"accumulate": "int8"}, "`accumulate` must be a floating-point format without a scale"),
        (
            {"forward": "bfloat16", "backward": "bfloat16", "accumulate": "fp16"},
            "16 significant bits for bfloat16 times bfloat16. Received: accumulate='fp16' with 11",
        ),
        (
            {"forward": "fp8_e5m2", "accumulate": "fp16"},
            "27 significant bits for fp8_e5m2 times float32. Received: accumulate='fp16' with 11",
        ),
    ],
)
def test_what_makes_no_sense_is_rejected(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Arithmetic(**arguments)


def test_an_accumulator_may_be_as_narrow_as_what_transforms_make():
    narrow = Minifloat(5, 2)
    forward = {"kernel": narrow, "input": RoundTo(narrow, "stochastic")}
    made = Arithmetic(forward, QuantizeGradient(narrow), accumulate=Minifloat(6, 9))
    assert made.accumulate_format == Minifloat(6, 9)


def test_formats_that_adapt_hold_any_loss_scale():
    Arithmetic(backward="dfp16", gradient="bfloat16", loss_scale=2.0**24)
