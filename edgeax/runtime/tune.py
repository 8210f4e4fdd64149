"""Tune: measures the operators of edgeax beside the built-in int8 ones, on this machine."""

import dataclasses
import datetime
import importlib.metadata
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from edgeax._version import __version__
from edgeax.formats.files import check_writable
from edgeax.formats.layer_shape import (
    DEPTHWISE,
    LAYERS,
    LayerShape,
    conv,
    depthwise,
    fully_connected,
)
from edgeax.formats.sparse import is_balanced
from edgeax.formats.speeds import Form, Speed, Speeds
from edgeax.runtime import latency
from edgeax.runtime.backends import load_backend
from edgeax.runtime.drawn_layers import (
    ONE,
    POINTS,
    Draw,
    as_options,
    blocks,
    codebook,
    groups,
    lookups,
    middles_of,
    sign_sums,
    sub_vectors,
    sums_of,
)
from edgeax.runtime.interpreter import Interpreter
from edgeax.runtime.operator_files import INPUT_SCALE, built_in_file, custom_file
from edgeax.runtime.placed_inputs import on_points, on_steps
from edgeax.runtime.processor import fastest_kernels, processor_name

SHAPES: tuple[LayerShape, ...] = (
    conv(24, 1, 20, 5),
    conv(112, 3, 32, 3, stride=2),
    conv(32, 16, 16, 3),
    conv(16, 32, 32, 3),
    conv(8, 64, 64, 3),
    conv(56, 64, 64, 3),
    conv(28, 128, 128, 3),
    conv(14, 256, 256, 3),
    conv(7, 512, 512, 3),
    conv(28, 64, 128, 3, stride=2),
    conv(28, 32, 64, 3),
    conv(28, 32, 128, 1),
    conv(14, 384, 64, 1),
    conv(14, 128, 256, 1),
    conv(56, 64, 256, 1),
    conv(14, 512, 512, 1),
    conv(7, 320, 1280, 1),
    depthwise(56, 64, 3),
    depthwise(28, 192, 3),
    depthwise(14, 384, 3),
    fully_connected(64, 10),
    fully_connected(256, 256),
    fully_connected(784, 300),
    fully_connected(1024, 1024),
    fully_connected(2048, 2048),
    fully_connected(4096, 4096),
)
"""What is measured."""

_SECONDS = 0.3  # of two files
_LEAST_ROUNDS, _MOST_ROUNDS = 15, 300


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A way to store weights: as in `Form`, and what draws them."""

    bits: int
    block: int
    draw: Draw
    planes: int = 1


_CODES = tuple(_Kind(bits, 0, codebook(bits)) for bits in (4, 2, 1))
# How many of how many blocks are left. The second leaves at most 4 of any 16 codes, the first does
# not.
_LEFT = {1: [(16, 64), (4, 16)], 2: [(16, 64)], 4: [(8, 16), (4, 16), (2, 16)]}
_LEFT |= {8: [(4, 16)], 16: [(4, 16)]}
_SPARSE = tuple(
    _Kind(8, block, blocks(block, *left)) for block, ways in _LEFT.items() for left in ways
)
_VECTORS = tuple(
    _Kind(bits, length, sub_vectors(1 << bits, length)) for bits in (4, 8) for length in (4, 8)
)
_GROUPS = tuple(
    _Kind(bits, group, groups(bits, group)) for bits, group in ((4, 32), (4, 128), (2, 32))
)
_SUMS = tuple(
    _Kind(bases, 0, sign_sums(planes, bases), planes) for planes, bases in ((2, 1), (1, 2), (2, 2))
)
_LOOKUPS = tuple(_Kind(bits, 0, lookups(bits)) for bits in (4, 2))


def tune(path: str | os.PathLike[str], shapes: Iterable[LayerShape] | None = None) -> Speeds:
    """Measures on this machine how fast each way to store weights is, and writes the table that
    `edgeax.export(..., optimize="latency", target=path)` chooses by. It takes a few minutes.

    Args:
        path: The JSON file to write; its folder must exist. The table is named after it.
        shapes: The layers to measure; None: `SHAPES`.

    Returns:
        The table.

    Raises:
        ValueError: The folder does not exist, `path` is no regular file, or `shapes` are no layers
            that can be measured. Nothing was measured.
        FileNotFoundError: The plugin library is missing.
        ImportError: No interpreter package is installed.

    Example: `edgeax.tune("pi4.json")` on the device, then `export(..., target="pi4.json")`.
    """
    check_writable(path)
    wanted = SHAPES if shapes is None else tuple(shapes)
    if not wanted or not all(map(_is_measurable, wanted)):
        raise ValueError(
            "`shapes` must be layers that edgeax has operators of, at least one, such as "
            f"`edgeax.formats.layer_shape.conv(8, 16, 16, 3)`. Received: {wanted}."
        )
    kernels, backend = fastest_kernels(), load_backend().name
    speeds = Speeds(
        target=Path(path).stem,
        kernels=kernels,
        processor=processor_name(),
        date=datetime.date.today().isoformat(),
        method="lower quartiles of the times of one invoke in turns, one thread, "
        f"edgeax {__version__}, {backend} {_version(backend)}",
        entries=tuple(speed for shape in wanted for speed in speeds_of(shape)),
    )
    speeds.write(path)
    return speeds


def _is_measurable(shape: object) -> bool:
    if not isinstance(shape, LayerShape) or shape.layer not in LAYERS:
        return False
    return shape.layer != DEPTHWISE or shape.outputs % shape.inputs == 0


def speeds_of(shape: LayerShape) -> Iterator[Speed]:
    """Measures the ways to store a layer's weights, each in turns with the built-in operator."""
    codes = np.random.default_rng(1).integers(-128, 128, shape.input)
    inputs = (codes * INPUT_SCALE).astype(np.float32)
    built_in: dict[str, Interpreter] = {}
    for form, file in forms_of(shape):
        ours = Interpreter(model_content=file, num_threads=1)
        if form.placed not in built_in:
            rival = built_in_of(shape, form)
            built_in[form.placed] = Interpreter(model_content=rival, num_threads=1)
        times_ms = _turns({"ours": ours, "theirs": built_in[form.placed]}, inputs)
        speed = _lower_quartile(times_ms["theirs"]) / _lower_quartile(times_ms["ours"])
        noise = latency.noise(times_ms["ours"], times_ms["theirs"])
        yield Speed(form, shape, round(speed, 4), round(noise, 4))


def built_in_of(shape: LayerShape, form: Form | None = None) -> bytes:
    """Returns a file of the built-in int8 operator with random weights, after those that put its
    inputs where a form does, see `Form.placed`.
    """
    source = np.random.default_rng(0)
    weights = source.integers(-127, 128, (shape.outputs, shape.depth), dtype=np.int8)
    file = built_in_file(shape, weights, _scale(shape), "int8")
    if form is None or not form.placed:
        return file
    if form.placed == "points":
        return on_points(file, POINTS * ONE)
    levels = sums_of(form.planes)
    return on_steps(file, middles_of(levels), levels)


def forms_of(shape: LayerShape) -> Iterator[tuple[Form, bytes]]:
    """Returns the ways to store the weights of a layer, and files of one operator with random ones
    stored so.
    """
    source = np.random.default_rng(0)
    for kind in _kinds_of(shape):
        layer = kind.draw(shape, source)
        options = as_options(layer, shape)
        form = Form(options["operator"], kind.bits, kind.block, planes=kind.planes)
        if form.is_sparse:
            left = layer.constants["weights"].size / layer.weights.size
            form = dataclasses.replace(form, left=left, balanced=is_balanced(layer.weights))
        yield form, custom_file(shape, layer.weights, _scale(shape), **options)


def _kinds_of(shape: LayerShape) -> tuple[_Kind, ...]:
    """Returns what is measured of a layer: sub-vectors where they divide its rows."""
    if shape.layer == DEPTHWISE:
        return _CODES
    vectors = tuple(kind for kind in _VECTORS if shape.depth % kind.block == 0)
    return (*_CODES, *_SPARSE, *vectors, *_GROUPS, *_SUMS, *_LOOKUPS)


def _scale(shape: LayerShape) -> np.ndarray:
    return np.random.default_rng(2).uniform(0.005, 0.01, shape.outputs).astype(np.float32)


def _turns(interpreters: Mapping[str, Interpreter], inputs: np.ndarray) -> dict[str, list[float]]:
    """Returns the milliseconds of each round, of as many as the time allows."""
    first = latency.turns(interpreters, inputs, repeats=1)
    each = sum(times[0] for times in first.values()) / 1000.0
    repeats = max(_LEAST_ROUNDS, min(_MOST_ROUNDS, int(_SECONDS / each)))
    return latency.turns(interpreters, inputs, repeats)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # installed under another name
        return "of unknown version"


def _lower_quartile(times_ms: list[float]) -> float:
    return statistics.quantiles(times_ms, n=4)[0]
