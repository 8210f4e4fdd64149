"""Readings taken from models: what the reader of a group sees as the model before it is pruned."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from edgeax.model.channels import ChannelGroup, ChannelSlice
from edgeax.post_training.linear import as_kernel, as_matrix, columns, why_not_linear
from edgeax.pruning.channel_case import ChannelCase
from edgeax.pruning.channel_run import ChannelRun, EnoughSeen
from edgeax.pruning.reading import Reading


class Pruning:
    """A model that is pruned group by group, beside the original.

    Args:
        case: The case; it needs samples.
        places: Of each sample so many random places of a reader's output are looked at, of each of
            its calls; all where there are fewer.

    Attributes:
        kernels: The kernels that were changed, by the paths of their layers.
    """

    def __init__(self, case: ChannelCase, places: int) -> None:
        self.kernels: dict[str, np.ndarray] = {}
        self._case = case
        self._places = places
        self._student = ChannelRun(case.model, case.groups)
        self._gates: dict[str, np.ndarray] = {}

    def in_order(self) -> list[ChannelGroup]:
        """Returns the groups in the order in which they are read."""
        places = {path: place for place, path in enumerate(self._case.run.paths)}

        def first(group: ChannelGroup) -> int:
            return min((places.get(path, 0) for path in group.reader_paths), default=0)

        return sorted(self._case.groups, key=first)

    def why_not(self, group: ChannelGroup) -> str:
        """Returns why there is no reading of a group, `""` if there is one."""
        unseen = self._case.run.unseen.get(group.name)
        if unseen:
            return unseen
        if len(group.readers) > 1:
            return f"{len(group.reader_paths)} layers read it, {', '.join(group.reader_paths)}."
        one = group.readers[0]
        why = why_not_linear(self._student.layer(one.path))
        return f"{one.path!r} reads it, and {why}." if why else ""

    def reading(self, group: ChannelGroup, generator: np.random.Generator) -> Reading:
        """Returns what the one reader of a group makes of it, as the model is now.

        Args:
            group: One that `why_not` has no word against.
            generator: Draws the places.
        """
        one = group.readers[0]
        layer, original = self._student.layer(one.path), self._case.run.layer(one.path)
        given: list[tf.Tensor] = []
        wanted: list[tf.Tensor] = []
        for inputs, _ in self._case.batches():
            teachers = _inputs_of(self._case.run, one.path, inputs, {})
            students = _inputs_of(self._student, one.path, inputs, self._gates)
            for teacher, student in zip(teachers, students, strict=True):
                rows = columns(layer, student)[0]
                picked = _drawn(len(inputs[0]), len(rows), self._places, generator)
                given.append(tf.gather(rows, picked))
                wanted.append(tf.gather(columns(layer, teacher)[0], picked))
        kernel = as_matrix(layer, np.asarray(layer.kernel))[0]
        whole = as_matrix(original, np.asarray(original.kernel))[0]
        return Reading(
            np.concatenate(given).astype(np.float64),
            np.concatenate(wanted).astype(np.float64) @ whole,
            kernel,
            _matrix_units(one, len(kernel)),
        )

    def keep(self, group: ChannelGroup, kept: np.ndarray) -> None:
        """Takes the other units of a group out of the model."""
        gate = np.zeros((1, group.size), np.float32)
        gate[:, kept] = 1.0
        self._gates[group.name] = gate

    def set_kernel(self, group: ChannelGroup, matrix: np.ndarray) -> None:
        """Gives the one reader of a group another kernel, seen as a matrix."""
        path = group.readers[0].path
        layer = self._student.layer(path)
        self.kernels[path] = as_kernel(layer, matrix[None])
        layer.kernel.assign(self.kernels[path])


def _inputs_of(
    run: ChannelRun, path: str, inputs: list[np.ndarray], gates: Mapping[str, np.ndarray]
) -> list[Any]:
    """Returns the inputs of each call of a layer."""
    found: list[Any] = []

    def watch(at: str, given: Any) -> None:
        if at == path:
            found.append(given)
            if len(found) == run.uses(path):
                raise EnoughSeen

    run(inputs, gates, watch)
    return found


def _drawn(samples: int, rows: int, places: int, generator: np.random.Generator) -> np.ndarray:
    """Returns rows of a batch: of each sample's, which lie together, so many at random."""
    own = rows // samples
    order = np.argsort(generator.random((samples, own)), axis=1)[:, :places]
    return (np.arange(samples)[:, None] * own + np.sort(order, axis=1)).ravel()


def _matrix_units(one: ChannelSlice, rows: int) -> np.ndarray:
    """Returns which unit each row of a kernel reads, the kernel seen as a matrix.

    Args:
        one: Where the kernel reads the group, on its last axis but one.
        rows: Of the matrix: positions and channels, these the fastest.
    """
    return np.tile(one.units, rows // len(one.units))
