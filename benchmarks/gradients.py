"""Gradients of layers in the plugin beside TensorFlow's own kernels.

The same graph, `REPEATS` operators with gradients of their own, runs in TensorFlow and, converted,
in the stock interpreter with the plugin, on one thread each, in turns. `edgeax_us` and
`tensorflow_us` are the time of one operator, medians over the rounds, in time of the process, so
that what else runs on the machine does not count; `speed` is the median over the rounds of how many
times as fast as TensorFlow's the plugin's is.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import edgeax
from benchmarks.formats import say
from benchmarks.harness import Benchmark, run

REPEATS = 4
ROUNDS, QUICK_ROUNDS = 15, 2
TURN_SECONDS = 0.02  # of each side in a round
OPS = tf.raw_ops


class Layer(NamedTuple):
    """A layer: its input's shape, the kernel, the output's channels and the stride."""

    shape: tuple[int, int, int, int]
    kernel: int
    outputs: int
    stride: int = 1


CONVOLUTIONS = (
    Layer((1, 28, 28, 1), 3, 16),
    Layer((4, 32, 32, 3), 3, 16, 2),
    Layer((4, 28, 28, 16), 3, 32),
    Layer((1, 14, 14, 64), 3, 128),
    Layer((1, 56, 56, 64), 3, 64),
    Layer((4, 14, 14, 32), 3, 64, 2),
    Layer((4, 14, 14, 128), 1, 128),
    Layer((1, 28, 28, 64), 1, 64),
)
DEPTHWISE = (
    Layer((1, 112, 112, 32), 3, 32),
    Layer((4, 28, 28, 64), 3, 64),
    Layer((4, 14, 14, 128), 3, 128, 2),
    Layer((1, 7, 7, 256), 3, 256),
)
POOLS = (Layer((4, 28, 28, 32), 2, 32, 2), Layer((1, 56, 56, 64), 3, 64, 2))
ACTIVATIONS = (Layer((4, 28, 28, 32), 1, 32), Layer((1, 56, 56, 64), 1, 64))


class Case(NamedTuple):
    """An operator on a layer: what the gradient is taken at, shapes of it and of the gradient."""

    operator: str
    layer: Layer
    values: tuple[int, ...]
    gradient: tuple[int, ...]
    call: Callable[[Any, Any], Any]


def cases() -> list[Case]:
    """Returns all operators on all of their layers."""
    found = []
    for layer in CONVOLUTIONS:
        found += _convolution(layer, "Conv2DBackprop", (layer.shape[3], layer.outputs))
    for layer in DEPTHWISE:
        found += _convolution(layer, "DepthwiseConv2dNativeBackprop", (layer.shape[3], 1))
    for layer in POOLS:
        found += _pools(layer)
    for layer in ACTIVATIONS:
        for name in ("ReluGrad", "Relu6Grad"):
            found.append(
                Case(name, layer, layer.shape, layer.shape, _activation(getattr(OPS, name)))
            )
    return found


def _output(layer: Layer) -> tuple[int, int, int, int]:
    batch, height, width, _ = layer.shape
    return batch, -(-height // layer.stride), -(-width // layer.stride), layer.outputs


def _attributes(layer: Layer) -> dict[str, Any]:
    return {"strides": [1, layer.stride, layer.stride, 1], "padding": "SAME"}


def _explicit(layer: Layer) -> dict[str, Any]:
    """Returns the padding of SAME, side by side."""
    sides: list[int] = []
    for size, output in zip(layer.shape[1:3], _output(layer)[1:3], strict=True):
        missing = max((output - 1) * layer.stride + layer.kernel - size, 0)
        sides += [missing // 2, missing - missing // 2]
    return {"padding": "EXPLICIT", "explicit_paddings": [0, 0, *sides, 0, 0]}


def _convolution(layer: Layer, name: str, channels: tuple[int, int]) -> list[Case]:
    kernel = (layer.kernel, layer.kernel, *channels)
    attributes = _attributes(layer)
    is_depthwise = name.startswith("Depthwise")
    # The converter makes a built-in operator of padding by name in the input's gradient.
    of_inputs = attributes if is_depthwise else attributes | _explicit(layer)

    def of_filter(values: Any, gradient: Any) -> Any:
        operator = getattr(OPS, f"{name}Filter")
        return operator(input=values, filter_sizes=kernel, out_backprop=gradient, **attributes)

    def of_input(values: Any, gradient: Any) -> Any:
        operator = getattr(OPS, f"{name}Input")
        return operator(input_sizes=layer.shape, filter=values, out_backprop=gradient, **of_inputs)

    output = _output(layer)
    return [
        Case(f"{name}Filter", layer, layer.shape, output, of_filter),
        Case(f"{name}Input", layer, kernel, output, of_input),
    ]


def _pools(layer: Layer) -> list[Case]:
    attributes = _attributes(layer) | {"ksize": [1, layer.kernel, layer.kernel, 1]}

    def of_maximum(values: Any, gradient: Any) -> Any:
        return OPS.MaxPoolGrad(orig_input=values, orig_output=gradient, grad=gradient, **attributes)

    def of_average(values: Any, gradient: Any) -> Any:
        return OPS.AvgPoolGrad(orig_input_shape=layer.shape, grad=gradient, **attributes)

    output = _output(layer)
    return [
        Case("MaxPoolGrad", layer, layer.shape, output, of_maximum),
        Case("AvgPoolGrad", layer, layer.shape, output, of_average),
    ]


def _activation(operator: Any) -> Callable[[Any, Any], Any]:
    return lambda values, gradient: operator(gradients=gradient, features=values)


class Sides(NamedTuple):
    """One run of a case's graph in TensorFlow and in the interpreter, and what the latter gives."""

    tensorflow: Callable[[], Any]
    edgeax: Callable[[], None]
    outputs: Callable[[], list[np.ndarray]]


def sides(case: Case, seed: int = 0) -> Sides:
    """Builds the graph of a case on both sides, with the same numbers in it."""
    source = np.random.default_rng(seed)
    shapes = [case.values, *[case.gradient] * REPEATS]
    arrays = [source.standard_normal(shape).astype(np.float32) for shape in shapes]
    specs = [tf.TensorSpec(a.shape, name=f"x{i}") for i, a in enumerate(arrays)]

    @tf.function(input_signature=specs)
    def graph(values: Any, *gradients: Any) -> list[Any]:
        return [case.call(values, gradient) for gradient in gradients]

    concrete = graph.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], graph)
    converter.allow_custom_ops = True
    interpreter = Interpreter(
        model_content=converter.convert(),
        experimental_delegates=[edgeax.load_delegate()],
        num_threads=1,
    )
    interpreter.allocate_tensors()
    named = {spec.name: array for spec, array in zip(specs, arrays, strict=True)}
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], named[detail["name"]])
    results = sorted(interpreter.get_output_details(), key=lambda detail: detail["name"])
    tensors = [tf.constant(array) for array in arrays]
    return Sides(
        lambda: concrete(*tensors),
        interpreter.invoke,
        lambda: [interpreter.get_tensor(detail["index"]) for detail in results],
    )


def turn(call: Callable[[], Any], seconds: float) -> float:
    """Returns the time of one call, in seconds of the process, of as many as fill `seconds`."""
    calls, started = 0, time.process_time()
    while True:
        call()
        calls += 1
        spent = time.process_time() - started
        if spent >= seconds:
            return spent / calls


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Adds a row and a target for every case."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # set before; the time of all threads is counted anyway
        pass
    for case in cases():
        both = sides(case)
        both.tensorflow()
        times = [
            (turn(both.edgeax, TURN_SECONDS), turn(both.tensorflow, TURN_SECONDS))
            for _ in range(QUICK_ROUNDS if quick else ROUNDS)
        ]
        ours, theirs = (statistics.median(side) for side in zip(*times, strict=True))
        speed = statistics.median(second / first for first, second in times)
        shape = "x".join(map(str, case.layer.shape))
        name = f"{case.operator} {shape}"
        say(f"{name}: {speed:.2f} times TensorFlow's speed")
        row = benchmark.row(
            operator=case.operator,
            input=shape,
            kernel=case.layer.kernel,
            outputs=case.layer.outputs,
            stride=case.layer.stride,
            edgeax_us=ours / REPEATS * 1e6,
            tensorflow_us=theirs / REPEATS * 1e6,
            speed=speed,
        )
        label = f"{name}, kernel {case.layer.kernel}: speed beside TensorFlow's"
        benchmark.wanted(label, speed, ">= 1", speed >= 1, row=row)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark."""
    return run("gradients", measure, argv)


if __name__ == "__main__":
    sys.exit(main())
