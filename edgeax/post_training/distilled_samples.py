"""Samples made from a model alone: inputs whose features are as its batch normalizations remember.

They take the place of real inputs where ranges are to be found and there is no data.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.graph import Call, new_inputs, trace
from edgeax.model.rewrite import check_model

_LEARNING_RATE = 0.5
_PATIENCE = 100
_REDUCTION = 0.1
_LEAST_RATE = 1e-4
_LEAST_GAIN = 1e-4
"""The share by which a loss must be below the best one to count as better."""

_TINY = 1e-6
"""Added to variances: the slope of a square root has no end at 0."""


@implements(
    "CYD20",
    test="tests/post_training/test_distilled_samples.py::test_cyd20_the_loss_falls_tenfold",
)
def distilled_samples(
    model: keras.Model,
    count: int = 64,
    seed: int = 0,
    steps: int = 500,
    batch_size: int = 32,
    verbose: int = 0,
    input_mean: Any = None,
    input_deviation: Any = None,
    input_range: tuple[float, float] | None = None,
) -> Any:
    """Returns inputs on which a model's features have the statistics of its training data.

    Noise `x ~ N(0, 1)` is changed by Adam until, at the input of each batch normalization, mean and
    standard deviation of each channel of each sample are near the moving ones. The loss is the sum
    of `|mean - moving mean|**2 + |std - moving std|**2`, averaged over samples, and the same for
    the model's inputs, with mean 0 and deviation 1. The learning rate of 0.5 is divided by 10 when
    the loss has not fallen for 100 steps. Where a sample has but one value per channel, as in front
    of dense layers, the statistics are those of the batch.

    Args:
        model: Sequential or functional, nested ones included, with a batch normalization and float
            inputs of known sizes.
        count: How many samples, at least 1.
        seed: Of the noise. The same seed gives the same samples.
        steps: Changes of each batch, at least 1.
        batch_size: Samples that are changed together, at least 1.
        verbose: 1 shows a progress bar and the loss.
        input_mean: What the model's training inputs had as mean; a number, or one per channel.
            None: 0, or the middle of `input_range`.
        input_deviation: The same for the standard deviation, above 0. None: 1, or a quarter of the
            width of `input_range`. It is the unit in which the inputs are changed.
        input_range: (low, high) to which the samples are clipped, such as (0, 1) for images.

    Returns:
        An array `(count, ...)` of the input's dtype; a list of them for several inputs, in the
        order of `keras.tree.flatten`.

    Raises:
        ValueError: The model has no graph or no batch normalization, its inputs are integers or of
            unknown size, or an argument is out of its range.

    Source: [CYD20].

    Example: `edgeax.export(model, "model.tflite", distilled_samples(model, input_range=(0, 1)))`
    """
    mean, deviation = _input_statistics(input_mean, input_deviation, input_range)
    for name, value in {"count": count, "steps": steps, "batch_size": batch_size}.items():
        if value < 1:
            raise ValueError(
                f"`{name}` must be at least 1. Received: {name}={value}. Leave it at its default."
            )
    check_model(model)
    distiller = _Distiller(model, min(batch_size, count), mean, deviation, input_range)
    generator = np.random.default_rng(seed)
    batches = []
    bar = keras.utils.Progbar(-(-count // batch_size) * steps, verbose=verbose)
    for _ in range(-(-count // batch_size)):
        batches.append(distiller.run(generator, steps, bar))
    arrays = [np.concatenate(parts)[:count] for parts in zip(*batches, strict=True)]
    return arrays[0] if len(arrays) == 1 else arrays


def distillation_loss(model: keras.Model, samples: Any) -> float:
    """Returns how far the features of samples are from what batch normalizations remember.

    Args:
        model: As for `distilled_samples`.
        samples: An array, or a list of arrays for several inputs.

    Returns:
        The loss of `distilled_samples` without its term for the model's inputs.

    Raises:
        ValueError: The model has no graph or no batch normalization.
    """
    check_model(model)
    features, layers = _features(model)
    flat = [tf.constant(array) for array in keras.tree.flatten(samples)]
    return float(_features_loss(features(flat), layers))


class _Distiller:
    """Changes one batch at a time; the step is compiled once.

    The variables are `(sample - mean) / deviation`, so that the learning rate fits any input.
    """

    def __init__(
        self,
        model: keras.Model,
        size: int,
        mean: np.ndarray,
        deviation: np.ndarray,
        input_range: tuple[float, float] | None,
    ) -> None:
        self._features, self._layers = _features(model)
        self._inputs = self._features.inputs
        _check_inputs(self._inputs, mean, deviation)
        self._mean, self._deviation = mean, deviation
        low, high = (-np.inf, np.inf) if input_range is None else input_range
        self._range = low, high
        self._lowest = np.float32((low - mean) / deviation)
        self._highest = np.float32((high - mean) / deviation)
        self._noise = [
            keras.Variable(np.zeros((size, *given.shape[1:]), np.float32)) for given in self._inputs
        ]
        self._optimizer = keras.optimizers.Adam(_LEARNING_RATE)
        self._optimizer.build(self._noise)
        self._step = tf.function(self._one_step, autograph=False)

    def run(
        self, generator: np.random.Generator, steps: int, bar: keras.utils.Progbar
    ) -> list[np.ndarray]:
        """Returns one new batch, an array per input."""
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        for variable in self._noise:
            drawn = generator.normal(size=variable.shape)
            variable.assign(np.clip(drawn, self._lowest, self._highest))
        self._optimizer.learning_rate = rate = _LEARNING_RATE
        best, waited = np.inf, 0
        for _ in range(steps):
            loss = float(self._step())
            better = loss < best * (1.0 - _LEAST_GAIN)
            best, waited = (loss, 0) if better else (best, waited + 1)
            if waited > _PATIENCE:
                rate, waited = max(rate * _REDUCTION, _LEAST_RATE), 0
                self._optimizer.learning_rate = rate
            bar.add(1, [("loss", loss)])
        return [
            np.clip(self._mean + self._deviation * np.asarray(noise), *self._range).astype(
                given.dtype
            )
            for noise, given in zip(self._noise, self._inputs, strict=True)
        ]

    def _one_step(self) -> Any:
        noise = [variable.value for variable in self._noise]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(noise)
            samples = [
                tf.cast(np.float32(self._mean) + np.float32(self._deviation) * part, given.dtype)
                for part, given in zip(noise, self._inputs, strict=True)
            ]
            loss = _features_loss(self._features(samples, training=False), self._layers)
            for part in noise:
                loss += _distance(part, -1, np.float32(0.0), np.float32(1.0))
        self._optimizer.apply(tape.gradient(loss, noise), self._noise)
        for variable in self._noise:
            variable.assign(tf.clip_by_value(variable.value, self._lowest, self._highest))
        return loss


def _features(model: keras.Model) -> tuple[keras.Model, list[Any]]:
    """Returns a model of what goes into each batch normalization, and these layers.

    Raises:
        ValueError: There is none.
    """
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    features, layers = [], []

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(call.operation, keras.layers.BatchNormalization):
            features.append(args[0])
            layers.append(call.operation)
        return call.operation(*args, **kwargs)

    inputs = new_inputs(skeleton)
    trace(skeleton).rebuild(emit, inputs)
    if not layers:
        raise ValueError(
            "`model` must have a batch normalization: it holds what the samples are made from. "
            f"Received: {model.name!r}, which has none. Pass typical inputs as samples instead."
        )
    return keras.Model(keras.tree.flatten(inputs), features), layers


def _features_loss(features: Any, layers: list[Any]) -> Any:
    loss = tf.constant(0.0)
    for feature, layer in zip(keras.tree.flatten(features), layers, strict=True):
        mean = tf.cast(layer.moving_mean.value, tf.float32)
        deviation = tf.sqrt(tf.cast(layer.moving_variance.value, tf.float32) + layer.epsilon)
        loss += _distance(feature, layer.axis, mean, deviation)
    return loss


def _distance(x: Any, axis: int, mean: Any, deviation: Any) -> Any:
    """Returns the squared distance of the channels' statistics from given ones, `()`.

    Args:
        x: Values, the first axis the sample.
        axis: That of the channels.
        mean: `(channels,)` or `()`.
        deviation: The same.
    """
    x = tf.cast(x, tf.float32)
    within = [a for a in range(1, x.shape.rank) if a != axis % x.shape.rank]
    one_value = all(x.shape[a] == 1 for a in within)
    ours, variance = tf.nn.moments(x, [0, *within] if one_value else within)
    gaps = (ours - mean) ** 2 + (tf.sqrt(variance + _TINY) - deviation) ** 2
    return tf.reduce_mean(tf.reduce_sum(gaps, axis=-1))


def _input_statistics(
    mean: Any, deviation: Any, input_range: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean and deviation that inputs shall have.

    Raises:
        ValueError: An argument is out of its range.
    """
    middle, quarter = 0.0, 1.0
    if input_range is not None:
        low, high = input_range
        if not -np.inf < low < high < np.inf:
            raise ValueError(
                "`input_range` must be (low, high), finite and low < high. "
                f"Received: input_range={input_range!r}. Images are often (0, 1) or (0, 255)."
            )
        middle, quarter = (low + high) / 2.0, (high - low) / 4.0
    means = np.asarray(middle if mean is None else mean, np.float64)
    deviations = np.asarray(quarter if deviation is None else deviation, np.float64)
    if not np.isfinite(means).all():
        raise ValueError(f"`input_mean` must be finite. Received: input_mean={mean!r}.")
    if not (np.isfinite(deviations) & (deviations > 0.0)).all():
        raise ValueError(
            "`input_deviation` must be finite and above 0. "
            f"Received: input_deviation={deviation!r}. Use 1 for a channel that never changes."
        )
    return means, deviations


def _check_inputs(inputs: list[keras.KerasTensor], mean: np.ndarray, deviation: np.ndarray) -> None:
    for given in inputs:
        if not keras.backend.is_float_dtype(given.dtype) or None in given.shape[1:]:
            raise ValueError(
                "`model` must have float inputs of known sizes: samples of others cannot be made "
                f"by gradients. Received: input {given.name!r} of type {given.dtype} and shape "
                f"{tuple(given.shape)}. Pass typical inputs as samples instead, or give "
                "keras.Input the whole shape."
            )
        for name, value in {"input_mean": mean, "input_deviation": deviation}.items():
            if value.shape not in ((), given.shape[-1:]):
                raise ValueError(
                    f"`{name}` must be a number or one per channel of each input, here "
                    f"{given.shape[-1:]} for {given.name!r}. Received: shape {value.shape}."
                )
