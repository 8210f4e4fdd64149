"""Convert: a frozen Keras model becomes a flatbuffer of built-in operators."""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator

import keras
import tensorflow as tf


def convert(model: keras.Model, quantized: bool, io: str = "float32") -> bytes:
    """Returns the `.tflite` of a plain Keras model.

    Args:
        model: Plain model, batch pinned.
        quantized: Whether its rounding layers say how to compute in integers.
        io: `"float32"` or `"int8"`: type of the inputs and outputs of a quantized model.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if io == "int8":
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
    with warnings.catch_warnings(), _quiet_stdout():
        warnings.simplefilter("ignore")
        return bytes(converter.convert())


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Keeps what the converter prints about signatures off the user's terminal."""
    with tempfile.TemporaryFile() as sink:
        saved = os.dup(1)
        try:
            os.dup2(sink.fileno(), 1)
            yield
        finally:
            os.dup2(saved, 1)
            os.close(saved)
