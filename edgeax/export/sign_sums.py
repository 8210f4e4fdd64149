"""Sums of signs of activations, ternary ones too: the layer that the converter keeps whole, and the
operators that read its signs or compute its values.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from edgeax.export.constants import Constants, zero_point_of
from edgeax.export.placeholder import PREFIX, ValueByValue
from edgeax.export.rounding import SIGN_TOP, Formatted, Grid
from edgeax.export.signs import (
    CHOICE,
    COMPARISON,
    INTEGER_COMPARISON,
    like,
)
from edgeax.formats.binary import ResidualBinary, ShiftedBinary
from edgeax.formats.flatbuffer import Operator, Subgraph, Tensor
from edgeax.formats.ternary import Ternary

_OPERATOR = f"{PREFIX}SignSum"
"""Names in the converter's file begin so, a number behind it, until `expand_sign_sums` is done."""


@dataclasses.dataclass(frozen=True)
class SignSums:
    """Activations that are sums of signs.

    Attributes:
        gains: Of each sign.
        flips: Of each sign the values, ascending, from which on it is the other one; above the last
            of them it is 1.
        place: Path of the layer that rounds to them, and its slot, such as `conv/input`.
    """

    gains: tuple[float, ...]
    flips: tuple[tuple[float, ...], ...]
    place: str = ""

    @property
    def grid(self) -> Grid:
        """The grid of the 8-bit tensor that holds them."""
        top = sum(map(abs, self.gains))
        return Grid((-top * (SIGN_TOP + 1) / SIGN_TOP, top))

    @functools.cached_property
    def ends(self) -> tuple[float, ...]:
        """The values at which the sum may change, ascending."""
        return tuple(sorted({end for flips in self.flips for end in flips}))

    @functools.cached_property
    def levels(self) -> tuple[float, ...]:
        """The sums below the first end, between the ends and above the last one."""
        return tuple(self._sum(end) for end in (-math.inf, *self.ends))

    @property
    def is_exact(self) -> bool:
        """Whether the 8-bit tensor holds just these values."""
        codes = np.array(self.levels) / self.grid.step
        return bool(np.all(np.abs(codes - np.rint(codes)) < 1e-4))

    def _sum(self, value: float) -> float:
        signs = [(-1) ** sum(value < end for end in flips) for flips in self.flips]
        return float(sum(gain * sign for gain, sign in zip(self.gains, signs, strict=True)))


def as_sign_sums(rounding: Any) -> SignSums | None:
    """Returns the sums of signs that activations of a format are, or None."""
    if not isinstance(rounding, Formatted):
        return None
    params = {name: np.asarray(value, np.float32) for name, value in rounding.params.items()}
    if isinstance(rounding.format, Ternary):
        return _ternary(params)
    if isinstance(rounding.format, (ShiftedBinary, ResidualBinary)):
        if params["gain"].ndim != 1 or "scale" in params:
            return None
        gains = tuple(map(float, params["gain"]))
        if isinstance(rounding.format, ResidualBinary):
            return SignSums(gains, _residual_flips(gains))
        return SignSums(gains, tuple((float(end),) for end in params["threshold"]))
    return None


def _ternary(params: Mapping[str, np.ndarray]) -> SignSums | None:
    if not {*params} <= {"threshold", "scale"} or any(p.size != 1 for p in params.values()):
        return None
    scale = params.get("scale", np.float32(1)).reshape(())
    threshold = scale * params["threshold"].reshape(())
    above = np.nextafter(threshold, np.float32(np.inf))
    gain = float(scale) / 2
    return SignSums((gain, gain), ((-float(threshold),), (float(above),)))


def _residual_flips(gains: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Returns where the signs of the residuals change, of values on the whole line."""
    parts = [(-math.inf, math.inf, 0.0)]  # from, to, and the sum of the signs so far
    found = []
    for gain in gains:
        signs, split = [], []
        for low, high, total in parts:
            for start, end, sign in ((low, min(total, high), -1), (max(total, low), high, 1)):
                if start < end:
                    split.append((start, end, total + sign * gain))
                    signs.append(sign)
        places = range(1, len(signs))
        flips = [split[place][0] for place in places if signs[place - 1] != signs[place]]
        found.append(tuple(flips))
        parts = split
    return tuple(found)


class WholeSignSum(ValueByValue):
    """The sum of signs of each value.

    Args:
        sums: The signs.
        number: Of the layer among those of a model, None where it is not to be converted.
    """

    def __init__(self, sums: SignSums, number: int | None = None, **kwargs: Any) -> None:
        super().__init__(f"{_OPERATOR}{number}", **kwargs)
        self.sums = sums

    def values(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the sums."""
        values = tf.fill(tf.shape(tensor), np.float32(self.sums.levels[0]))
        for end, level in zip(self.sums.ends, self.sums.levels[1:], strict=True):
            values = tf.where(tensor >= np.float32(end), np.float32(level), values)
        return values


@dataclasses.dataclass(frozen=True)
class Read:
    """What an operator reads whose activations are sums of signs.

    Attributes:
        tensor: 8-bit integers.
        gains: Real values of the signs.
        thresholds: Of each sign the codes from which on it is the other one.
        is_exact: Whether 8-bit integers hold the sums.
    """

    tensor: int
    gains: tuple[float, ...]
    thresholds: tuple[tuple[int, ...], ...]
    is_exact: bool = True


Sums = Mapping[str, SignSums]
"""The sums of signs of a model, by the operators that stand for them."""


def read_sums(graph: Subgraph, tensor: int, sums: Sums) -> Read | None:
    """Returns how the signs whose sums a tensor holds are read, None if it holds none such."""
    producer = graph.producer(tensor)
    if producer is None:
        return None
    operator = graph.operators[producer]
    found = sums.get(operator.name)
    if found is None:
        if operator.name != "RESHAPE":
            return None
        given = read_sums(graph, operator.inputs[0], sums)
        return None if given is None else _read_values(graph, tensor, operator, sums)
    source = graph.tensors[operator.inputs[0]]
    if source.dtype != "int8" or source.scale is None:
        return _of_values(tensor, found)
    step, zero = float(source.scale[0]), zero_point_of(source)
    thresholds = tuple(
        tuple(_first_code(end, step, zero) for end in flips) for flips in found.flips
    )
    return Read(operator.inputs[0], found.gains, thresholds, found.is_exact)


def _read_values(graph: Subgraph, tensor: int, operator: Operator, sums: Sums) -> Read | None:
    """Returns how a tensor is read that holds sums in another shape."""
    while operator.name not in sums:
        producer = graph.producer(operator.inputs[0])
        if producer is None:
            return None
        operator = graph.operators[producer]
    return _of_values(tensor, sums[operator.name])


def _of_values(tensor: int, sums: SignSums) -> Read | None:
    """Returns how the signs are read off the 8-bit values of their sums; None if these do not tell
    them apart.
    """
    codes = [*map(int, _level_codes(sums))]
    if any(first >= second for first, second in zip(codes[:-1], codes[1:], strict=True)):
        return None
    code_of = dict(zip(sums.ends, codes[1:], strict=True))
    thresholds = tuple(tuple(code_of[end] for end in flips) for flips in sums.flips)
    return Read(tensor, sums.gains, thresholds, sums.is_exact)


def drop_unread_sums(graph: Subgraph, sums: Sums) -> None:
    """Takes out the sums of signs that nothing reads."""
    for name in sums:
        graph.drop_unread(name)


def expand_sign_sums(graph: Subgraph, sums: Sums) -> None:
    """Gives the sums of signs that are still read the built-in operators that compute them."""
    constants = Constants(graph)
    for operator in [operator for operator in graph.operators if operator.name in sums]:
        expand_steps(graph, constants, operator, sums[operator.name])


class Steps(Protocol):
    """Values that change at some ends."""

    @property
    def ends(self) -> tuple[float, ...]:
        """The values at which they change, ascending."""

    @property
    def levels(self) -> tuple[float, ...]:
        """What they are below the first end, between the ends and above the last one."""

    @property
    def grid(self) -> Grid:
        """The grid of the 8-bit tensor that holds them; its zero point is 0."""


def expand_steps(graph: Subgraph, constants: Constants, operator: Operator, sums: Steps) -> None:
    """Puts the built-in operators in an operator's place that compute steps of what it reads."""
    place = graph.operators.index(operator)
    graph.operators.remove(operator)
    (source,), (target,) = operator.inputs, operator.outputs
    given, made = graph.tensors[source], graph.tensors[target]
    name, version = made.name, INTEGER_COMPARISON if given.dtype == "int8" else 1
    first, *codes = map(int, _level_codes(sums))
    values = like(constants, f"{name}/level_0", made, first)
    for number, (end, code) in enumerate(zip(sums.ends, codes, strict=True), 1):
        reaches = graph.add_state(
            f"{name}/reaches_{number}", "bool", given.shape, None, None, False
        )
        limit = _limit(constants, f"{name}/end_{number}", given, end)
        level = like(constants, f"{name}/level_{number}", made, code)
        is_last = number == len(codes)
        result = target if is_last else _between(graph, f"{name}/below_{number + 1}", target)
        graph.insert(place, COMPARISON, (source, limit), (reaches,), version)
        graph.insert(place + 1, CHOICE, (reaches, level, values), (result,))
        place, values = place + 2, result


def _limit(constants: Constants, name: str, given: Tensor, end: float) -> int:
    """Returns the index of the least number of a tensor's type that reaches a value, its greatest
    where none does.
    """
    if given.dtype != "int8" or given.scale is None:
        return constants.add(name, np.array([end], np.float32))
    code = _first_code(end, float(given.scale[0]), zero_point_of(given))
    return like(constants, name, given, int(np.clip(code, -128, 127)))


def _between(graph: Subgraph, name: str, target: int) -> int:
    made = graph.tensors[target]
    scale = None if made.scale is None else made.scale[0]
    return graph.add_state(name, made.dtype, made.shape, scale, zero_point_of(made), False)


def _level_codes(sums: Steps) -> np.ndarray:
    return np.rint(np.array(sums.levels) / sums.grid.step)


def _first_code(end: float, step: float, zero: int) -> int:
    """Returns the first code that stands for a value of at least `end`."""
    return zero + math.ceil(np.clip(end / step - 1e-6, -1e6, 1e6))
