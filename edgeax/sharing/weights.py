"""Weight: a kernel that is to share values, found in a compressed model."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from edgeax.formats import EncodedTensor, Float32
from edgeax.model.copying import compressed_layers
from edgeax.model.graph import is_nested
from edgeax.model.layout import Layout
from edgeax.model.picking import picked_wrappers, rule_of, said_of_layers
from edgeax.model.placement import plain
from edgeax.model.recipe import Filter, Recipe
from edgeax.model.rewrapping import rewrapped
from edgeax.model.rewrite import (
    check_weights,
    compile_like,
    compress,
    layers_by_path,
    paths_of_compressed,
)
from edgeax.model.subclassed import layers_of
from edgeax.model.wrapper import Compressed, slot_of
from edgeax.transforms.base import Chain, Transform, fresh, now
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.mask import Mask
from edgeax.transforms.network_table import one_network


@dataclasses.dataclass(frozen=True, eq=False)
class Weight:
    """A kernel of a compressed model with a Cluster in its chain.

    Attributes:
        path: Path of its layer.
        layer: The layer.
        variable: The kernel as the layer has it.
        layout: How that goes to canonical layout.
        chain: Its transforms.
        cluster: That which shares its values.
    """

    path: str
    layer: Compressed
    variable: keras.Variable
    layout: Layout
    chain: Chain
    cluster: Cluster

    @property
    def name(self) -> str:
        """Its layer's path, and its own name where the layer may have several kernels."""
        return self.path if self.variable.name == "kernel" else f"{self.path}/{self.variable.name}"

    @property
    def value(self) -> np.ndarray:
        """What comes to the Cluster: float32, canonical layout, what is pruned 0."""
        raw = self.layout.to_canonical(now(self.variable).astype(np.float32))
        encoded = EncodedTensor(raw, Float32(), {})
        for transform in self.chain.transforms:
            if transform is self.cluster:
                break
            encoded = transform.freeze(encoded)
        return encoded.decode()

    @property
    def rows(self) -> np.ndarray:
        """The same by the groups that share a table, in its units: float32 `(groups, members)`."""
        return self.cluster.in_units(self.value)

    def check(self) -> None:
        """Checks that it has values enough for the clusters.

        Raises:
            ValueError: A group of them has fewer different ones.
        """
        if self.cluster.network is None:
            self.cluster.check_values(self.rows)

    def in_rows(self, importance: np.ndarray) -> np.ndarray:
        """Returns how much an error in the units of `rows` counts, float64 `(groups, members)`.

        Args:
            importance: How much the squared error of each weight counts, canonical layout.
        """
        value = np.abs(self.value)
        units = np.abs(self.cluster.division.ungrouped(self.rows))
        axes = tuple(range(value.ndim - 1))
        largest, largest_unit = value.max(axis=axes), units.max(axis=axes)
        scale = np.where(largest_unit > 0, largest / np.where(largest_unit > 0, largest_unit, 1), 0)
        return self.cluster.division.grouped(np.asarray(importance * np.square(scale), np.float64))


def clustered_copy(
    model: keras.Model, cluster: Cluster, layers: Filter = ".*"
) -> tuple[keras.Model, list[Weight]]:
    """Returns a copy of a model with a Cluster at kernels that a filter picks, and those kernels.

    In the chain of a compressed one it comes right after a pruning, else first; a Cluster that is
    there is replaced.

    Args:
        model: Built.
        cluster: The transform.
        layers: As the filter of an `edgeax.Rule`; a callable gets the layers of `model`, those of a
            compressed one without their wrappers.

    Raises:
        ValueError: The model is unusable, no layer is picked, or a weight or a chain cannot have
            the Cluster.
    """
    check_weights(model)
    rule = rule_of(layers, cluster)
    if next(compressed_layers(model), None) is None:
        with said_of_layers(), one_network():
            copy = compress(model, Recipe([rule]))
        return copy, weights_of(copy)
    picked = {
        path: layer
        for path, layer in picked_wrappers(model, rule)
        if any(slot_of(variable.name) == "kernel" for variable in layer.layer.weights)
    }
    if not picked:
        raise ValueError(
            "`layers` must pick layers with kernels, in a compressed model of those that are "
            f"compressed: {[*paths_of_compressed(model)][:8]}. Received: layers={layers!r}. "
            "Compress the others too, or cluster the plain model."
        )
    copy = rewrapped(model, picked, lambda members: _with_cluster(members, cluster))
    compile_like(copy, model)
    return copy, [weight for weight in weights_of(copy) if weight.path in picked]


@contextlib.contextmanager
def named_in_errors(name: str) -> Iterator[None]:
    """In here, errors say which layer is meant."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{error} It is the kernel of {name!r}.") from error


def weights_of(model: keras.Model) -> list[Weight]:
    """Returns the kernels of a compressed model with a Cluster, in the order of its layers."""
    return [
        Weight(path, layer, weight.variable, weight.layout, weight.chain, transform)
        for path, layer in paths_of_compressed(model).items()
        for weight in layer.weight_chains
        for transform in weight.chain.transforms
        if isinstance(transform, Cluster) and slot_of(weight.variable.name) == "kernel"
    ]


def originals_of(
    weights: Sequence[Weight], copy: keras.Model, model: keras.Model
) -> list[keras.Variable]:
    """Returns the variables of a model that those of weights are copies of.

    Args:
        weights: Of the copy.
        copy: What `clustered_copy` returned.
        model: What it was made from, plain or compressed.
    """
    if is_nested(model):
        layers = layers_by_path(model)
        owners = [plain(layers[weight.path]) for weight in weights]
    else:  # Keras numbers the layers of each copy of a subclassed model anew
        by_place = dict(zip(map(id, layers_of(copy)), layers_of(model), strict=True))
        owners = [by_place[id(weight.layer.layer)] for weight in weights]
    places = [
        next(i for i, known in enumerate(weight.layer.layer.weights) if known is weight.variable)
        for weight in weights
    ]
    return [owner.weights[place] for owner, place in zip(owners, places, strict=True)]


def by_table(weights: Sequence[Weight]) -> Iterator[list[Weight]]:
    """Yields the weights that have the same tables: each alone, or those of a network together."""
    networks: dict[object, list[Weight]] = {}
    for weight in weights:
        key = weight.cluster.network or id(weight)
        networks.setdefault(key, []).append(weight)
    yield from networks.values()


def _with_cluster(members: Sequence[Transform], cluster: Cluster) -> list[Transform]:
    others = [member for member in members if not isinstance(member, Cluster)]
    place = 1 if others and isinstance(others[0], Mask) else 0
    return [*others[:place], fresh(cluster), *others[place:]]
