"""Weight: a kernel behind a mask, found in a model, and its mask set."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from edgeax.model.copying import compressed_layers
from edgeax.model.layout import Layout
from edgeax.model.picking import copy_of_compressed, picked_wrappers, rule_of, said_of_layers
from edgeax.model.recipe import Filter, Recipe
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
    rule = rule_of(layers, Mask(updates))
    if next(compressed_layers(model), None) is None:
        with said_of_layers():
            copy = compress(model, Recipe([rule]))
        return copy, weights_of(copy)
    picked = {weight.path for weight in weights_of(model, layers)}
    copy = copy_of_compressed(model)
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
    found = []
    for path, layer in picked_wrappers(model, rule_of(layers, Mask())):
        for weight in layer.weight_chains:
            first = weight.chain.transforms[0]
            if isinstance(first, Mask) and slot_of(weight.variable.name) == "kernel":
                found.append(Weight(path, layer, weight.variable, weight.layout, first))
    if not found:
        raise ValueError(
            "`layers` must pick layers whose kernels have a Mask or a Prune, in a compressed model "
            f"only these can be pruned. Received: layers={layers!r}; the model's compressed layers "
            f"are {[*paths_of_compressed(model)][:8]}. Begin their chains with edgeax.Prune, or "
            "prune the plain model."
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
