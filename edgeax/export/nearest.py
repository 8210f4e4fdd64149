"""Nearest points of activations: the layer that the converter keeps whole, and the operators that
read the points' codes or look them up.

A point is searched by a table of 256 entries, one for each code of the 8-bit values before.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from edgeax.export.constants import Constants, zero_point_of
from edgeax.export.placeholder import PREFIX, ValueByValue
from edgeax.export.rounding import SIGN_TOP, Formatted, Grid
from edgeax.export.sign_sums import expand_steps
from edgeax.formats.flatbuffer import Operator, Subgraph, Tensor
from edgeax.formats.points import Points, middles

_OPERATOR = f"{PREFIX}Nearest"
"""Names in the converter's file begin so, a number behind it, until `expand_nearest` is done."""

_GATHER_OF_INT8 = 2  # version

_ANY_CODE = np.arange(-128, 128, dtype=np.int8)

# What leaves values of 8 bits on their points.
_MOVING = ("RESHAPE", "MAX_POOL_2D", "PAD", "PADV2")


@dataclasses.dataclass(frozen=True)
class Nearest:
    """Activations that are put on the nearest of some points.

    Attributes:
        points: These, ascending, all different.
        entered: The grid that values are put on before, where they are an input of the model.
    """

    points: tuple[float, ...]
    entered: Grid | None = None

    @property
    def grid(self) -> Grid:
        """The grid of the 8-bit tensor that holds the points."""
        top = max(map(abs, self.points))
        return Grid((-top * (SIGN_TOP + 1) / SIGN_TOP, top))

    @property
    def levels(self) -> tuple[float, ...]:
        """The points below the first end, between the ends and above the last one."""
        return self.points

    @functools.cached_property
    def ends(self) -> tuple[float, ...]:
        """The least values that go to the next point, ascending."""
        beyond = np.nextafter(middles(np.array(self.points, np.float32)), np.float32(math.inf))
        return tuple(map(float, beyond))

    def table(self, scale: float, zero_point: int) -> np.ndarray:
        """Returns the point of each 8-bit code, from -128 on.

        Args:
            scale: Of the codes.
            zero_point: Of the codes.
        Returns:
            int8 `(256,)`, on `grid`.
        """
        values = np.float32(scale) * (_ANY_CODE.astype(np.float32) - np.float32(zero_point))
        places = np.searchsorted(np.array(self.ends, np.float32), values, side="right")
        return np.rint(np.array(self.points) / self.grid.step)[places].astype(np.int8)


def as_nearest(rounding: Any) -> Nearest | None:
    """Returns the points that activations of a format are put on, or None."""
    if not isinstance(rounding, Formatted) or not isinstance(rounding.format, Points):
        return None
    if {*rounding.params} != {"points"}:
        return None
    points = np.unique(np.asarray(rounding.params["points"], np.float32))
    return Nearest(tuple(map(float, points))) if np.any(points) else None


class WholeNearest(ValueByValue):
    """The point nearest to each value.

    Args:
        nearest: The points.
        number: Of the layer among those of a model, None where it is not to be converted.
    """

    def __init__(self, nearest: Nearest, number: int | None = None, **kwargs: Any) -> None:
        super().__init__(f"{_OPERATOR}{number}", **kwargs)
        self.nearest = nearest

    def values(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the points."""
        flat = tf.reshape(tensor, [-1])
        places = tf.searchsorted(np.array(self.nearest.ends, np.float32), flat, side="right")
        return tf.reshape(
            tf.gather(np.array(self.nearest.points, np.float32), places), tf.shape(tensor)
        )


@dataclasses.dataclass(frozen=True)
class Read:
    """What an operator reads whose activations lie on points.

    Attributes:
        tensor: 8-bit integers.
        table: int8 `(256,)`, the point of each of their codes.
        points: How many there are.
    """

    tensor: int
    table: np.ndarray
    points: int


Named = Mapping[str, Nearest]
"""The nearest points of a model, by the operators that stand for them."""


def read_nearest(graph: Subgraph, tensor: int, nearest: Named) -> Read | None:
    """Returns how the points are read that a tensor holds, None if it holds none."""
    found = _origin(graph, tensor, nearest)
    if found is None:
        return None
    points = nearest[found.name]
    table = _table(points, graph.tensors[found.inputs[0]])
    if found.outputs[0] == tensor and table is not None:
        return Read(found.inputs[0], table, len(points.points))
    return Read(tensor, _ANY_CODE, len(points.points))


def _origin(graph: Subgraph, tensor: int, nearest: Named) -> Operator | None:
    """Returns what puts on points what a tensor holds."""
    producer = graph.producer(tensor)
    if producer is None:
        return None
    operator = graph.operators[producer]
    if operator.name in nearest:
        return operator
    return _origin(graph, operator.inputs[0], nearest) if operator.name in _MOVING else None


def _table(nearest: Nearest, given: Tensor) -> np.ndarray | None:
    """Returns the point of each code of a tensor, None where it does not hold 8-bit codes."""
    if given.dtype != "int8" or given.scale is None:
        return None
    return nearest.table(float(given.scale[0]), zero_point_of(given))


def expand_nearest(graph: Subgraph, nearest: Named) -> None:
    """Gives the points that are still read the built-in operators that compute them; takes out the
    others.
    """
    for name in nearest:
        graph.drop_unread(name)
    constants = Constants(graph)
    for operator in [operator for operator in graph.operators if operator.name in nearest]:
        points = nearest[operator.name]
        table = _table(points, graph.tensors[operator.inputs[0]])
        if table is None:
            expand_steps(graph, constants, operator, points)
        else:
            _look_up(graph, constants, operator, table)


def _look_up(graph: Subgraph, constants: Constants, operator: Operator, points: np.ndarray) -> None:
    """Puts built-in operators in an operator's place; they count places in a table from 0."""
    place = graph.operators.index(operator)
    graph.operators.remove(operator)
    (source,), (target,) = operator.inputs, operator.outputs
    given, made = graph.tensors[source], graph.tensors[target]
    whole, places = (
        graph.add_state(f"{made.name}/{part}", "int32", given.shape, is_variable=False)
        for part in ("codes", "places")
    )
    first = constants.add(f"{made.name}/first", np.array([128], np.int32))
    table = constants.add(f"{made.name}/points", points, made.scale)
    graph.insert(place, "CAST", (source,), (whole,))
    graph.insert(place + 1, "ADD", (whole, first), (places,))
    graph.insert(place + 2, "GATHER", (table, places), (target,), _GATHER_OF_INT8)
