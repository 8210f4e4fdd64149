"""export(): freeze, convert, lower, check, write."""

import contextlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax._version import __version__
from edgeax.export.convert import convert
from edgeax.export.freeze import freeze, layers_in
from edgeax.export.lower import Stored, lower
from edgeax.export.parity import compare
from edgeax.export.result import Result
from edgeax.export.samples import take_samples
from edgeax.formats.files import check_writable, write_atomically
from edgeax.formats.flatbuffer import Subgraph
from edgeax.formats.operators import OPERATORS
from edgeax.model.rewrite import check_model
from edgeax.runtime import latency
from edgeax.runtime.details import METADATA_KEY
from edgeax.runtime.interpreter import Interpreter

RUNTIMES = ("edgeax", "stock")
ACTIVATIONS = ("int8", "float32")

_TIMED_RUNS = 30

_NO_FORM = "no operator computes in integers from its kernels"


@contextlib.contextmanager
def _errors_only() -> Iterator[None]:
    """Silences TensorFlow's advice about functions traced often: every export makes new ones."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@_errors_only()
def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    samples: Any,
    activations: str = "int8",
    io: str = "float32",
    runtime: str = "edgeax",
    strict: bool = False,
    measure: bool = True,
) -> Result:
    """Writes a model as a `.tflite` file and returns a receipt.

    Kernels are stored in the codes that training ended with, packed where that is smaller.
    Activations are rounded in the ranges that training followed; what it did not follow is taken
    from the samples. The file's batch is 1. It is compared with the Keras model before it is
    written, and it is written whole or not at all.

    Args:
        model: Sequential or functional, compressed by `edgeax.compress` or plain.
        path: The file to write; its folder must exist.
        samples: Typical inputs: an array, a list or dict of arrays, or a `tf.data.Dataset` of
            batches. A few hundred are plenty.
        activations: `"int8"` computes in integers, `"float32"` writes a float file.
        io: `"float32"` or `"int8"`: the type of the file's inputs and outputs.
        runtime: `"edgeax"` may use edgeax's operators, which need its plugin; `"stock"` writes
            built-in operators only.
        strict: Raise when an operator computes in float although integers were asked for.
        measure: Measure the float model's size and the time of both on this machine.

    Returns:
        Sizes, operators, parity per layer and times.

    Raises:
        ValueError: An argument is out of its choices, the model or the samples are unusable, or
            `strict` finds float operators. Nothing was written then.
        OSError: The disk is full. No part of the file stays then.
    """
    _check_choice("activations", activations, ACTIVATIONS)
    _check_choice("io", io, ("float32", "int8"))
    _check_choice("runtime", runtime, RUNTIMES)
    if io == "int8" and activations != "int8":
        raise ValueError(
            "`io` can be 'int8' only with activations='int8'. "
            f"Received: io={io!r}, activations={activations!r}."
        )
    check_writable(path)
    check_model(model)
    arrays = take_samples(samples, model)

    integer = activations == "int8"
    frozen = freeze(model, arrays, integer)
    file = convert(frozen.model, integer, io)
    kernels = lower(file, frozen.weights, pack=runtime == "edgeax")
    kernels += tuple(Stored(path, "as converted", None, _NO_FORM) for path in frozen.left_out)
    stays_float = _float_operators(file.subgraphs[0], frozen.paths) if integer else ()
    if strict and stays_float:
        raise ValueError(
            "`strict` allows no operator to compute in float. "
            f"Received a model that needs: {list(stays_float)}. Use strict=False to keep them."
        )
    operators = Counter(operator.name for graph in file.subgraphs for operator in graph.operators)
    ours = sorted(set(operators) & set(OPERATORS))
    file.metadata[METADATA_KEY] = _note(ours)
    content = file.to_bytes()
    parity = compare(model, frozen, content, arrays)
    float_size, times = _measure(model, content, arrays) if measure else (None, {})
    write_atomically(path, content)
    return Result(
        path=os.fspath(path),
        size_bytes=len(content),
        float_size_bytes=float_size,
        operators=dict(operators),
        kernels=kernels,
        stays_float=stays_float,
        peak_activation_bytes=file.peak_activation_bytes(),
        parity=parity,
        latency_ms=times,
        needs_plugin=bool(ours),
    )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}. Received: {name}={value!r}.")


def _float_operators(graph: Subgraph, paths: dict[str, str]) -> tuple[str, ...]:
    """Returns the operators that compute with float values, and the layers that they belong to.

    Conversions from and to integers do not count.
    """
    found = []
    for operator in graph.operators:
        ends = [graph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        computes = operator.name not in ("QUANTIZE", "DEQUANTIZE")
        if computes and any(t.dtype == "float32" and not t.is_constant for t in ends):
            name = graph.tensors[operator.outputs[0]].name
            layers = sorted({paths[layer] for layer in layers_in(name) if layer in paths})
            found.append(f"{operator.name} in {', '.join(layers) or name}")
    return tuple(found)


def _note(operators: list[str]) -> bytes:
    """Returns what the metadata says about who wrote the file and what its operators need."""
    note: dict[str, Any] = {"version": __version__}
    if operators:
        note |= {
            "plugin": "libedgeax",
            "operators": operators,
            "install": "pip install edgeax; edgeax.load_delegate()",
        }
    return json.dumps(note, separators=(",", ":")).encode()


def _measure(
    model: keras.Model, content: bytes, samples: list[np.ndarray]
) -> tuple[int, dict[str, float]]:
    """Returns the size of the float file, and the median times of both files run in turns."""
    baseline = convert(freeze(model, samples, integer=False).model, quantized=False).to_bytes()
    one = [array[:1] for array in samples]
    interpreters = {
        "float32": Interpreter(model_content=baseline, num_threads=1),
        "file": Interpreter(model_content=content, num_threads=1),
    }
    return len(baseline), latency.measure(interpreters, one, repeats=_TIMED_RUNS)
