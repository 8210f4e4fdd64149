"""Ranges of a case: those of its kernels and activations, by calibrations."""

import math
from collections.abc import Collection, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.formats.array_format import ArrayFormat
from edgeax.model import passes
from edgeax.model.recipe import Recipe, Rule
from edgeax.post_training.calibration import Calibration, MinMax, has_groups
from edgeax.post_training.case import Case
from edgeax.post_training.seen import Histogram, Seen
from edgeax.transforms.base import Chain, Transform
from edgeax.transforms.quantize import Quantize

_DRAWS = 4  # of random signs for each sample


def calibrated(recipe: Recipe) -> Recipe:
    """Returns a recipe whose formats are rounded in ranges that a calibration sets.

    Raises:
        ValueError: Activations get what only training can find.
    """

    def of(slots: dict[str, list[Transform]]) -> dict[str, Any]:
        return {name: [_calibrated(member, name) for member in slots[name]] for name in slots}

    rules = [
        Rule(rule.filter, **of(rule.slots), weights=of(rule.weights))
        for rule in recipe.rules
        if rule.slots or rule.weights
    ]
    return Recipe(rules, recipe.name)


def _calibrated(member: Transform, slot: str) -> Transform:
    if isinstance(member, Quantize) and member.fixed_range is None:
        return Quantize.from_config({**member.at_once().get_config(), "range": "calibrated"})
    if slot in ("input", "output") and not isinstance(member, Quantize):
        raise ValueError(
            "`recipe` must round activations by Quantize or the name of a number format, for "
            f"calibration to find their ranges. Received: {type(member).__name__} at {slot!r}. "
            "What is trained needs edgeax.compress and fit."
        )
    return member.at_once()


def calibrate_weights(case: Case, calibration: Calibration) -> None:
    """Sets the range of each weight whose quantizer has one to set; of a format with steps for
    groups, all that was seen.
    """
    wanted = [
        (weight, quantizer)
        for layer in case.layers.values()
        for weight in layer.weight_chains
        if (quantizer := _quantizer(weight.chain)) is not None and not quantizer.clustered
    ]
    importance: dict[int, np.ndarray] = {}
    if calibration.needs_importance and case.samples:
        importance = _importance_of_weights(case)
    for weight, quantizer in case.progress("Ranges of weights", wanted):
        if quantizer.limit is None or not weight.value().size:
            continue
        per_channel = len(quantizer.limit.shape) == 1
        gradients = importance.get(id(weight.variable))
        if gradients is not None:
            gradients = weight.layout.to_canonical(gradients)
        seen = Seen.of_weight(weight.value(), per_channel, gradients)
        format = quantizer.number_format
        low, high = (MinMax() if has_groups(format) else calibration).ends(seen, format)
        found = np.maximum(-low, high)
        quantizer.calibrate(0.0, found if per_channel else found[0])


def calibrate_activations(case: Case, calibration: Calibration) -> None:
    """Sets the range of each activation whose quantizer has one to set, from the samples.

    Raises:
        ValueError: An activation is not finite.
    """
    chains = {id(chain): (path, chain) for path, chain in _activation_chains(case)}
    if not chains:
        return
    seen: dict[int, _Ends] = {}

    def take_ends(owner: Any, tensor: Any) -> None:
        if id(owner) in chains:
            path, chain = chains[id(owner)]
            seen.setdefault(id(owner), _Ends(path, _quantizer(chain))).add(tensor)

    for batch in case.progress("Ends of activations", case.batches):
        with passes.unrounded(), passes.watched(take_ends):
            case.model(batch, training=False)
    histograms = {identity: Histogram(np.array(ends.pairs)) for identity, ends in seen.items()}

    def count(owner: Any, tensor: Any) -> None:
        if id(owner) in histograms:
            histograms[id(owner)].add(np.asarray(tensor))

    start = 0
    for batch in case.progress("Histograms of activations", case.batches):
        if calibration.needs_importance:
            for identity, tensor, gradient in _with_importance(case, histograms, batch, start):
                histograms[identity].add(tensor, gradient)
        else:
            with passes.unrounded(), passes.watched(count):
                case.model(batch, training=False)
        start += case.batch_size
    for identity, histogram in histograms.items():
        quantizer = seen[identity].quantizer
        low, high = calibration.ends(histogram.seen(), _format_of(quantizer))
        quantizer.calibrate(float(low[0]), float(high[0]))
        if quantizer.followed is not None:
            quantizer.followed.set(seen[identity].mean_params())


class _Ends:
    """The ends of an activation batch by batch, and the mean of the params that suit it."""

    def __init__(self, path: str, quantizer: Any) -> None:
        self.path = path
        self.quantizer: Quantize = quantizer
        self.pairs: list[tuple[float, float]] = []
        self._sums: dict[str, np.ndarray] = {}
        self._count = 0

    def add(self, tensor: Any) -> None:
        """Takes a batch.

        Raises:
            ValueError: It is not finite.
        """
        low, high = float(tf.reduce_min(tensor)), float(tf.reduce_max(tensor))
        if not math.isfinite(high - low):
            raise ValueError(
                f"`samples` must give finite values in every layer. Received: {low} to {high} at "
                f"{self.path!r}. Look for samples out of the range of the training, or weights "
                "that overflow."
            )
        self.pairs.append((low, high))
        if self.quantizer.followed is not None:
            samples = int(tensor.shape[0])
            found = self.quantizer.followed.format.found(tf.cast(tensor, tf.float32), keras.ops)
            for name, value in found.items():
                self._sums[name] = self._sums.get(name, 0.0) + samples * np.asarray(value)
            self._count += samples

    def mean_params(self) -> dict[str, np.ndarray]:
        """Returns the mean over all samples of the params that each batch was found to have."""
        return {name: total / self._count for name, total in self._sums.items()}


def _with_importance(
    case: Case, chains: Collection[int], batch: Any, start: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields each activation of a batch, the id of its chain, and how much its errors matter."""
    tensors: list[tuple[int, tf.Tensor]] = []
    with tf.GradientTape(persistent=True) as tape:

        def take(owner: Any, tensor: Any) -> None:
            if id(owner) in chains:
                tape.watch(tensor)
                tensors.append((id(owner), tensor))

        with passes.unrounded(), passes.watched(take):
            outputs = case.model(batch, training=False)
        sums = _random_sums(case, outputs, start)
    squares = [np.zeros(tensor.shape, np.float32) for _, tensor in tensors]
    for total in sums:
        gradients = tape.gradient(total, [tensor for _, tensor in tensors])
        for square, gradient in zip(squares, gradients, strict=True):
            if gradient is not None:
                square += np.square(np.asarray(tf.cast(gradient, tf.float32)))
    for (identity, tensor), square in zip(tensors, squares, strict=True):
        yield identity, np.asarray(tensor), square


def _random_sums(case: Case, outputs: Any, start: int) -> list[tf.Tensor]:
    """Returns sums of all outputs with random signs: their squared gradients are, on average, the
    diagonal of the Gauss-Newton matrix. A sample gets the same signs in whatever batch it is.

    Args:
        case: The case.
        outputs: Of a batch.
        start: Number of the first sample of the batch.
    """
    flat = [tf.cast(tensor, tf.float32) for tensor in keras.tree.flatten(outputs)]
    sums = []
    for draw in range(_DRAWS):
        total = tf.constant(0.0)
        for place, tensor in enumerate(flat):
            signs = [
                np.random.default_rng([case.seed, draw, place, number]).integers(
                    0, 2, tensor.shape[1:]
                )
                for number in range(start, start + int(tensor.shape[0]))
            ]
            total += tf.reduce_sum(tensor * (2.0 * np.stack(signs).astype(np.float32) - 1.0))
        sums.append(total)
    return sums


def _importance_of_weights(case: Case) -> dict[int, np.ndarray]:
    """Returns how much an error of each weight matters, by the ids of their variables."""
    variables = [
        weight.variable for layer in case.layers.values() for weight in layer.weight_chains
    ]
    found: dict[int, np.ndarray] = {}
    start = 0
    for batch in case.progress("Gradients of weights", case.batches):
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            with passes.unrounded():
                outputs = case.model(batch, training=False)
            sums = _random_sums(case, outputs, start)
        start += case.batch_size
        for total in sums:
            gradients = tape.gradient(total, [variable.value for variable in variables])
            for variable, gradient in zip(variables, gradients, strict=True):
                if gradient is not None:
                    wide = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
                    square = np.square(wide.numpy())
                    found[id(variable)] = found.get(id(variable), 0.0) + square
    return found


def _activation_chains(case: Case) -> list[tuple[str, Chain]]:
    return [
        (path, chain)
        for path, layer in case.layers.items()
        for chain in layer.chains
        if chain.role == "activation" and _quantizer(chain) is not None
    ]


def _quantizer(chain: Chain) -> Quantize | None:
    """Returns the member of a chain whose range a calibration sets."""
    for member in chain.transforms:
        if isinstance(member, Quantize) and member.range_kind == "calibrated":
            return member
    return None


def _format_of(quantizer: Quantize) -> Any:
    """Returns the format in whose terms a range is chosen; one that finds its params in all values
    takes what was seen.
    """
    format = quantizer.number_format
    if isinstance(format, ArrayFormat) and format.measure != "range":
        return Integer(16, symmetric=False)
    return format
