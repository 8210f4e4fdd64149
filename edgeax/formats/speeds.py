"""Speeds: how fast operators of edgeax were found to be on one type of processor, as a table.

A table is a JSON file. `edgeax/formats/targets` holds those that come with edgeax, named after the
processor core; `edgeax tune` writes one for the machine it runs on.
"""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeax.formats.files import write_atomically
from edgeax.formats.layer_shape import LAYERS, LayerShape
from edgeax.formats.operators import OPERATORS

VERSION = 1

FARTHEST = 2.0
"""How far a layer may lie from a measured one that is to speak for it; see `Speeds.nearest`."""

_MORE = 1.05  # a part may be larger by this and count as equal

_TARGETS = Path(__file__).parent / "targets"


@dataclasses.dataclass(frozen=True)
class Form:
    """How an operator stores weights.

    Attributes:
        operator: Name of an operator of edgeax.
        bits: Bits of one stored code, or signs of a weight that is a sum of them.
        block: Weights that belong together: in a block of a sparse kernel, in a sub-vector, or in a
            group with a codebook of its own; 0 elsewhere.
        left: Which part of the codes is stored, above 0; 1 for a kernel with its zeros.
        balanced: Whether of a sparse kernel at most 4 of any 16 codes are not zero; see
            `sparse.is_balanced`.
        planes: Signs of an input that is a sum of them; 1 elsewhere.
    """

    operator: str
    bits: int
    block: int = 0
    left: float = 1.0
    balanced: bool = False
    planes: int = 1

    def speaks_for(self, other: "Form") -> bool:
        """Returns whether another form is at least as fast as this one in the same layer.

        It is the same but for zeros, of which it has no fewer and in no less order, for sub-vectors
        and groups, which are no shorter, or for signs, of which sums have no more.
        """
        if self.operator != other.operator:
            return False
        if OPERATORS[self.operator].has_bases:
            return other.bits <= self.bits and other.planes <= self.planes
        if self.is_sparse:
            same = (self.bits, self.block) == (other.bits, other.block)
            return same and other.left <= _MORE * self.left and self.balanced <= other.balanced
        return self.bits == other.bits and self.block <= other.block

    @property
    def is_sparse(self) -> bool:
        """Whether zeros are not stored."""
        return self.operator.startswith("EdgeaxSparse")

    @property
    def placed(self) -> str:
        """What the operator puts its inputs on itself, for which the built-in one needs others:
        `"points"`, sums of signs such as `"2 signs"`, or `""`.
        """
        if OPERATORS[self.operator].has_bases:
            return f"{self.planes} signs"
        return "points" if self.operator.startswith("EdgeaxLookup") else ""

    @property
    def name(self) -> str:
        """As in a report, such as `"4 bits"` or `"25% in blocks of 4"`."""
        if not self.is_sparse:
            return self._name_of_codes
        order = ", at most 4 of 16" if self.balanced else ""
        return f"{self.left:.0%} in blocks of {self.block}{order}"

    @property
    def _name_of_codes(self) -> str:
        bits = f"{self.bits} bit{'s' if self.bits > 1 else ''}"
        family = self.operator.removesuffix("Conv2D").removesuffix("FullyConnected")
        return {
            "EdgeaxVector": f"{bits} for sub-vectors of {self.block}",
            "EdgeaxGrouped": f"{bits} in groups of {self.block}",
            "EdgeaxLookup": f"{bits}, looked up",
            "EdgeaxSignSum": f"{self.bits} x {self.planes} signs",
        }.get(family, bits)


@dataclasses.dataclass(frozen=True)
class Speed:
    """One measured operator.

    Attributes:
        form: How it stores weights.
        shape: What it computes.
        speed: How many times as fast as the built-in int8 operator of that shape it is; where it
            puts its inputs on few values itself, as that one with those that do so.
        noise: How far off that may be, as a part of it.
    """

    form: Form
    shape: LayerShape
    speed: float
    noise: float


@dataclasses.dataclass(frozen=True)
class Speeds:
    """What was measured on one type of processor.

    Attributes:
        target: Name of the table.
        kernels: Name of the kernels of the plugin that ran.
        processor: What ran them.
        date: When, as year-month-day.
        method: What was measured, and by which versions.
        entries: What was found.
    """

    target: str
    kernels: str
    processor: str
    date: str
    method: str
    entries: tuple[Speed, ...]

    @property
    def title(self) -> str:
        """As in a report."""
        return f"{self.target} ({self.processor}, {self.date})"

    def nearest(self, form: Form, shape: LayerShape) -> Speed | None:
        """Returns the measured operator that tells most of one that was not measured.

        Of those whose form speaks for the other (`Form.speaks_for`) it is the one with the nearest
        shape (`LayerShape.distance`), of equally near ones the one that is most like it: with the
        most zeros, the longest sub-vectors or groups, the fewest signs.

        Returns:
            None where even that is farther away than `FARTHEST`.
        """

        def order(entry: Speed) -> tuple[float, ...]:
            form = entry.form
            unlike = form.left, not form.balanced, -form.block, form.bits * form.planes
            return shape.distance(entry.shape), *unlike, entry.speed

        speaking = [entry for entry in self.entries if entry.form.speaks_for(form)]
        found = min(speaking, key=order, default=None)
        return None if found is None or order(found)[0] > FARTHEST else found

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the table as JSON, whole or not at all.

        Raises:
            ValueError: The folder does not exist, or `path` is no regular file.
            OSError: The disk is full.
        """
        values = {"version": VERSION, **dataclasses.asdict(self)}
        rows = ",\n  ".join(json.dumps(row) for row in values.pop("entries"))
        head = json.dumps(values, indent=1).removesuffix("\n}")
        write_atomically(path, f'{head},\n "entries": [\n  {rows}\n ]\n}}\n'.encode())


def known_targets() -> tuple[str, ...]:
    """Returns the names of the tables that come with edgeax."""
    return tuple(sorted(path.stem for path in _TARGETS.glob("*.json")))


def read_speeds(target: str | os.PathLike[str]) -> Speeds:
    """Returns a table.

    Args:
        target: One of `known_targets`, or the path of a file that `edgeax tune` wrote.

    Raises:
        ValueError: There is no such table, or the file is none.
    """
    path = _place(target)
    if path is None or not path.is_file():
        raise ValueError(
            f"`target` must be one of {[*known_targets()]} or a file that `edgeax tune` wrote. "
            f"Received: target={target!r}."
        )
    try:
        return _from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"`target` must be a table of speeds of version {VERSION}. Received: {target!r}, in "
            f"which {_fault(error)}. Write it anew: edgeax tune --output {path.name}."
        ) from error


def speeds_for_kernels(kernels: str) -> Speeds:
    """Returns the table that comes with edgeax for some kernels of the plugin.

    Args:
        kernels: Their name, such as `"avx512"`.

    Raises:
        ValueError: There is none.
    """
    tables = [read_speeds(target) for target in known_targets()]
    found = next((table for table in tables if table.kernels == kernels), None)
    if found is None:
        raise ValueError(
            f"`target` must be given on a machine whose kernels ({kernels!r}) no table of edgeax "
            f"is for. Received: None. Choose one of {[*known_targets()]}, or measure: edgeax tune "
            "--output speeds.json."
        )
    return found


def _place(target: Any) -> Path | None:
    if target in known_targets():
        return _TARGETS / f"{target}.json"
    return Path(target) if isinstance(target, str | os.PathLike) else None


def _fault(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _from_json(values: Any) -> Speeds:
    if not isinstance(values, dict):
        raise ValueError("there is no object")
    if values.get("version") != VERSION:
        raise ValueError(f"`version` is {values.get('version')!r}")
    texts = {}
    for name in ("target", "kernels", "processor", "date", "method"):
        texts[name] = values[name]
        if not isinstance(texts[name], str):
            raise ValueError(f"`{name}` is no text")
    if not isinstance(values["entries"], list):
        raise ValueError("`entries` is no list")
    return Speeds(**texts, entries=tuple(_speed(entry) for entry in values["entries"]))


def _speed(values: Mapping[str, Any]) -> Speed:
    form, shape = values["form"], values["shape"]
    if form["operator"] not in OPERATORS:
        raise ValueError(f"`operator` is {form['operator']!r}, which is none of edgeax")
    if shape["layer"] not in LAYERS:
        raise ValueError(f"`layer` is {shape['layer']!r}, none of {[*LAYERS]}")
    return Speed(
        Form(
            form["operator"],
            _whole(form, "bits", 1),
            _whole(form, "block", 0),
            _above_zero(form, "left"),
            _flag(form, "balanced"),
            _whole({"planes": 1, **form}, "planes", 1),
        ),
        LayerShape(
            shape["layer"],
            _pair(shape, "size"),
            _pair(shape, "kernel"),
            _pair(shape, "stride"),
            _whole(shape, "inputs", 1),
            _whole(shape, "outputs", 1),
        ),
        _above_zero(values, "speed"),
        _number(values, "noise", 0.0),
    )


def _pair(values: Mapping[str, Any], name: str) -> tuple[int, int]:
    first, second = values[name]
    return _whole({name: first}, name, 1), _whole({name: second}, name, 1)


def _whole(values: Mapping[str, Any], name: str, least: int) -> int:
    value = values[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"`{name}` is {value!r}, not a whole number of at least {least}")
    return value


def _number(values: Mapping[str, Any], name: str, least: float) -> float:
    value = values[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < least:
        raise ValueError(f"`{name}` is {value!r}, not a number of at least {least}")
    return float(value)


def _flag(values: Mapping[str, Any], name: str) -> bool:
    if not isinstance(values[name], bool):
        raise ValueError(f"`{name}` is {values[name]!r}, not true or false")
    return values[name]


def _above_zero(values: Mapping[str, Any], name: str) -> float:
    value = _number(values, name, 0.0)
    if value == 0.0:
        raise ValueError(f"`{name}` is 0")
    return value
