"""Layers whose sums of products are kept in a narrow format, forward and backward."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.minifloat import Minifloat

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def check_accumulates(layer: keras.layers.Layer) -> None:
    """Checks that the sums of a layer can be kept in a narrow format.

    Raises:
        ValueError: They cannot.
    """
    fits = type(layer) is keras.layers.Dense or (
        type(layer) in _CONVOLUTIONS
        and layer.data_format == "channels_last"
        and layer.padding in ("same", "valid")
    )
    if not fits:
        raise ValueError(
            "`accumulate` must stand at a Dense, Conv1D, Conv2D or DepthwiseConv2D layer with "
            f"channels last. Received: {layer.name!r} of type {type(layer).__name__}. Give the "
            "layer an arithmetic without `accumulate` by a rule of its own."
        )


def accumulated_call(layer: keras.layers.Layer, inputs: Any, format: Minifloat, chunk: Any) -> Any:
    """Returns what a layer makes of its inputs, without its activation, all sums in `format`.

    The gradient of the inputs of a convolution is a sum of such products too, but the few that
    overlapping windows have in common are added in float32; so are biases.

    Args:
        layer: One that `check_accumulates` lets pass, built.
        inputs: Its input, any float type.
        format: The accumulator.
        chunk: Products of a chunk, or None.
    """
    x = tf.cast(inputs, tf.float32)
    kernel = tf.cast(keras.ops.convert_to_tensor(layer.kernel), tf.float32)
    product = _product(format, chunk)
    if isinstance(layer, keras.layers.Dense):
        rows = tf.reshape(x, [1, -1, kernel.shape[0]])
        outputs = product(rows, kernel[None])
        outputs = tf.reshape(outputs, tf.concat([tf.shape(x)[:-1], kernel.shape[-1:]], 0))
    else:
        outputs = _convolved(layer, x, kernel, product)
    if layer.bias is not None:
        outputs = outputs + tf.cast(keras.ops.convert_to_tensor(layer.bias), tf.float32)
    return tf.cast(outputs, layer.compute_dtype)


def _convolved(
    layer: keras.layers.Layer, x: tf.Tensor, kernel: tf.Tensor, product: Callable[..., Any]
) -> tf.Tensor:
    one_dimensional = isinstance(layer, keras.layers.Conv1D)
    if one_dimensional:
        x, kernel = x[:, None], kernel[None]
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    groups = kernel.shape[2] if depthwise else layer.groups
    window, inputs, channels = kernel.shape[0] * kernel.shape[1], x.shape[-1], kernel.shape[-1]
    outputs = groups * channels if depthwise else channels
    patches = tf.image.extract_patches(
        x,
        [1, *kernel.shape[:2], 1],
        _four(layer.strides),
        _four(layer.dilation_rate),
        layer.padding.upper(),
    )
    within = inputs // groups
    left = tf.reshape(patches, [-1, window, groups, within])
    left = tf.reshape(tf.transpose(left, [2, 0, 1, 3]), [groups, -1, window * within])
    if depthwise:
        right = tf.transpose(tf.reshape(kernel, [window, groups, channels]), [1, 0, 2])
    else:
        right = tf.reshape(kernel, [window * within, groups, channels // groups])
        right = tf.transpose(right, [1, 0, 2])
    made = tf.transpose(product(left, right), [1, 0, 2])
    made = tf.reshape(made, tf.concat([tf.shape(patches)[:-1], [outputs]], 0))
    return made[:, 0] if one_dimensional else made


def _four(sizes: Any) -> list[int]:
    return [1, *([1] if len(sizes) == 1 else []), *sizes, 1]


@functools.cache
def _product(format: Minifloat, chunk: int | None) -> Callable[..., Any]:
    """Returns the function of `(groups, rows, depth)` and `(groups, depth, columns)` tensors."""

    # Compiled, the many small operators of each rounding become one loop over memory.
    @tf.function(jit_compile=True, reduce_retracing=True)
    def multiplied(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        return narrow_product(left, right, format, chunk)

    def turned(x: tf.Tensor) -> tf.Tensor:
        return tf.transpose(x, [0, 2, 1])

    @tf.custom_gradient
    def product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return multiplied(upstream, turned(right)), multiplied(turned(left), upstream)

        # The gradient is ours: without these, one through every step of the loops is prepared.
        return multiplied(tf.stop_gradient(left), tf.stop_gradient(right)), gradient

    return product


def narrow_product(
    left: tf.Tensor, right: tf.Tensor, format: Minifloat, chunk: int | None
) -> tf.Tensor:
    """Returns `left @ right` of each group, each addition rounded to `format`, as by `narrow_sum`.

    Args:
        left: float32 `(groups, rows, depth)`, operands whose products `format` holds.
        right: float32 `(groups, depth, columns)`.
        format: The accumulator, without a scale.
        chunk: Products of a chunk; None for one sum over all.
    """
    depth = tf.shape(right)[1]
    length = depth if chunk is None else tf.minimum(chunk, depth)
    missing = -depth % length
    left = tf.pad(left, [[0, 0], [0, 0], [0, missing]])
    right = tf.pad(right, [[0, 0], [0, missing], [0, 0]])
    groups, rows, columns = tf.shape(left)[0], tf.shape(left)[1], tf.shape(right)[2]
    left = tf.transpose(tf.reshape(left, [groups, rows, -1, length]), [3, 2, 0, 1])
    right = tf.transpose(tf.reshape(right, [groups, -1, length, columns]), [2, 1, 0, 3])

    def products(place: tf.Tensor) -> tf.Tensor:
        return tf.gather(left, place)[..., None] * tf.gather(right, place)[:, :, None]

    chunks = tf.shape(left)[1]
    sums = _running_sum(products, length, [chunks, groups, rows, columns], format)
    if chunk is None:
        return sums[0]
    return _running_sum(lambda place: tf.gather(sums, place), chunks, tf.shape(sums)[1:], format)


class _GraphOps:
    """`keras.ops` whose `view` takes tensors of unknown shape too."""

    def __getattr__(self, name: str) -> Any:
        return getattr(keras.ops, name)

    @staticmethod
    def view(x: tf.Tensor, dtype: str) -> tf.Tensor:
        return tf.bitcast(x, dtype)


def _running_sum(
    term: Callable[[tf.Tensor], tf.Tensor], count: tf.Tensor, shape: Any, format: Minifloat
) -> tf.Tensor:
    def added(place: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return place + 1, format.rounded(total + term(place), {}, _GraphOps())

    first = (tf.constant(0), tf.zeros(shape))
    return tf.while_loop(lambda place, total: place < count, added, first)[1]
