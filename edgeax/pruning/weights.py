"""Weight: a kernel behind a mask, found in a model, and its mask set."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.model import placement
from edgeax.model.container import CompressedModel
from edgeax.model.copying import clone, compressed_layers, copy_of, originals_of, plain_copy
from edgeax.model.graph import Graph, is_nested, trace
from edgeax.model.layout import Layout
from edgeax.model.plan import make_plans
from edgeax.model.recipe import PLACES, Filter, Recipe, Rule
from edgeax.model.rewrite import check_weights, compile_like, compress, paths_of_compressed
from edgeax.model.subclassed import graph_of, layers_of, rebuilt
from edgeax.model.wrapper import Compressed, slot_of
from edgeax.transforms.base import now
from edgeax.transforms.mask import Mask


@dataclasses.dataclass(frozen=True, eq=False)
class Weight:
    """A kernel of a compressed model whose chain begins with a mask.

    Attributes:
        path: Path of its layer.
        layer: The layer.
        variable: The kernel as the layer has it.
        layout: How that goes to canonical layout, in which masks and scores are.
        mask: The transform that masks it.
    """

    path: str
    layer: Compressed
    variable: keras.Variable
    layout: Layout
    mask: Mask

    @property
    def name(self) -> str:
        """Its layer's path, and its own name where the layer may have several kernels."""
        return self.path if self.variable.name == "kernel" else f"{self.path}/{self.variable.name}"

    @property
    def shape(self) -> tuple[int, ...]:
        """In canonical layout."""
        return self.layout.canonical_shape

    @property
    def size(self) -> int:
        """Number of weights."""
        return int(np.prod(self.shape))

    @property
    def active(self) -> np.ndarray:
        """Which weights are not masked, bool, canonical layout."""
        return np.asarray(now(self.mask.mask), bool)

    @property
    def choosable(self) -> np.ndarray:
        """Which weights may be found important: all where masked ones go on being trained, else
        those that are not masked. bool, canonical layout.
        """
        return np.ones(self.shape, bool) if self.mask.updates == "dense" else self.active

    @property
    def raw(self) -> np.ndarray:
        """The kernel in canonical layout, float32, what is masked as it stands behind its mask."""
        return self.layout.to_canonical(now(self.variable).astype(np.float32))

    @property
    def value(self) -> np.ndarray:
        """`raw` where weights are `choosable`, 0 elsewhere."""
        return np.where(self.choosable, self.raw, np.float32(0.0))

    def set_raw(self, value: np.ndarray) -> None:
        """Sets the kernel from canonical layout."""
        self.variable.assign(self.layout.from_canonical(np.asarray(value, np.float32)))

    def set_mask(self, mask: np.ndarray) -> None:
        """Sets the mask: bool, canonical layout, True stays."""
        self.mask.mask.assign(np.asarray(mask, bool).reshape(self.shape))


def masked_copy(
    model: keras.Model, layers: Filter = ".*", updates: str = "masked"
) -> tuple[keras.Model, list[Weight]]:
    """Returns a copy of a model with masks at kernels, and those kernels that a filter picks.

    A plain model gets masks of ones, at the chosen layers only; a compressed one is copied with the
    masks that it has.

    Args:
        model: Built.
        layers: As the filter of an `edgeax.Rule`; a callable gets the layers of `model`, those of a
            compressed one without their wrappers.
        updates: As `Mask` takes it; of a plain model.

    Raises:
        ValueError: The model is unusable, or no layer is picked.
    """
    check_weights(model)
    rule = _rule_of(layers, Mask(updates))
    if next(compressed_layers(model), None) is None:
        with _said_of_layers():
            copy = compress(model, Recipe([rule]))
        return copy, weights_of(copy)
    picked = {weight.path for weight in weights_of(model, layers)}
    copy = _copied(model)
    compile_like(copy, model)
    return copy, [weight for weight in weights_of(copy) if weight.path in picked]


def weights_of(model: keras.Model, layers: Filter = ".*") -> list[Weight]:
    """Returns the kernels behind masks of a compressed model, in the order of its layers.

    Args:
        model: Compressed.
        layers: As for `masked_copy`.

    Raises:
        ValueError: There are none.
    """
    rule = _rule_of(layers, Mask())
    places = _places(model, rule)
    found = []
    wrappers = paths_of_compressed(model)
    for path, layer in wrappers.items():
        if not rule.matches(layer.layer, path, places.get(id(layer.layer), ())):
            continue
        for weight in layer.weight_chains:
            first = weight.chain.transforms[0]
            if isinstance(first, Mask) and slot_of(weight.variable.name) == "kernel":
                found.append(Weight(path, layer, weight.variable, weight.layout, first))
    if not found:
        raise ValueError(
            "`layers` must pick layers whose kernels have a Mask or a Prune, in a compressed model "
            f"only these can be pruned. Received: layers={layers!r}; the model's compressed layers "
            f"are {[*wrappers][:8]}. Begin their chains with edgeax.Prune, or prune the plain "
            "model."
        )
    return found


@contextlib.contextmanager
def unmasked(weights: Sequence[Weight]) -> Iterator[None]:
    """In here the masks are all ones, and what they mask is 0 as before: the model computes the
    same, and gradients get to masked weights as well.
    """
    before = [(weight, weight.raw, weight.active) for weight in weights]
    try:
        for weight, raw, mask in before:
            if not mask.all():
                weight.set_raw(np.where(mask, raw, np.float32(0.0)))
                weight.set_mask(np.ones_like(mask))
        yield
    finally:
        for weight, raw, mask in before:
            if not mask.all():
                weight.set_raw(raw)
                weight.set_mask(mask)


def _rule_of(layers: Any, mask: Mask) -> Rule:
    """Returns the rule of which the filter is `layers`.

    Raises:
        ValueError: It is no filter.
    """
    if isinstance(layers, type):
        raise ValueError(
            "`layers` must be a regular expression, a list of them, or a function of a layer. "
            f"Received: the class {layers.__name__}. Pass lambda layer: isinstance(layer, "
            f"{layers.__name__})."
        )
    with _said_of_layers():
        return Rule(layers, kernel=mask)


@contextlib.contextmanager
def _said_of_layers() -> Iterator[None]:
    """In here, what is wrong with a rule's filter is said of the argument that it came by."""
    try:
        yield
    except ValueError as error:
        if "`filter`" not in str(error):
            raise
        words = str(error).replace("`filter` of a rule", "`layers`").replace("`filter`", "`layers`")
        raise ValueError(words.replace("filter=", "layers=")) from error


def _places(model: keras.Model, rule: Rule) -> dict[int, list[str]]:
    """Returns at which of the places that a rule names the layers of a compressed model stand, by
    the ids of what their wrappers wrap.
    """
    named = [] if callable(rule.filter) else [p for p in PLACES if p in rule.filter]
    if not named:
        return {}
    graph, originals = _plain_graph(model)
    places: dict[int, list[str]] = {}
    for place in named:
        plans = make_plans(graph, originals, Recipe([Rule(place, kernel=Mask())]))
        for identity in plans:
            layer = placement.plain(originals[identity])
            places.setdefault(id(layer), []).append(place)
    return places


def _plain_graph(model: keras.Model) -> tuple[Graph, dict[int, keras.layers.Layer]]:
    """Returns the calls of a plain copy, and the layers of `model` by the ids of the copies."""
    if is_nested(model):
        copies: dict[int, Any] = {}
        return trace(clone(model, plain_copy, copies)), originals_of(model, copies)
    _check_compressed(model)
    copy = rebuilt(model)
    graph, originals = graph_of(copy)
    actual = dict(zip(map(id, layers_of(copy)), layers_of(model), strict=True))
    return graph, {identity: actual[id(layer)] for identity, layer in originals.items()}


def _check_compressed(model: keras.Model) -> None:
    if not isinstance(model, CompressedModel):
        raise ValueError(
            "`model` must be plain, or one that edgeax.compress returned. Received: a "
            f"{type(model).__name__} that holds Compressed layers of its own. Prune it by "
            "edgeax.Prune in these."
        )


def _copied(model: keras.Model) -> keras.Model:
    if is_nested(model):
        return copy_of(model)
    _check_compressed(model)
    copy = CompressedModel.from_config(model.get_config())
    copy.build_from_config(model.get_build_config())
    copy.set_weights(model.get_weights())
    return copy
