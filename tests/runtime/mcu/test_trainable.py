import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.model.update_plan import UpdatePart, UpdatePlan
from edgeax.runtime.mcu.backward.tape import Part
from edgeax.runtime.mcu.trainable import parts_of, told
from tests.runtime.mcu import networks, trainable_networks


def parts(trainable, data=None):
    graph = Model.from_bytes(data or networks.dense_chain()).subgraphs[0]
    return parts_of(graph, range(len(graph.operators)), trainable)


@pytest.mark.parametrize(
    "trainable, wanted",
    [
        (1, {1: Part()}),
        (np.int64(2), {0: Part(), 1: Part()}),
        ([0], {0: Part()}),
        (("y", 0), {1: Part(), 0: Part()}),
        ("biases", {0: Part(0.0), 1: Part(0.0)}),
        ({"h": 0.25, 1: 1}, {0: Part(0.25), 1: Part(1.0)}),
        (
            UpdatePlan((UpdatePart("h", 3, False), UpdatePart("y"))),
            {0: Part(1.0, 3, False), 1: Part(1.0, None, True)},
        ),
    ],
)
def test_layers_are_chosen(trainable, wanted):
    assert parts(trainable) == wanted


@pytest.mark.parametrize(
    "part, columns", [(Part(), 7), (Part(0.5), 4), (Part(0.0), 0), (Part(1.0, 3), 3)]
)
def test_a_share_of_the_channels_is_rounded_up(part, columns):
    assert part.columns(7) == columns


def test_a_keras_layer_is_found_by_its_path_within_a_name():
    data = networks.dense_chain(("x", "net/one_1/Relu;net/one_1/MatMul", "net/one/BiasAdd"))
    assert parts(["one_1"], data) == {0: Part()} and parts(["net/one"], data) == {1: Part()}
    with pytest.raises(ValueError, match="'net', which 2 are"):
        parts(["net"], data)


def test_a_layer_is_found_in_a_file_that_edgeax_exported():
    names = ("x", "net_1/block_one.3_1/Relu;net_1/block_one.3_1/MatMul", "net_1/one.12/MatMul2")
    data = networks.dense_chain(names)
    assert parts(["block/one"], data) == {0: Part()} and parts(["one"], data) == {1: Part()}
    with pytest.raises(ValueError, match="'on', which none is"):
        parts(["on"], data)


def test_layers_without_weights_do_not_count():
    data = trainable_networks.pixels()  # a pool and a reshape before the last layer
    assert [*parts(2, data)] == [1, 4]


@pytest.mark.parametrize(
    "trainable, words",
    [
        (3, r"a whole number in \[1, 2\]. Received: 3"),
        (0, r"a whole number in \[1, 2\]. Received: 0"),
        (["z"], "Received: 'z', which none is. The file has 0 FULLY_CONNECTED, h, 1 FULLY"),
        ([True], "Received: True, which none is"),
        ([], "`trainable` must be how many last layers learn"),
        ("kernels", "`trainable` must be how many .* Received: 'kernels'"),
        (None, "Received: None. Use 1"),
        ({"h": 1.5}, r"shares in \[0, 1\]. Received: 1.5 for 'h'"),
        ({"h": None}, "Received: None for 'h'"),
    ],
)
def test_what_is_not_there_is_refused(trainable, words):
    with pytest.raises(ValueError, match=words):
        parts(trainable)


def test_an_operator_is_told_by_place_kind_and_output():
    graph = Model.from_bytes(networks.dense_chain()).subgraphs[0]
    assert told(graph, 1) == "1 FULLY_CONNECTED, y"
