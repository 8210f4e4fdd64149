"""Models with resource variables as TensorFlow's converter writes them."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

FEATURES, KEPT, FILTERS = 4, 3, 6


class Delay(tf.Module):
    """Two variables in a row: what comes in comes out two invocations later."""

    def __init__(self) -> None:
        super().__init__()
        self.near = tf.Variable(np.int8([[1, 2, 3]]), trainable=False)
        self.far = tf.Variable(np.int8([[-5, -5, -5]]), trainable=False)

    @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.int8)])
    def __call__(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what came in two invocations ago, and `x`."""
        before = tf.reshape(self.far.read_value(), (3,))
        self.far.assign(self.near.read_value())
        self.near.assign(x)
        return before, self.near.read_value()


class Stream(tf.Module):
    """A convolution over the last rows of a stream that comes row by row."""

    def __init__(self) -> None:
        super().__init__()
        source = np.random.default_rng(0)
        self.past = tf.Variable(np.zeros((1, KEPT, 1, FEATURES), np.float32), trainable=False)
        kernel = source.normal(size=(KEPT + 1, 1, FEATURES, FILTERS))
        self.kernel = tf.constant(0.3 * kernel.astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((1, 1, 1, FEATURES), tf.float32)])
    def __call__(self, row: tf.Tensor) -> tf.Tensor:
        """Returns the outputs for one row."""
        rows = tf.concat([self.past, row], axis=1)
        self.past.assign(rows[:, 1:])
        return tf.nn.relu(tf.nn.conv2d(rows, self.kernel, 1, "VALID"))


def delay_file() -> bytes:
    """Returns the file of `Delay`."""
    return _converter(Delay()).convert()


def stream_file(quantizes_variables: bool = True) -> bytes:
    """Returns the int8 file of `Stream`."""
    converter = _converter(Stream())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = _rows
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter._experimental_variable_quantization = quantizes_variables
    return converter.convert()


def _converter(module: tf.Module) -> tf.lite.TFLiteConverter:
    function = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.experimental_enable_resource_variables = True
    return converter


def _rows() -> Iterator[list[np.ndarray]]:
    source = np.random.default_rng(1)
    for _ in range(20):
        yield [source.normal(size=(1, 1, 1, FEATURES)).astype(np.float32)]
