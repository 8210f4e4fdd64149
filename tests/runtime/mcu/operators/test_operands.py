from pathlib import Path

import numpy as np
import pytest

from edgeax.runtime.mcu.operators import operands
from edgeax.runtime.mcu.program import Array
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Library, case, node_of, step_of
from tests.runtime.mcu.declared import fields_of
from tests.runtime.mcu.operators import test_activation as activation
from tests.runtime.mcu.operators import test_extremes as extremes
from tests.runtime.mcu.operators import test_join as join
from tests.runtime.mcu.operators import test_pad as pad
from tests.runtime.mcu.operators import test_prelu as prelu
from tests.runtime.mcu.operators import test_quantize as quantize
from tests.runtime.mcu.operators import test_resize as resize
from tests.runtime.mcu.operators import test_slices as slices
from tests.tflite_kernels.models import Tensor

RNG = np.random.default_rng(30)
IMAGE = np.zeros((1, 2, 3, 4), np.int8)
CASES = [
    activation.draw(RNG, "HARD_SWISH", np.int8, "double"),
    activation.draw(RNG, "RELU", np.int16, "double", version=3),
    activation.sigmoid_like(RNG, "TANH", np.int16),
    activation.unary("RELU", (0.1, 0.1), (3, 3), version=2),
    extremes.arg_extreme("ARG_MAX", IMAGE, 1),
    extremes.extreme_of("MAXIMUM", [IMAGE, IMAGE]),
    join.concatenation([IMAGE, IMAGE], 3),
    join.split_v([IMAGE, IMAGE], 3),
    pad.pad(IMAGE, np.ones((4, 2), np.int32)),
    prelu.prelu(RNG, (1, 1, 5)),
    quantize.quantize(np.zeros((1, 3), np.float32), np.int8, 0.1, 3, "double"),
    quantize.dequantize(np.int8, 0.1, 3),
    resize.resize(resize.BILINEAR, IMAGE, (3, 3), (False, False)),
    resize.resize(resize.NEAREST, IMAGE, (3, 3), (False, False)),
    slices.transpose(IMAGE, np.int32([0, 3, 2, 1])),
]


@pytest.mark.parametrize("one", CASES, ids=lambda one: node_of(one.file).operator.name)
def test_arguments_have_the_fields_that_the_kernel_declares(one) -> None:
    arguments = step_of(one).arguments
    assert [*arguments.fields] == fields_of(arguments.type)


def test_a_constant_is_read_from_the_file() -> None:
    x, c = drawn.tensor("x", (2,)), drawn.tensor("c", (2,), data=np.int8([4, 5]))
    node = node_of(case("MAXIMUM", [x, c], [drawn.tensor("y", (2,))], []).file)
    found = operands.read(node, 1)
    assert isinstance(found, Array) and found.data.tolist() == [4, 5]
    assert operands.read(node, 0) == 0


def test_operators_of_constants_alone_read_them_from_flash(tmp_path: Path) -> None:
    codes = drawn.codes(RNG, (1, 2, 3, 4))
    x, y = drawn.tensor("x", codes.shape, data=codes), drawn.tensor("y", codes.shape)
    other = drawn.tensor("y", codes.shape, scale=0.2)
    places = Tensor("y", codes.shape[:3], np.int32)
    slopes = drawn.tensor("slopes", (4,), data=codes[0, 0, 0])
    cases = [
        case("RELU", [x], [y], [], version=2),
        case("QUANTIZE", [x], [other], [], version=2),
        case("PRELU", [x, slopes], [y], []),
        case("ARG_MAX", [x, drawn.constant("axis", 3)], [places], [], version=2),
    ]
    for one in cases:
        step = step_of(one)
        assert step.values_read == () and step.in_place == ()
    assert case("QUANTIZE", [x], [y], [], version=2).lowered()[0].kernel == "Lookup"
    library = Library(tmp_path, cases)
    (output,) = library.run(0, at_end=True)
    assert (output == np.maximum(codes, 3)).all()
    (output,) = library.run(3, at_end=True)
    assert (output == codes.argmax(axis=3)).all()


def test_whole_numbers_and_counts_are_checked() -> None:
    x, wrong = drawn.tensor("x", (2,)), drawn.constant("axis", [0.5], np.float32)
    node = node_of(case("ARG_MAX", [x, wrong], [drawn.tensor("y", ())], []).file)
    with pytest.raises(ValueError, match="input 1 must be int32 or int64. Received: float32"):
        operands.whole_numbers(node, 1)
    with pytest.raises(ValueError, match="3 inputs and 1 outputs. Received: 2 and 1"):
        operands.check_counts(node, 3)
    with pytest.raises(ValueError, match="'x' must have the type of 'axis', float32. Received"):
        operands.check_types(node, ("float32", "int8"), node.input(1), node.input(0))
