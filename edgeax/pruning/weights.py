"""Weight: a kernel behind a mask, found in a model, and its mask set."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.model.container import CompressedModel
from edgeax.model.copying import clone, compressed_layers, copy_weights, fresh_copy
from edgeax.model.graph import is_nested
from edgeax.model.layout import Layout
from edgeax.model.recipe import Filter, Recipe, Rule
from edgeax.model.rewrite import check_weights, compile_like, compress, paths_of_compressed
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


def maskable(model: keras.Model, layers: Filter, updates: str = "masked") -> keras.Model:
    """Returns a copy of a model with a mask at kernels: a plain one gets masks of ones at the
    chosen layers, a compressed one is copied with those that it has.

    Args:
        model: Built.
        layers: As the filter of an `edgeax.Rule`.
        updates: As `Mask` takes it; of a plain model.

    Raises:
        ValueError: The model is unusable, or no layer is picked.
    """
    check_weights(model)
    if next(compressed_layers(model), None) is None:
        return compress(model, Recipe([Rule(layers, kernel=Mask(updates))]))
    copy = _copied(model)
    compile_like(copy, model)
    return copy


def weights_of(model: keras.Model, layers: Filter = ".*") -> list[Weight]:
    """Returns the kernels behind masks of a compressed model, in the order of its layers.

    Args:
        model: Compressed.
        layers: As the filter of an `edgeax.Rule`, searched in paths of layers.

    Raises:
        ValueError: There are none.
    """
    rule = Rule(layers, kernel=Mask())
    found = []
    wrappers = paths_of_compressed(model)
    for path, layer in wrappers.items():
        if not rule.matches(layer, path):
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


def _copied(model: keras.Model) -> keras.Model:
    if is_nested(model):
        made: dict[int, Any] = {}
        copy = clone(model, fresh_copy, made)
        copy_weights(model, made)
        return copy
    if not isinstance(model, CompressedModel):
        raise ValueError(
            "`model` must be plain, or one that edgeax.compress returned. Received: a "
            f"{type(model).__name__} that holds Compressed layers of its own. Prune it by "
            "edgeax.Prune in these."
        )
    copy = CompressedModel.from_config(model.get_config())
    copy.build_from_config(model.get_build_config())
    copy.set_weights(model.get_weights())
    return copy
