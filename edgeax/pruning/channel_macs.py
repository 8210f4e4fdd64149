"""ChannelMacs: how many multiply-accumulates a model has left as channels go.

Those of a layer are in proportion to the elements of its kernels, whatever its positions are: what
takes channels from an axis of a kernel takes that share of them.
"""

import math
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from edgeax.model.channels import ChannelGroup
from edgeax.model.macs import macs
from edgeax.model.rewrite import layers_by_path
from edgeax.model.wrapper import slot_of
from edgeax.pruning.slices import is_named


class ChannelMacs:
    """Counts the multiply-accumulates of a model whose units go one by one.

    Args:
        macs: Of each layer, by its path.
        kernels: The shape of each kernel, by the layer's path and the kernel's name.
        uses: By the name of a group, the axes of kernels that it goes along: path, name, axis, and
            the unit of each position, `(positions,)`, -1 for those of others.
    """

    def __init__(
        self,
        macs: Mapping[str, int],
        kernels: Mapping[tuple[str, str], Sequence[int]],
        uses: Mapping[str, Sequence[tuple[str, str, int, np.ndarray]]],
    ) -> None:
        self._macs = dict(macs)
        self._full = {key: [int(size) for size in shape] for key, shape in kernels.items()}
        self._kernels: dict[str, list[tuple[str, str]]] = {}
        for path, name in self._full:
            self._kernels.setdefault(path, []).append((path, name))
        self._uses: dict[str, list[tuple[tuple[str, str], int, np.ndarray]]] = {
            group: [
                ((path, name), axis % len(self._full[path, name]), np.asarray(units))
                for path, name, axis, units in axes
                if (path, name) in self._full
            ]
            for group, axes in uses.items()
        }
        self._sizes = {key: list(shape) for key, shape in self._full.items()}
        self.total = sum(self._macs.values())

    @classmethod
    def of(cls, model: keras.Model, groups: Sequence[ChannelGroup]) -> "ChannelMacs":
        """Returns that of a model and its groups, nothing gone yet."""
        uses: dict[str, list[tuple[str, str, int, np.ndarray]]] = {}
        names: dict[str, set[str]] = {}
        for group in groups:
            for one in (*group.makers, *group.readers):
                uses.setdefault(group.name, []).append((one.path, one.weight, one.axis, one.units))
                names.setdefault(one.path, set()).add(one.weight)
        kernels: dict[tuple[str, str], Sequence[int]] = {}
        for path, layer in layers_by_path(model).items():
            for variable in layer.weights if path in names else ():
                if slot_of(variable.name) == "kernel":
                    known = (name for name in names[path] if is_named(variable, name))
                    kernels[path, next(known, variable.path)] = variable.shape
        return cls(macs(model), kernels, uses)

    def copy(self) -> "ChannelMacs":
        """Returns one that counts on from here."""
        return self._with(self._sizes)

    def remove(self, group: str, unit: int) -> None:
        """Takes a unit out."""
        before = self._of_layers(group)
        for key, axis, units in self._uses[group]:
            self._sizes[key][axis] -= int(np.count_nonzero(units == unit))
        self.total += self._of_layers(group) - before

    def saved(self, group: str, size: int) -> np.ndarray:
        """Returns what goes with each unit of a group if it goes alone, int64 `(size,)`."""
        saved = []
        for unit in range(size):
            other = self.copy()
            other.remove(group, unit)
            saved.append(self.total - other.total)
        return np.array(saved, np.int64)

    def _of_layers(self, group: str) -> int:
        """Returns the multiply-accumulates of the layers that a group goes through."""
        return sum(self._of_layer(path) for path in {key[0] for key, _, _ in self._uses[group]})

    def _of_layer(self, path: str) -> int:
        full = sum(math.prod(self._full[key]) for key in self._kernels[path])
        left = sum(math.prod(self._sizes[key]) for key in self._kernels[path])
        return self._macs.get(path, 0) * left // full

    def _with(self, sizes: Mapping[tuple[str, str], Sequence[int]]) -> "ChannelMacs":
        other = object.__new__(ChannelMacs)
        other.__dict__.update(self.__dict__)
        other._sizes = {key: list(shape) for key, shape in sizes.items()}
        return other
