"""Drawn layers of edgeax's own operators as cases of single steps."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from edgeax.formats import binary_rows, coded, rounding, sparse
from edgeax.formats.flatbuffer import Model
from edgeax.formats.operators import OPERATORS
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.operators.looked_up import add_points
from edgeax.runtime.mcu.program import Step
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu.step_program import Case
from tests.tflite_kernels import (
    int16_cases,
    models,
    native,
    oracle,
    random_cases,
    sign_sum_cases,
    test_binary_max_pool,
)

PACKED = (
    "EdgeaxDepthwiseConv2D",
    "EdgeaxConv2D",
    "EdgeaxFullyConnected",
    "EdgeaxSparseConv2D",
    "EdgeaxSparseFullyConnected",
    "EdgeaxVectorConv2D",
    "EdgeaxVectorFullyConnected",
    "EdgeaxGroupedConv2D",
    "EdgeaxGroupedFullyConnected",
    "EdgeaxLookupConv2D",
    "EdgeaxLookupFullyConnected",
)
BINARY = ("EdgeaxBinaryConv2D", "EdgeaxBinaryFullyConnected")
CODED = ("EdgeaxSparseConv2D", "EdgeaxFullyConnected")
WIDE = (
    "EdgeaxConv2D",
    "EdgeaxFullyConnected",
    "EdgeaxSparseConv2D",
    "EdgeaxSparseFullyConnected",
    "EdgeaxDepthwiseConv2D",
)


def node_of(content: bytes, target: str, kind: str) -> Node:
    """Returns the operator of a file of one operator."""
    graph = Model.from_bytes(content).subgraphs[0]
    add_points(graph)
    return Node(0, graph.operators[0], graph.tensors, TARGETS[target], kind)


def step_of(content: bytes, target: str, kind: str) -> Step:
    """Returns the step that its handler makes; of inputs on points the one behind the points."""
    node = node_of(content, target, kind)
    *before, step = HANDLERS[node.operator.name](node)
    assert len(before) == ("Lookup" in node.operator.name)
    assert isinstance(step, Step)
    return step


def case_of(drawn: native.Case, content: bytes, target: str, kind: str) -> Case:
    """Returns the step of a drawn layer, with what the oracle writes."""
    expected, codes = oracle.run(dataclasses.replace(drawn, kind=kind)), drawn.input
    if drawn.options.get("input_packed"):
        codes = codes.view(np.uint8)
    if drawn.points is not None:
        codes = drawn.points[codes.astype(np.int32) + 128]
    if drawn.options.get("output_packed"):
        expected = expected.view(np.uint8)
    return Case(step_of(content, target, kind), (codes,), expected, kind)


def battery(operator: str, target: str, kind: str, count: int) -> Iterator[Case]:
    """Yields drawn layers of an operator."""
    for seed in range(count):
        drawn = random_cases.draw(operator, seed)
        yield case_of(drawn, models.model_of(drawn).write(), target, kind)


def coded_battery(operator: str, target: str, kind: str, count: int) -> Iterator[Case]:
    """Yields drawn layers of the operator for coded rows that computes what another does."""
    for seed in range(count):
        drawn = random_cases.draw(operator, seed)
        content = models.coded_model_of(drawn, coded.encode(models.coded_rows(drawn))).write()
        yield case_of(drawn, content, target, kind)


def wide_battery(operator: str, target: str, kind: str, count: int) -> Iterator[Case]:
    """Yields drawn layers of an operator beside int16 codes."""
    for seed in range(count):
        drawn = int16_cases.draw(operator, seed)
        of_plugin = int16_cases.kind_of_built_in(operator) if kind == "single" else "double"
        content = models.model_of(drawn).write()
        expected = oracle.run(dataclasses.replace(drawn, kind=of_plugin))
        yield Case(step_of(content, target, kind), (drawn.input,), expected, kind)


def sparse_file(rows: np.ndarray) -> bytes:
    """Returns a file of an EdgeaxSparseFullyConnected of one row of input."""
    stored = sparse.encode(rows, 4, sparse.BITMASK)
    channels, depth = rows.shape
    constants = {
        "weights": stored.values,
        "bias": np.arange(channels, dtype=np.int32),
        "scale": np.full(channels, 0.01, np.float32),
        "indices": stored.indices,
    }
    model = models.Model()
    model.inputs = [model.add(models.Tensor("x", (1, depth), np.int8, 0.5, 3))]
    numbers = [
        model.add(models.Tensor(name, data.shape, data.dtype, data=data))
        for name, data in constants.items()
    ]
    model.outputs = [model.add(models.Tensor("y", (1, channels), np.int8, 0.5, 0))]
    name = "EdgeaxSparseFullyConnected"
    limits = {"output_min": -128, "output_max": 127}
    options = OPERATORS[name].pack_options(keep_num_dims=0, block=4, places=0, **limits)
    model.operators = [models.Operator([0, *numbers], list(model.outputs), name, options)]
    return model.write()


def block_battery(target: str, kind: str, count: int) -> Iterator[Case]:
    """Yields convolutions of which blocks of 4 weights in 4 channels are left."""
    for seed in range(count):
        drawn = random_cases.draw_whole_groups(seed)
        random = np.random.default_rng(seed)
        rows, depth = drawn.weights.shape
        left = random.random((-(-rows // 4), -(-depth // 4))) < 0.3
        left = np.repeat(np.repeat(left, 4, axis=0), 4, axis=1)[:rows, :depth]
        codes = random.integers(-128, 128, (rows, depth))
        drawn.weights = np.where(left, codes, 0).astype(np.int8)
        random_cases.store(drawn)
        yield case_of(drawn, models.model_of(drawn).write(), target, kind)


def ternary_battery(target: str, kind: str, count: int) -> Iterator[Case]:
    """Yields convolutions with weights of -1, 0 and 1 whose sums need no saturation.

    In some of them runs are whole words and blocks, and codes and weights extreme, so that sums are
    as large as they can be.
    """
    for seed in range(count):
        random = np.random.default_rng((count, seed))
        drawn = random_cases.draw("EdgeaxConv2D", seed)
        size = max(drawn.input.size, drawn.weights.size)
        wider = max(n for n in (1, (1, 4, 16)[seed % 3]) if n == 1 or n * size < 4000)
        shape, (rows, depth) = drawn.input.shape, drawn.weights.shape
        codes = random.integers(-128, 128, (*shape[:3], shape[3] * wider))
        entries = random.integers(0, 4, (rows, depth * wider))
        if seed % 4 == 3:
            codes, entries = np.full_like(codes, -128), entries // 3 * 2
        yield case_of(
            drawn := dataclasses.replace(
                drawn,
                kind=kind,
                input=codes.astype(np.int8),
                weights=entries.astype(np.uint8),
                codebook=np.int8([-1, 0, 1, 0]),
                bias=random.integers(-900, 900, drawn.bias.size).astype(np.int32),
                scale=np.float32(random.uniform(0.01, 0.02, drawn.scale.size)),
                input_scale=0.5,
                output_scale=float(np.float32(random.uniform(0.03, 0.3))),
            ),
            models.model_of(drawn).write(),
            target,
            kind,
        )


def sign_sum_battery(operator: str, target: str, count: int) -> Iterator[Case]:
    """Yields drawn layers of an operator on sums of signs, rounded once."""
    for seed in range(count):
        drawn = sign_sum_cases.draw(operator, seed)
        step = step_of(drawn.model().write(), target, "single")
        yield Case(step, (drawn.input,), drawn.expected(), "single")


def pool_battery(target: str, count: int) -> Iterator[Case]:
    """Yields drawn pools of bits."""
    for content, bits, expected in pools(count):
        yield Case(step_of(content, target, "single"), (bits,), expected, "single")


def pools(count: int) -> Iterator[tuple[bytes, np.ndarray, np.ndarray]]:
    """Yields files of pools of bits, what they read, and what they write."""
    for seed in range(count):
        random = np.random.default_rng(seed)
        channels = int(random.integers(1, 30))
        numbers = random.choice(np.int8([-1, 1]), (2, *random.integers(3, 8, 2), channels))
        window = (*(int(n) for n in random.integers(1, 4, 4)), int(random.integers(2)))
        bits, expected = (
            binary_rows.pack_signs(image)
            for image in (numbers, test_binary_max_pool.pooled(numbers, window))
        )
        names = "kernel_height kernel_width stride_height stride_width padding".split()
        options = dict(zip(names, window, strict=True), input_channels=channels)
        model = models.Model(inputs=[0], outputs=[1])
        for name, image in (("x", bits), ("y", expected)):
            model.add(models.Tensor(name, image.shape, np.uint8))
        name = "EdgeaxBinaryMaxPool2D"
        packed = OPERATORS[name].pack_options(**options)
        model.operators.append(models.Operator([0], [1], name, packed))
        spare = ~binary_rows.pack_signs(-np.abs(numbers))
        yield model.write(), bits | spare, expected


def everything(target: str, count: int) -> list[Case]:
    """Returns drawn layers of all operators in both roundings."""
    found: list[Case] = []
    for kind in rounding.KINDS:
        for operator in (*PACKED, *BINARY):
            found += battery(operator, target, kind, count)
        found += block_battery(target, kind, count)
        found += ternary_battery(target, kind, count)
        for operator in CODED:
            found += coded_battery(operator, target, kind, count)
        for operator in WIDE:
            found += wide_battery(operator, target, kind, count)
    for operator in (sign_sum_cases.CONV2D, sign_sum_cases.FULLY_CONNECTED):
        found += sign_sum_battery(operator, target, count)
    return [*found, *pool_battery(target, count)]
