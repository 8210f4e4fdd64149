"""Products of floats with packed weights against the stock interpreter's, one operator at a time.

Each row is a way to store the weights and a shape. Files with one operator each run in turns on one
thread: ours, and TFLite's built-in operator with float weights and with int8 ones, which XNNPACK
computes: the latter from inputs that it rounds to 8 bits (dynamic range). `speed` is how many times
as fast as with float weights ours is, `speed_of_int8` as with int8 ones, medians of the ratios
within a turn; `noise` how far off the first may be. Ours computes from unrounded inputs in float32.

`cold` rows read a buffer of twice the largest cache before each invoke, so that weights come from
memory as in a network of many layers.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import edgeax
from benchmarks.harness import Benchmark, run
from benchmarks.kernels import Evicter, nothing, turns
from edgeax.formats import AdaptivFloat, BlockFloat, EncodedTensor, Integer, Minifloat
from edgeax.formats.base import NumberFormat
from edgeax.formats.flatbuffer import Model, Subgraph
from edgeax.formats.operators import OPERATORS
from edgeax.formats.packed_floats import PackedFloats, packed_floats
from edgeax.formats.packing import pack
from edgeax.runtime import latency

OURS, FLOAT32, INT8 = "ours", "float32", "int8"
_OPERATOR = "EdgeaxFloatFullyConnected"
_QUICK_ROUNDS = 5
_GROUP = 32

KINDS: dict[str, tuple[NumberFormat, int]] = {
    "fp8_e4m3": (Minifloat(4, 3, scaled=True, axis=-1), 0),
    "adaptivfloat8_e3": (AdaptivFloat(8, 3, axis=-1), 0),
    "block float of 8 bits": (BlockFloat(8, axis=-1), 0),
    "int4": (Integer(4, axis=-1), 0),
    "int4 in groups of 32": (Integer(4, axis=-1), _GROUP),
    "int2": (Integer(2, axis=-1), 0),
}
"""Name to format and inputs that share a scale, 0 for all."""

SHAPES = ((256, 256), (1024, 1024), (4096, 4096))
"""Inputs and outputs."""


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with one row a kind, shape and state of the caches."""
    for name in KINDS:
        for shape in SHAPES[:1] if quick else SHAPES:
            for cold in (False, True) if shape == SHAPES[-1] and not quick else (False,):
                row = row_of(name, shape, cold, _QUICK_ROUNDS if quick else None)
                benchmark.row(**row)
                print(row, file=sys.stderr, flush=True)


def row_of(name: str, shape: tuple[int, int], cold: bool, rounds: int | None) -> dict[str, Any]:
    """Returns a row: times, bytes, and how far both are from the product in double.

    Args:
        name: Of a kind.
        shape: Inputs and outputs.
        cold: Whether caches are emptied before each invoke.
        rounds: How often each side is timed; None for as many as a few seconds take.
    """
    source = np.random.default_rng(0)
    values = source.normal(0.0, 0.05, shape).astype(np.float32)
    packed = _packed(name, values)
    x = source.normal(size=(1, shape[0])).astype(np.float32)
    files = {
        OURS: _custom_file(packed),
        FLOAT32: _built_in_file(packed.decode()),
        INT8: _built_in_file(packed.decode(), is_int8=True),
    }
    interpreters = {
        side: edgeax.Interpreter(model_content=file, num_threads=1) for side, file in files.items()
    }
    exact = x.astype(np.float64) @ packed.decode().astype(np.float64)
    errors = {side: np.abs(one.run(x) - exact).max() for side, one in interpreters.items()}
    times_ms = turns(interpreters, Evicter() if cold else nothing, rounds)
    return {
        "kind": name,
        "shape": f"FC {shape[0]}x{shape[1]}",
        "caches": "cold" if cold else "warm",
        "speed": latency.speed(times_ms[OURS], times_ms[FLOAT32]),
        "noise": latency.noise(times_ms[OURS], times_ms[FLOAT32]),
        "speed_of_int8": latency.speed(times_ms[OURS], times_ms[INT8]),
        **{f"{side}_ms": statistics.median(times) for side, times in times_ms.items()},
        **{f"{side}_error": float(error) for side, error in errors.items()},
        **{f"{side}_file_bytes": len(file) for side, file in files.items()},
    }


def _packed(name: str, values: np.ndarray) -> PackedFloats:
    """Returns a matrix in the codes of a kind."""
    format, group = KINDS[name]
    if not group:
        params = format.fit(values)
        return packed_floats(EncodedTensor(format.encode(values, params), format, params))
    columns = values.shape[1]
    groups = values.reshape(-1, group, columns).transpose(1, 0, 2).reshape(group, -1)
    params = format.fit(groups)
    packed = packed_floats(EncodedTensor(format.encode(groups, params), format, params))
    codes = packed.codes.reshape(group, -1, columns).transpose(1, 0, 2).reshape(values.shape)
    scale = packed.scale.reshape(-1, columns)
    return dataclasses.replace(packed, codes=codes, scale=scale, group=group)


def _custom_file(packed: PackedFloats) -> bytes:
    """Returns a file of our operator."""
    model, graph = _model(*packed.codes.shape)
    numbers = [
        graph.add_tensor(name, np.ascontiguousarray(array))
        for name, array in (
            ("weights", pack(packed.codes.T, packed.bits)),
            ("bias", np.zeros(packed.codes.shape[1], np.float32)),
            ("scale", packed.scale.T),
            ("codebook", packed.codebook),
        )
    ]
    graph.insert(0, _OPERATOR, (0, *numbers), (1,), is_custom=True)
    options = OPERATORS[_OPERATOR].pack_options(keep_num_dims=0, group=packed.group, activation=0)
    model.replace_with_custom(graph, 0, _OPERATOR, (0, *numbers), options)
    return model.to_bytes()


def _built_in_file(values: np.ndarray, is_int8: bool = False) -> bytes:
    """Returns a file of TFLite's own operator, its weights in float or rounded to int8."""
    model, graph = _model(*values.shape)
    rows = np.ascontiguousarray(values.T)
    if is_int8:
        scale = np.abs(rows).max(axis=1) / np.float32(127)
        number = graph.add_tensor("weights", np.rint(rows / scale[:, None]).astype(np.int8), scale)
        graph.tensors[number].quantized_axis = 0
    else:
        number = graph.add_tensor("weights", rows)
    bias = graph.add_tensor("bias", np.zeros(len(rows), np.float32))
    inputs = (0, number, bias)
    graph.insert(0, "FULLY_CONNECTED", inputs, (1,))
    model.replace_with_builtin(graph, 0, "FULLY_CONNECTED", inputs, "FullyConnectedOptions", {})
    graph.operators[0].retarget(9 if is_int8 else 1, {})
    return model.to_bytes()


def _model(inputs: int, outputs: int) -> tuple[Model, Subgraph]:
    """A graph that has its input and its output and nothing between them."""
    model = Model.empty()
    graph = model.subgraphs[0]
    graph.add_state("input", "float32", (1, inputs), is_variable=False)
    graph.add_state("output", "float32", (1, outputs), is_variable=False)
    graph.inputs, graph.outputs = [0], [1]
    return model, graph


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("float_kernels", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
