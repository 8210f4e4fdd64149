"""Frozen: a plain model, and where in it which numbers are fixed."""

import dataclasses
import re

import keras

from edgeax.export.lstm import FusedLSTM
from edgeax.export.nearest import Nearest
from edgeax.export.rounding import Grid
from edgeax.export.sign_sums import SignSums
from edgeax.formats import EncodedTensor
from edgeax.formats.rounding import Halves


@dataclasses.dataclass(frozen=True)
class FrozenWeight:
    """A kernel as the file has to hold it.

    Attributes:
        path: Path of its layer; a separable convolution has `/depthwise` or `/pointwise` behind it.
        layer: The plain layer that holds its values and its bias.
        encoded: The kernel in codes, canonical layout, batch normalization folded in.
        uses: How many times the model calls the layer.
        is_step: Whether it belongs to the steps of a recurrent layer.
        shift: What its bias lacks, which is in favor of the signs of its results.
    """

    path: str
    layer: keras.layers.Layer
    encoded: EncodedTensor
    uses: int
    is_step: bool = False
    shift: float = 0.0


@dataclasses.dataclass(frozen=True)
class Point:
    """A place where values are rounded.

    Attributes:
        path: Path of the layer whose result is rounded, normalization and activation included; or
            name of the model's input.
        rounding: Name of the rounding layer in the frozen model.
        layers: Names of the frozen model's layers whose results end here; the converter names
            tensors after them.
        grid: The grid of the values.
        shape: Of the values; a size is None where Keras cannot tell.
        input: Which of the model's inputs it is, None for a layer's result.
        halves: Where halves between two codes go if they are averages of codes; None: nowhere in
            particular.
    """

    path: str
    rounding: str
    layers: tuple[str, ...]
    grid: Grid
    shape: tuple[int | None, ...]
    input: int | None = None
    halves: Halves | None = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    """What `edgeax.export.freeze.freeze` returns.

    Attributes:
        model: Plain functional model, batch pinned. Its inputs and outputs come in the order of the
            original's when flattened.
        weights: The kernels in integer codes.
        trained: The kernels in the codes of training, where the file computes in float.
        formatted: Paths of the tensors in a format that the file has no integers for, and that
            format.
        left_out: Paths of the layers whose kernels got a number format that no operator has.
        points: The places where values are rounded, in the order in which they run.
        paths: Path of the layer that each layer of `model` stands for, by name.
        lstms: The LSTMs that the device has one operator for, and their paths.
        whole: Why layers that have no operator could not be unfolded into some, by their paths.
        steps: Names of the layers of `model` that are steps of a recurrent layer.
        step_roundings: Names of the rounding layers within them: the device has 16 bits there.
        sums: Activations that are sums of signs, by the operators that stand for them.
        nearest: Activations that are put on points, by the operators that stand for them.
    """

    model: keras.Model
    weights: tuple[FrozenWeight, ...]
    left_out: tuple[str, ...]
    points: tuple[Point, ...]
    paths: dict[str, str]
    lstms: tuple[tuple[str, FusedLSTM], ...] = ()
    whole: dict[str, str] = dataclasses.field(default_factory=dict)
    steps: frozenset[str] = frozenset()
    step_roundings: frozenset[str] = frozenset()
    formatted: tuple[tuple[str, str], ...] = ()
    trained: tuple[FrozenWeight, ...] = ()
    sums: dict[str, SignSums] = dataclasses.field(default_factory=dict)
    nearest: dict[str, Nearest] = dataclasses.field(default_factory=dict)


def layers_in(tensor: str) -> set[str]:
    """Returns the names of the frozen model's layers that a tensor of the file is named after."""
    return {re.sub(r"_\d+$", "", token) for token in re.split(r"[/;:]", tensor)}
