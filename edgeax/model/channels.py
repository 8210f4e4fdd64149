"""Groups of channels that depend on each other, found from a model's graph."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.model.channel_rules import Flow, WeightAxis
from edgeax.model.copying import clone, copy_weights, fresh_copy, originals_of
from edgeax.model.graph import trace
from edgeax.model.rewrite import check_model, check_plain, layers_by_path


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelSlice:
    """An axis of a weight along which units of a group lie.

    Attributes:
        path: The layer's path, such as `backbone/conv1`.
        weight: The weight's name, such as `"kernel"`; `"forward_lstm/lstm_cell/kernel"` where the
            layer has several of that name.
        axis: The axis, from 0 up.
        units: int64, one for each position of the axis: the unit within the group, from 0 up; -1
            where the position belongs to no unit of the group. A unit may have several positions.
    """

    path: str
    weight: str
    axis: int
    units: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels of one or several layers, in units of which each can go without the others.

    Attributes:
        name: Path of the first layer that makes channels of the group, in the order of the graph.
        size: Number of units. They are numbered in the order in which the first makers have them.
        reason: Why nothing of the group can go, `""` if its units can. Where only some channels of
            a layer have to stay, these are a group of their own.
        makers: What goes with a unit: kernels and biases that make its channels, and what other
            layers have for each of them, such as the gamma of a batch normalization and the kernel
            of a depthwise convolution.
        readers: What the layers behind read its channels by: the input axes of their kernels.
    """

    name: str
    size: int
    reason: str
    makers: tuple[ChannelSlice, ...]
    readers: tuple[ChannelSlice, ...]

    @property
    def maker_paths(self) -> tuple[str, ...]:
        """The paths of the layers of `makers`, each once."""
        return tuple(dict.fromkeys(piece.path for piece in self.makers))

    @property
    def reader_paths(self) -> tuple[str, ...]:
        """The paths of the layers of `readers`, each once."""
        return tuple(dict.fromkeys(piece.path for piece in self.readers))


def channel_groups(model: keras.Model) -> list[ChannelGroup]:
    """Returns the groups of channels of a model, in the order of its graph.

    Channels that are added to each other, that pass through one depthwise convolution, or that a
    grouped convolution has at the same place of its groups, are one unit. Units are in one group
    where a layer makes several of them.

    Args:
        model: Sequential or functional, nested ones included, not compressed.

    Raises:
        ValueError: The model has no graph or is compressed.

    Example: `{group.name: group.size for group in channel_groups(model) if not group.reason}`
    """
    return Channels(model).groups


def values_of(model: keras.Model, piece: ChannelSlice) -> np.ndarray:
    """Returns the weight of a slice of a model's groups, the axis of the channels moved first.

    Args:
        model: The model that the groups are of.
        piece: One of a group's makers or readers.

    Returns:
        Array `(positions, ...)`, the positions like those of `piece.units`.

    Raises:
        ValueError: The model has no such weight.
    """
    layer = layers_by_path(model).get(piece.path)
    for index, variable in enumerate([] if layer is None else layer.weights):
        if _weight_name(layer, index) == piece.weight:
            return np.moveaxis(np.asarray(variable), piece.axis, 0)
    raise ValueError(
        "`piece` must be a slice of one of the model's groups. Received: "
        f"{piece.weight!r} of {piece.path!r}, which the model does not have. "
        "Take the groups of this model from edgeax.channel_groups."
    )


class Channels:
    """The channels of a model: which go together, which have to stay, and by what they are named.

    Attributes:
        skeleton: A copy of the model that the graph is of; not to be used as a model.
        originals: The model's layers, by the ids of those of the skeleton.
        graph: The graph.
        flow: The labels of the graph's tensors and weights.
        groups: The groups in the order of the graph.
    """

    def __init__(self, model: keras.Model) -> None:
        check_model(model)
        check_plain(model)
        copies: dict[int, Any] = {}
        self.skeleton = clone(model, fresh_copy, copies)
        copy_weights(model, copies)
        self.originals = originals_of(model, copies)
        self.graph = trace(self.skeleton)
        self.flow = Flow(self.graph)
        self._classes = self.flow.book.classes()
        self._reasons = self.flow.book.reasons(self._classes)
        for axis in self.makers:
            units = np.unique(self.classes(axis.labels))
            if units.size == 1:
                path = self.graph.path(axis.layer)
                why = f"the channels of {path!r} can go only all together."
                self._reasons.setdefault(int(units[0]), why)
        self.groups, self._units = self._grouped()

    @property
    def axes(self) -> list[WeightAxis]:
        """The axes of all weights along which channels can go."""
        return self.flow.axes

    @property
    def makers(self) -> list[WeightAxis]:
        """The axes along which channels come into being."""
        return [axis for axis in self.axes if axis.role == "makes"]

    def classes(self, labels: np.ndarray) -> np.ndarray:
        """Returns which unit of the model each label stands for, counted over all groups."""
        return np.asarray(self._classes[labels])

    def made_by(self, operation: Any) -> np.ndarray:
        """Returns the units of the channels of an operation's (first) result."""
        tensor = self.graph.calls_of(operation)[0].output_tensors[0]
        return self.classes(self.flow.labels_of(tensor))

    def reason(self, unit: int) -> str:
        """Returns why a unit has to stay, `""` if it can go."""
        return self._reasons.get(int(unit), "")

    def units_of(self, group: ChannelGroup) -> np.ndarray:
        """Returns the units of a group, as `classes` counts them."""
        return self._units[self.groups.index(group)]

    def group_named(self, name: str) -> ChannelGroup | None:
        """Returns the group of a name; of two the one whose units can go."""
        named = [group for group in self.groups if group.name == name]
        return min(named, key=lambda group: bool(group.reason), default=None)

    def chosen(self, channels: Mapping[str, Iterable[int]]) -> np.ndarray:
        """Returns the units that are named by groups or layers, and checks that they can go.

        Raises:
            ValueError: They are none, or cannot go.
        """
        check_names("channels", channels)
        found = [self._named("channels", name, indices) for name, indices in channels.items()]
        gone = np.unique(np.concatenate([np.zeros(0, np.int64), *found]))
        for axis in self.makers:
            if np.isin(self.classes(axis.labels), gone).all():
                raise ValueError(
                    "`channels` must leave each layer a channel. Received: all those of "
                    f"{self.graph.path(axis.layer)!r}, so they would empty layer "
                    f"{self.graph.path(axis.layer)!r}. Keep one of them."
                )
        return gone

    def group(self, argument: str, name: str) -> ChannelGroup:
        """Returns the group of a name, whose units can go.

        Raises:
            ValueError: There is none, or its units have to stay.
        """
        group = self.group_named(name)
        if group is None:
            raise self._unknown(argument, name, [group.name for group in self.groups])
        if group.reason:
            raise ValueError(
                f"`{argument}` must name channels that can go. Received: {name!r}, where "
                f"{group.reason} Leave it out."
            )
        return group

    def _named(self, argument: str, name: str, indices: Iterable[int]) -> np.ndarray:
        """Returns the units of some indices of a group or layer."""
        if self.group_named(name) is not None:
            units = self.units_of(self.group(argument, name))
        else:
            paths = {self.graph.path(call.operation): call.operation for call in self.graph.calls}
            if name not in paths:
                weighty = [path for path, layer in paths.items() if getattr(layer, "weights", ())]
                raise self._unknown(argument, name, weighty)
            units = self.made_by(paths[name])
        given = check_indices(f"{argument}[{name!r}]", indices, units.size)
        for index in given:
            why = self.reason(units[index])
            if why:
                raise ValueError(
                    f"`{argument}[{name!r}]` must leave channels that cannot go. "
                    f"Received: {index}, where {why} Leave it out."
                )
        return units[given]

    def _unknown(self, argument: str, name: str, known: Sequence[str]) -> ValueError:
        close = difflib.get_close_matches(str(name), known, 1, 0.0)
        return ValueError(
            f"`{argument}` must name groups of channels or layers. Received: {name!r}. "
            + (f"Did you mean {close[0]!r}? " if close else "")
            + "edgeax.channel_groups(model) lists all groups."
        )

    def _grouped(self) -> tuple[list[ChannelGroup], list[np.ndarray]]:
        """Returns the groups and the units of each, as `classes` counts them."""
        order, group_of = _connected(
            [self.classes(axis.labels) for axis in self.makers], self._reasons
        )
        names: dict[int, str] = {}
        members: dict[int, list[int]] = {}
        numbers: dict[int, int] = {}
        for axis in self.makers:
            for unit in dict.fromkeys(self.classes(axis.labels).tolist()):
                group = group_of[unit]
                names.setdefault(group, self.graph.path(axis.layer))
                if unit not in numbers:
                    numbers[unit] = len(members.setdefault(group, []))
                    members[group].append(unit)
        slices: dict[int, dict[str, list[ChannelSlice]]] = {
            group: {"makes": [], "reads": []} for group in order
        }
        for axis in self.axes:
            classes = self.classes(axis.labels).tolist()
            groups = np.array([group_of.get(unit, -1) for unit in classes], np.int64)
            within = np.array([numbers.get(unit, -1) for unit in classes], np.int64)
            for group in np.unique(groups[groups >= 0]).tolist():
                piece = ChannelSlice(
                    self.graph.path(axis.layer),
                    _weight_name(axis.layer, axis.weight),
                    axis.axis,
                    np.where(groups == group, within, -1),
                )
                slices[group]["reads" if axis.role == "reads" else "makes"].append(piece)
        made = [
            ChannelGroup(
                name=names[group],
                size=len(members[group]),
                reason=self.reason(members[group][0]),
                makers=tuple(slices[group]["makes"]),
                readers=tuple(slices[group]["reads"]),
            )
            for group in order
        ]
        return made, [np.array(members[group], np.int64) for group in order]


def check_names(argument: str, given: Any) -> None:
    """Checks that an argument maps names to something.

    Raises:
        ValueError: It does not.
    """
    if not isinstance(given, Mapping):
        raise ValueError(
            f"`{argument}` must map names of groups to indices of their units. "
            f"Received: {type(given).__name__}. edgeax.channel_groups(model) lists all groups."
        )


def check_indices(argument: str, indices: Any, size: int) -> np.ndarray:
    """Returns indices as an int64 array.

    Raises:
        ValueError: They are not different integers from 0 to `size` - 1.
    """
    given = np.asarray([*indices] if isinstance(indices, Iterable) else indices)
    integers = given.ndim == 1 and (given.dtype.kind in "iu" or not given.size)
    if not integers or np.unique(given).size != given.size or np.any((given < 0) | (given >= size)):
        raise ValueError(
            f"`{argument}` must be different integers from 0 to {size - 1}. "
            f"Received: {indices}. They count the group's units, or the layer's channels."
        )
    return given.astype(np.int64)


def _connected(
    rows: Sequence[np.ndarray], reasons: Mapping[int, str]
) -> tuple[list[int], dict[int, int]]:
    """Returns groups in order, and the group of each unit: those of one row are together, but such
    that have to stay apart from those that can go.
    """
    group_of: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    for row in rows:
        for stays in (False, True):
            part = [unit for unit in dict.fromkeys(row.tolist()) if (unit in reasons) == stays]
            if not part:
                continue
            met = {group_of[unit] for unit in part if unit in group_of}
            home = min(met, default=max(members, default=-1) + 1)
            joined = members.setdefault(home, [])
            for group in met - {home}:
                joined += members.pop(group)
            joined += [unit for unit in part if unit not in group_of]
            group_of.update(dict.fromkeys(joined, home))
    return sorted(members), group_of


def _weight_name(layer: keras.layers.Layer, index: int) -> str:
    """Returns the shortest end of a weight's path that no other weight of the layer has."""
    paths = [variable.path.split("/") for variable in layer.weights]
    own = paths[index]
    for length in range(1, len(own) + 1):
        if sum(path[-length:] == own[-length:] for path in paths) == 1:
            return "/".join(own[-length:])
    return str(index)
