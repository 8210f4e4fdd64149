import dataclasses

import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats import flatbuffer
from edgeax.runtime.mcu.fold import fold_activations, fold_pads
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import generated, image_networks
from tests.runtime.mcu.image_networks import SAME, VALID, conv, depthwise, image, pad
from tests.tflite_kernels import models


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


def activated(name="RELU6", version=2, scale=None, reads_twice=False):
    """x [1, 9, 8, 4] -> convolution -> activation -> sum."""
    model = image((1, 9, 8, 4))
    made = conv(model, 0, 6, 3)
    before = model.tensors[made]
    after = model.add(dataclasses.replace(before, name="cut", scale=scale or before.scale))
    builtin = getattr(schema.BuiltinOperator, name)
    model.operators.append(models.Operator([made], [after], builtin=builtin, version=version))
    model.outputs = [image_networks.add(model, after, made if reads_twice else after)]
    return model


@pytest.mark.parametrize("name, version", [("RELU", 2), ("RELU6", 2), ("RELU_N1_TO_1", 1)])
def test_an_activation_in_the_same_codes_is_done_by_the_operator_before(tmp_path, name, version):
    graph = flatbuffer.Model.from_bytes(activated(name, version).write()).subgraphs[0]
    assert fold_activations(graph) == {1}
    assert graph.operators[0].options["fused_activation_function"] == name
    data = activated(name, version).write()
    steps = read_program(data, TARGETS["host"], "double").steps
    assert [step.kernel for step in steps] == ["Conv2D", "Add"]
    if name != "RELU_N1_TO_1":  # LiteRT has none for int8
        assert generated.is_success(generated.run(data, tmp_path / "net"))


@pytest.mark.parametrize("changes", [{"scale": 0.5}, {"reads_twice": True}])
def test_an_activation_that_does_more_or_that_others_do_without_stays(tmp_path, changes):
    data = activated(**changes).write()
    assert fold_activations(flatbuffer.Model.from_bytes(data).subgraphs[0]) == set()
    assert generated.is_success(generated.run(data, tmp_path / "net"))
