"""Handlers of edgeax's own convolutions: how they pack weights, and what they refuse."""

import numpy as np
import pytest

from edgeax.formats.operators import OPERATORS
from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.operators.conv2d import Shape
from edgeax.runtime.mcu.operators.packed_conv2d import layer_of
from tests.runtime.mcu import packed_cases
from tests.runtime.mcu.packed_cases import node_of
from tests.tflite_kernels import models


def dense(rows: np.ndarray, book: np.ndarray, depth: int, **changes) -> bytes:
    """Returns a file of an EdgeaxFullyConnected; `changes` replace its constants."""
    channels = len(rows)
    constants = {
        "weights": rows,
        "bias": np.zeros(channels, np.int32),
        "scale": np.full(channels, 0.01, np.float32),
        "codebook": book,
    } | changes
    model = models.Model()
    model.inputs = [model.add(models.Tensor("x", (1, depth), np.int8, 0.5, 3))]
    numbers = [
        model.add(models.Tensor(name, data.shape, data.dtype, data=data))
        for name, data in constants.items()
    ]
    model.outputs = [model.add(models.Tensor("y", (1, channels), np.int8, 0.5, 0))]
    name = "EdgeaxFullyConnected"
    options = OPERATORS[name].pack_options(keep_num_dims=0, output_min=-128, output_max=127)
    model.operators = [models.Operator([0, *numbers], list(model.outputs), name, options)]
    return model.write()


def test_a_layer_is_what_the_file_says():
    found, _, shape = layer_of(
        node_of(dense(np.uint8([[0x21, 0x03]]), np.arange(16, dtype=np.int8), 3), "host", "single")
    )
    assert found.weights.reshape(-1).tolist() == [1, 2, 3]
    assert found.input_zero_point == 3 and found.output_limits == (-128, 127)
    assert shape == Shape(1, 1, 1, 3, 1, 1, 1, 1, 1)


@pytest.mark.parametrize("codes, kernel", [(16, "CodebookConv2D"), (256, "Conv2D")])
def test_few_values_are_packed_and_many_are_not(codes, kernel):
    random = np.random.default_rng(1)
    book = np.arange(-8, 8, dtype=np.int8)
    rows = random.integers(0, 256, (32, 64), dtype=np.uint8)
    if codes > book.size:
        book, rows = np.int8([1, 2, 3, -4]), rows[:1, :2]
    depth = rows.shape[1] * (8 // (book.size.bit_length() - 1))
    step = packed_cases.step_of(dense(rows, book, depth), "cortex-m4", "double")
    assert step.kernel == kernel


def test_blocks_of_zeros_are_skipped():
    rows = np.zeros((8, 64), np.int8)
    rows[:, 8:24] = np.random.default_rng(2).integers(1, 100, (8, 16))
    content = packed_cases.sparse_file(rows)
    for target in ("host", "cortex-m4", "cortex-m55"):
        step = packed_cases.step_of(content, target, "double")
        assert step.kernel == "SparseConv2D"
        assert step.arguments.fields["starts"].data.tolist() == [0, 4, 8]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"weights": np.zeros((1, 3), np.uint8)}, "its weights must have the shape"),
        ({"weights": np.zeros((1, 2), np.int8)}, "its weights must be uint8"),
        ({"codebook": np.zeros(5, np.int8)}, "its codebook must have 16, 4 or 2 values"),
        ({"bias": np.zeros(2, np.int32)}, "its bias must have the shape"),
        ({"scale": np.float32([np.nan])}, "its scales must be finite"),
    ],
)
def test_damaged_layers_are_refused_with_their_place(changes, words):
    book = np.arange(16, dtype=np.int8)
    node = node_of(dense(np.uint8([[0x21, 0x03]]), book, 3, **changes), "host", "double")
    with pytest.raises(ValueError, match=f"operator 0 EdgeaxFullyConnected, y: {words}"):
        HANDLERS["EdgeaxFullyConnected"](node)


def test_options_of_another_release_are_refused():
    node = node_of(dense(np.uint8([[0x21, 0x03]]), np.zeros(16, np.int8), 3), "host", "double")
    node.operator._raw.customOptions = [0] * 4
    with pytest.raises(ValueError, match="operator 0 EdgeaxFullyConnected, y: .*must hold the 16"):
        HANDLERS["EdgeaxFullyConnected"](node)
