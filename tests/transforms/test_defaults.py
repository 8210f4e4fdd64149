"""What the papers set, where a user sets nothing, and what a wrong setting is told.

Values are those of the rows of the list of methods.
"""

import math

import pytest

from edgeax.transforms import (
    BitSchedule,
    DoReFa,
    Incremental,
    LearnedBasisQuantize,
    LearnedClip,
    LearnedPoints,
    LearnedTernary,
    Quantize,
    Sign,
    TernaryActivation,
)
from edgeax.transforms.gradients import swish_sign


@pytest.mark.parametrize(
    "made, name, value",
    [
        (TernaryActivation(), "factor", 0.4),  # [WSL18], 0.5 in its code
        (LearnedTernary(), "threshold", 0.05),  # [ZHMD16]
        (LearnedBasisQuantize(), "momentum", 0.9),  # [ZYYH18]
        (LearnedPoints(), "start", "density"),
        (LearnedClip(), "alpha", 6.0),  # [CWV18], 6 to 10
        (Incremental([1, 2, 3, 4]), "fractions", [0.5, 0.75, 0.875, 1.0]),  # [ZYG17]
        (Incremental([1, 2, 3, 4]), "format", "pow2_5"),
        (Sign(), "gradient", "ste_sign"),
    ],
)
def test_defaults_are_those_of_the_papers(made, name, value):
    assert made.get_config()[name] == value


def test_dbcn18_swish_sign_has_a_beta_of_5():
    assert swish_sign.__defaults__ == (5.0,)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DoReFa(None), r"`bits` of DoReFa must be an integer.*Received: bits=None"),
        (lambda: DoReFa(math.nan), "Received: bits=nan"),
        (lambda: DoReFa("4"), "Received: bits='4'"),
        (lambda: LearnedClip(4, alpha="6"), "`alpha` must be above 0 and finite.*alpha='6'"),
        (lambda: Incremental(3), "`steps` must be a list of training steps.*Received: steps=3"),
        (lambda: BitSchedule(None, []), "`bits` must be a list of widths.*Received: None"),
        (lambda: BitSchedule([8, 4], 3), "`steps` must be a list of training steps.*steps=3"),
        (lambda: Quantize("int8", range=None), "`range` must be one of.*Received: range=None"),
        (lambda: Quantize("ste_sign"), "by its name alone, without Quantize"),
    ],
)
def test_a_wrong_setting_names_the_argument_the_rule_and_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()
