"""Channels of two layers in a row brought to one range, so that few bits suffice for all of them.

A ReLU lets a positive factor through. What a channel is divided by in one layer, the next one
multiplies it by: the network computes the same, and one scale per layer serves all channels.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.graph import trace
from edgeax.model.placement import activation_name
from edgeax.model.rewrite import check_model, fold_batch_norm, foldable, name_when_folded, with_bias
from edgeax.post_training.pairs import Pair, find_pairs, write

_layers = keras.layers

_LEAST_SHARE = 1e-6
"""A channel below this share of its kernel's largest weight is dead: it keeps its scale."""

_DEVIATIONS = 3.0
"""So many standard deviations above 0 nearly all values of a channel lie where it is absorbed."""

_PADDING = (_layers.ZeroPadding1D, _layers.ZeroPadding2D, _layers.ZeroPadding3D)


@dataclasses.dataclass(frozen=True, eq=False)
class Normal:
    """What a layer gives before its activation: each channel is taken to be normal.

    Attributes:
        mean: float64 `(channels,)`.
        deviation: float64 `(channels,)`, at least 0.
    """

    mean: np.ndarray
    deviation: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Equalized:
    """A model whose channels were equalized.

    Attributes:
        model: A plain functional model without the batch normalizations that can be folded.
        statistics: What the layers of `model` give before their activations, by layer name: of
            those that a batch normalization was folded into.
        skipped: One line for each pair, or layer without partner, left as it was, and why.
    """

    model: keras.Model
    statistics: dict[str, Normal]
    skipped: list[str]


@implements(
    "NBBW19",
    test="tests/post_training/test_equalization.py::test_nbbw19_ranges_meet_and_nothing_changes",
)
def equalize(
    model: keras.Model,
    absorb_biases: bool = True,
    replace_relu6: bool = False,
    tolerance: float = 1e-4,
    most_rounds: int = 1000,
) -> Equalized:
    """Returns a copy of `model` in which layers that follow each other have channels of one range.

    Batch normalizations are folded first. For channel i between two layers, r1 is the largest |w|
    by which the first makes it and r2 the largest by which the second reads it. The first one's
    kernel and bias are divided by `s = sqrt(r1 * r2) / r2`, the second one's kernel is multiplied
    by it, until no factor of any pair is off 1 by more than `tolerance`. Then r1 = r2. The model
    computes the same up to float rounding. A channel without weights on either side keeps its
    scale.

    Pairs are made of convolutions (1D and 2D, grouped, depthwise, separable, transposed) and dense
    layers, with ReLU, leaky ReLU, pooling, padding, dropout, flattening or a batch normalization
    that cannot be folded between them. Where another layer sees a channel, nothing is done.

    Args:
        model: Sequential or functional, nested ones included, not compressed.
        absorb_biases: Also move high biases on: where a batch normalization says that a channel in
            front of a ReLU has mean - 3 deviations = c > 0, its bias loses c and the next layer's
            bias gains what its kernel makes of c. This changes the few values below c. It is left
            out, and said, where the next layer pads with zeros, because c is missing there.
        replace_relu6: Make every ReLU6 a ReLU, which changes the model where values exceed 6. A
            factor does not pass through ReLU6.
        tolerance: Above 0.
        most_rounds: Passes over all pairs after which it ends in any case, at least 1.

    Raises:
        ValueError: The model has no graph or is compressed, or an argument is out of its range.

    Source: [NBBW19].

    Example: `edgeax.export(equalize(model).model, "model.tflite", samples)`
    """
    _check(tolerance, most_rounds)
    statistics = normal_statistics(model)
    folded = fold_batch_norm(model)
    copies: dict[int, Any] = {}
    skeleton = clone(folded, _with_relu if replace_relu6 else fresh_copy, copies)
    copy_weights(folded, copies)
    pairs, skipped = find_pairs(trace(skeleton))
    _equalize(pairs, tolerance, most_rounds)
    write(pairs)
    for pair in pairs:
        name = pair.first.layer.name
        if name in statistics and not pair.is_inside:
            old = statistics[name]
            statistics[name] = Normal(old.mean / pair.moved, old.deviation / pair.moved)
    absorbed: list[tuple[Pair, np.ndarray]] = []
    if absorb_biases:
        absorbed, refused = _absorbable(pairs, statistics)
        skipped += refused
    final = _with_biases(skeleton, [pair.second.layer for pair, _ in absorbed])
    for pair, part in absorbed:
        first, second = (final.get_layer(end.layer.name) for end in (pair.first, pair.second))
        first.bias.assign(np.asarray(first.bias) - part)
        second.bias.assign(np.asarray(second.bias) + _response(pairs, pair, part))
        old = statistics[first.name]
        statistics[first.name] = Normal(old.mean - part, old.deviation)
    return Equalized(final, statistics, skipped)


def normal_statistics(model: keras.Model) -> dict[str, Normal]:
    """Returns what batch normalizations say of the layers that `fold_batch_norm` folds them into.

    The mean is beta, the deviation |gamma|, or 0 for a channel whose variance is 0.

    Args:
        model: As for `edgeax.fold_batch_norm`.

    Returns:
        By the layer's name in the folded model.

    Raises:
        ValueError: The model has no graph or no finite weights.
    """
    check_model(model)
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    graph = trace(skeleton)
    return {
        name_when_folded(graph, call.operation): normal_behind(after.operation)
        for call, after in foldable(graph)
    }


def normal_behind(normalization: keras.layers.BatchNormalization) -> Normal:
    """Returns what a batch normalization gives; constant where it never saw anything else."""
    variance = np.asarray(normalization.moving_variance, np.float64)
    gamma = np.asarray(normalization.gamma, np.float64) if normalization.scale else 1.0
    beta = np.asarray(normalization.beta, np.float64) if normalization.center else 0.0
    return Normal(
        np.broadcast_to(beta, variance.shape).astype(np.float64),
        np.where(variance > 0.0, np.abs(gamma), 0.0),
    )


def _with_relu(layer: Any) -> Any:
    """Returns a fresh copy of a layer with ReLU where it has ReLU6."""
    copy = fresh_copy(layer)
    if activation_name(layer) == "relu6":
        if isinstance(copy, _layers.ReLU):
            copy.max_value = None
        else:
            copy.activation = keras.activations.relu
    return copy


def _equalize(pairs: list[Pair], tolerance: float, most_rounds: int) -> None:
    alive = [_alive(pair.first.made) & _alive(pair.read) for pair in pairs]
    for _ in range(most_rounds):
        worst = 0.0
        for pair, live in zip(pairs, alive, strict=True):
            made, read = pair.first.made, pair.read
            factors = np.ones_like(made)
            factors[live] = np.sqrt(made[live] * read[live]) / read[live]
            pair.move(factors)
            worst = max(worst, float(np.max(np.abs(factors - 1.0))))
        if worst <= tolerance:
            return


def _alive(ranges: np.ndarray) -> np.ndarray:
    return np.asarray(ranges > _LEAST_SHARE * ranges.max())


def _absorbable(
    pairs: list[Pair], statistics: dict[str, Normal]
) -> tuple[list[tuple[Pair, np.ndarray]], list[str]]:
    """Returns the pairs with high biases and how much of them can go, and why others cannot."""
    absorbed, refused = [], []
    for pair in pairs:
        normal = statistics.get(pair.first.layer.name)
        if normal is None or pair.is_inside or not _has_relu(pair):
            continue
        part = np.maximum(0.0, normal.mean - _DEVIATIONS * normal.deviation)
        if not part.any():
            continue
        why = _why_not_absorbed(pair)
        if why:
            refused.append(f"{pair}: high biases stay, because {why}")
        else:
            absorbed.append((pair, part))
    return absorbed, refused


def _has_relu(pair: Pair) -> bool:
    operations = [pair.first.layer, *(call.operation for call in pair.between)]
    return any(
        activation_name(operation) == "relu" or type(operation).__name__ == "Relu"
        for operation in operations
    )


def _why_not_absorbed(pair: Pair) -> str:
    layer = pair.second.layer
    if pair.normalizations:
        return f"{pair.normalizations[0].name!r} lies between."
    if any(isinstance(call.operation, _PADDING) for call in pair.between):
        return "zeros are padded between."
    if isinstance(layer, (_layers.Conv1DTranspose, _layers.Conv2DTranspose)):
        return f"{layer.name!r} is transposed: not all its outputs see as many inputs."
    wide = any(size > 1 for size in getattr(layer, "kernel_size", ()))
    if wide and layer.padding != "valid":
        return f"{layer.name!r} pads with zeros."
    return ""


def _with_biases(skeleton: keras.Model, layers: list[Any]) -> keras.Model:
    """Returns a copy of a model in which some layers have a bias, of zeros if they had none."""
    wanted = {id(layer) for layer in layers if layer.bias is None}

    def copied(layer: Any) -> Any:
        return with_bias(layer) if id(layer) in wanted else fresh_copy(layer)

    made: dict[int, Any] = {}
    model = clone(skeleton, copied, made)
    copy_weights(skeleton, {key: copy for key, copy in made.items() if key not in wanted})
    for layer in skeleton.layers:
        if id(layer) in wanted:
            copy = made[id(layer)]
            copy.set_weights([*layer.get_weights(), np.zeros(copy.bias.shape, np.float32)])
    return model


def _response(pairs: list[Pair], pair: Pair, part: np.ndarray) -> np.ndarray:
    """Returns what the second layer of a pair makes of constants in the first one's channels."""
    made = pair.second.response(pair.repeated(part))
    for inside in pairs:
        if inside.is_inside and inside.first is pair.second:
            return inside.second.response(made)
    return made


def _check(tolerance: Any, most_rounds: Any) -> None:
    if not tolerance > 0.0:
        raise ValueError(
            f"`tolerance` must be above 0. Received: tolerance={tolerance}. Use about 1e-4."
        )
    if most_rounds < 1:
        raise ValueError(
            f"`most_rounds` must be at least 1. Received: most_rounds={most_rounds}. "
            "Leave it at its default."
        )
