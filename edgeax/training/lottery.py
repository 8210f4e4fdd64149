"""Lottery tickets: small networks that train as well as the large one, from its first weights."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model.copying import compressed_layers, copy_of
from edgeax.model.recipe import Recipe, Rule
from edgeax.model.rewrite import check_model, check_plain, compile_like, compress, layers_by_path
from edgeax.model.wrapper import slot_of
from edgeax.transforms.base import now
from edgeax.transforms.checks import checked_count
from edgeax.transforms.mask import Mask


@dataclasses.dataclass(frozen=True, eq=False)
class LotteryTicket:
    """What `lottery_ticket` found.

    Attributes:
        model: The network with its first weights and the masks of the last round, not trained,
            compiled as the one it was made from.
        trained: The network of the last round as it was trained, before it was pruned.
        densities: Share of the weights left behind each round, in 0..1.
        results: What `fit` returned in each round.
    """

    model: keras.Model
    trained: keras.Model
    densities: list[float]
    results: list[Any]


@implements(
    "FC18",
    test="tests/training/test_lottery.py::test_fc18_weights_are_rewound_and_the_smallest_go",
)
def lottery_ticket(
    model: keras.Model,
    fit: Callable[[keras.Model], Any],
    rounds: int,
    share: float = 0.2,
    last_share: float | None = None,
    layers: str = ".*",
) -> LotteryTicket:
    """Finds a lottery ticket by training, pruning, and rewinding the rest to its first weights.

    In each round the network is trained from its first weights with the masks so far, and in each
    layer the smallest magnitudes among the weights left are masked. Optimizers begin anew.

    Source: [FC18].

    Args:
        model: Sequential or functional, with its first weights, not compressed, compiled.
        fit: Trains the model that it is given, in place, by `model.fit` for example.
        rounds: How often it is trained and pruned, at least 1.
        share: Of the weights left, to be pruned in each round, in (0, 1).
        last_share: The same for the last layer with a kernel; None: half of `share`, as in the
            paper.
        layers: Pattern of the paths of the layers to prune.

    Raises:
        ValueError: An argument is out of its range, no layer's path fits, or the model cannot be
            compressed.

    Example: `lottery_ticket(model, lambda m: m.fit(x, y, epochs=5), rounds=7).model`
    """
    last_share = share / 2 if last_share is None else last_share
    _check(model, rounds, share, last_share)
    paths = _paths(model, layers)
    rules = [Rule(f"^{re.escape(path)}$", kernel=[Mask()]) for path in paths]
    ticket = compress(model, Recipe(rules))
    shares = {path: share for path in paths}
    shares[paths[-1]] = last_share
    densities, results = [], []
    for _ in range(rounds):
        trained = _copy(ticket)
        results.append(fit(trained))
        _prune(ticket, trained, shares)
        densities.append(_density(ticket))
    return LotteryTicket(ticket, trained, densities, results)


def _paths(model: keras.Model, layers: str) -> list[str]:
    """Returns the paths of the layers to prune, in order."""
    paths = [
        path
        for path, layer in layers_by_path(model).items()
        if re.search(layers, path) and _has_kernel(layer)
    ]
    if not paths:
        raise ValueError(
            "`layers` must fit the path of a layer with a kernel. Received: "
            f"layers={layers!r}. Paths are such as {list(layers_by_path(model))[:3]}."
        )
    return paths


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(slot_of(variable.name) == "kernel" for variable in layer._trainable_variables)


def _copy(model: keras.Model) -> keras.Model:
    """Returns a copy with weights of its own, compiled alike."""
    copy = copy_of(model)
    compile_like(copy, model)
    return copy


def _prune(ticket: keras.Model, trained: keras.Model, shares: dict[str, float]) -> None:
    """Masks the smallest of the weights left in `trained`, in `ticket`."""
    of_trained = layers_by_path(trained)
    for path, layer in layers_by_path(ticket).items():
        if path not in shares:
            continue
        for old, new in zip(layer.weight_chains, of_trained[path].weight_chains, strict=True):
            mask = now(old.chain.transforms[0].mask)
            old.chain.transforms[0].mask.assign(_smaller(mask, new.value(), shares[path]))


def _smaller(mask: np.ndarray, weight: np.ndarray, share: float) -> np.ndarray:
    """Returns a mask without the `share` of smallest magnitudes among those left in it."""
    places = np.flatnonzero(mask)
    gone = min(round(share * places.size), places.size - 1)
    order = np.argsort(np.abs(weight).ravel()[places], kind="stable")
    left = mask.ravel().copy()
    left[places[order[:gone]]] = False
    return left.reshape(mask.shape)


def _density(model: keras.Model) -> float:
    masks = [
        now(weight.chain.transforms[0].mask)
        for layer in compressed_layers(model)
        for weight in layer.weight_chains
    ]
    return float(sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks))


def _check(model: Any, rounds: int, share: float, last_share: float) -> None:
    check_model(model)
    check_plain(model)
    checked_count("rounds", rounds, 1)
    for name, value in (("share", share), ("last_share", last_share)):
        if not 0.0 < value < 1.0:
            raise ValueError(
                f"`{name}` must lie between 0 and 1: the share of the weights left that goes in a "
                f"round. Received: {name}={value}. Use 0.2."
            )
