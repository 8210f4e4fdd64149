import pytest

from edgeax.formats import flatbuffer
from edgeax.runtime.mcu.fold import fold_pads
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import generated, image_networks
from tests.runtime.mcu.image_networks import SAME, VALID, conv, depthwise, image, pad


def padded(rows, columns, code=None, kernel=3, stride=2, padding=VALID):
    """x [1, 9, 8, 4] -> border -> convolution."""
    model = image((1, 9, 8, 4))
    border = pad(model, 0, rows, columns, code)
    model.outputs = [conv(model, border, 6, kernel, stride, padding=padding)]
    return model


def folded(model):
    return fold_pads(flatbuffer.Model.from_bytes(model.write()).subgraphs[0])


@pytest.mark.parametrize(
    "rows, columns, stride, code",
    [((1, 1), (1, 1), 1, None), ((0, 1), (0, 1), 2, None), ((2, 0), (1, 2), 2, 3)],
    ids=["all_sides", "as_keras_does", "uneven_by_padv2"],
)
def test_a_convolution_pads_itself_and_gives_the_same(tmp_path, rows, columns, stride, code):
    model = padded(rows, columns, code, stride=stride)
    assert folded(model) == ({1: (rows, columns)}, {0})
    assert generated.is_success(generated.run(model.write(), tmp_path / "net"))
    (step,) = read_program(model.write(), TARGETS["host"], "double").steps
    assert step.label.startswith("1 CONV_2D") and step.values_read == (0,)
    assert step.extent.pad == rows[0] and step.extent.input_rows == 9


def test_a_depthwise_convolution_pads_itself_and_gives_the_same(tmp_path):
    model = image((1, 9, 8, 4))
    border = pad(model, 0, (1, 0), (0, 1))
    model.outputs = [depthwise(model, border, 3, padding=VALID)]
    assert folded(model)[1] == {0}
    assert generated.is_success(generated.run(model.write(), tmp_path / "net"))


def test_a_border_that_several_convolutions_read_is_folded_into_all(tmp_path):
    model = image((1, 9, 8, 4))
    border = pad(model, 0, (1, 1), (1, 1))
    model.outputs = [
        conv(model, border, 2, 3, padding=VALID),
        depthwise(model, border, 3, 2, VALID),
    ]
    assert folded(model) == ({1: ((1, 1), (1, 1)), 2: ((1, 1), (1, 1))}, {0})
    assert generated.is_success(generated.run(model.write(), tmp_path / "net"))


def shared_with_a_sum():
    model = image((1, 9, 8, 4))
    border = pad(model, 0, (1, 1), (1, 1))
    model.outputs = [
        conv(model, border, 2, 3, padding=VALID),
        image_networks.add(model, border, border),
    ]
    return model


def also_an_output():
    model = padded((1, 1), (1, 1))
    model.outputs.append(model.operators[0].outputs[0])
    return model


@pytest.mark.parametrize(
    "model",
    [
        padded((1, 1), (1, 1), code=4),
        padded((3, 0), (0, 0)),
        padded((1, 1), (1, 1), padding=SAME),
        shared_with_a_sum(),
        also_an_output(),
    ],
    ids=["not_zero", "windows_of_border_only", "padded_twice", "sum", "output"],
)
def test_a_border_that_others_see_is_computed(tmp_path, model):
    assert folded(model) == ({}, set())
    assert generated.is_success(generated.run(model.write(), tmp_path / "net"))
