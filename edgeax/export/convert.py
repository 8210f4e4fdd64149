"""Convert: a frozen Keras model becomes a flatbuffer of built-in operators."""

import contextlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from edgeax.export.placeholder import PREFIX, Placeholder
from edgeax.formats.flatbuffer import Model

# Log lines that report an error, as absl and MLIR write them.
_ERROR = re.compile(r"^[EF]\d{4} |\berror:", re.IGNORECASE)


def convert(model: keras.Model, quantized: bool, io: str = "float32") -> Model:
    """Returns the file of a plain Keras model, its inputs and outputs in the order of the model's.

    Args:
        model: Plain functional model, batch pinned; outputs are a tensor, a list or a flat dict.
        quantized: Whether its rounding layers say how to compute in integers.
        io: `"float32"` or `"int8"`: type of the inputs and outputs of a quantized model.

    Raises:
        ValueError: The converter cannot express the model in built-in operators.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if io == "int8":
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
    converter.allow_custom_ops = any(isinstance(layer, Placeholder) for layer in model.layers)
    with converting("consist of layers that TFLite has operators for", "Replace that layer."):
        content = bytes(converter.convert())
    file = Model.from_bytes(content)
    _check_operators(file)
    _order_ends(file, model)
    return file


def _check_operators(file: Model) -> None:
    operators = [operator for graph in file.subgraphs for operator in graph.operators]
    strange = {op.name for op in operators if op.is_custom and PREFIX not in op.name}
    if strange:
        raise ValueError(
            "`model` must consist of layers that TFLite has operators for. Received: some that "
            f"need {sorted(strange)}. Replace these layers."
        )


def output_names(outputs: Any) -> list[str]:
    """Returns the names of a model's outputs in its file, in the order of `keras.tree.flatten`.

    Args:
        outputs: A tensor, a list or a flat dict of tensors.
    """
    if isinstance(outputs, dict):
        return sorted(outputs)
    return [f"output_{index}" for index, _ in enumerate(keras.tree.flatten(outputs))]


def _order_ends(file: Model, model: keras.Model) -> None:
    """The converter sorts by name; whoever runs the file passes arrays in the model's order."""
    (signature,) = file.signatures
    graph = file.subgraphs[signature.subgraph]
    names = [tensor.name for tensor in model.inputs]
    graph.inputs = [signature.inputs[name] for name in names if name in signature.inputs]
    graph.outputs = [signature.outputs[name] for name in output_names(model.output)]


@contextlib.contextmanager
def converting(must: str, way_out: str) -> Iterator[None]:
    """Keeps the converter quiet, and says in words what it could not do.

    Args:
        must: What the model must do.
        way_out: What the user can do, a sentence.

    Raises:
        ValueError: The converter raised anything.
    """
    with quiet():
        try:
            yield
        except Exception as error:  # what the converter raises has no common base
            raise ValueError(
                f"`model` must {must}. Received: one of which the converter says: "
                f"{_reason(error)}. {way_out}"
            ) from error


def _reason(error: Exception) -> str:
    """Returns what matters of the converter's many lines: what is wrong, and in which layer."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = next((line for line in lines if "error: loc(" in line), None)
    if line is None:
        return (lines or [type(error).__name__])[0][:500]
    place = re.search(r'"([^"@]+)@', line)
    return line.rpartition("): ")[2] + (f" (in {place[1]})" if place else "")


@contextlib.contextmanager
def errors_only() -> Iterator[None]:
    """Silences TensorFlow's advice about functions traced often: every export makes new ones."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what the converter prints off the user's terminal, all but errors.

    Native code writes to the descriptors. Python prints to a stream, which in a notebook leads
    elsewhere, and in a pipeline holds back what the user printed before.
    """
    tf.get_logger()  # Takes hold of the streams when first called, which should be the user's.
    streams = (sys.stdout, sys.stderr)
    with tempfile.TemporaryFile("w+", errors="replace") as sink:
        with contextlib.ExitStack() as stack:
            for descriptor, stream in enumerate(streams, start=1):
                stream.flush()
                stack.enter_context(_redirected(descriptor, sink.fileno()))
                stack.callback(stream.flush)
            stack.enter_context(contextlib.redirect_stdout(sink))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            yield
        sink.seek(0)
        sys.stderr.writelines(line for line in sink if _ERROR.search(line))


@contextlib.contextmanager
def _redirected(descriptor: int, target: int) -> Iterator[None]:
    saved = os.dup(descriptor)
    try:
        os.dup2(target, descriptor)
        yield
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)
