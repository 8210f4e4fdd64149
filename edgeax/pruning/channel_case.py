"""ChannelCase: a model whose channels are being pruned, and what chooses among them."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.model.channels import ChannelGroup, ChannelSlice, values_of
from edgeax.model.objective import Objective
from edgeax.pruning.channel_macs import ChannelMacs
from edgeax.pruning.channel_run import ChannelRun
from edgeax.pruning.reading import Reading


@dataclasses.dataclass(eq=False)
class ChannelCase:
    """A model and the groups of channels that can go.

    Attributes:
        model: Sequential or functional, not compressed.
        groups: The groups of which units can go.
        samples: One array per input of the model; none if there are no samples.
        labels: A structure of arrays, as many as samples; None if there are none.
        objective: The loss of the model; None if there are no labels.
        seed: Of what is random.
        batch_size: Samples in a batch.
        skipped: Why a group has no score, by its name.
    """

    model: keras.Model
    groups: Sequence[ChannelGroup]
    samples: Sequence[np.ndarray] = ()
    labels: Any = None
    objective: Objective | None = None
    seed: int = 0
    batch_size: int = 32
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def run(self) -> ChannelRun:
        """Runs the model."""
        return ChannelRun(self.model, self.groups)

    @functools.cached_property
    def macs(self) -> ChannelMacs:
        """Counts multiply-accumulates."""
        return ChannelMacs.of(self.model, self.groups)

    @property
    def seen_groups(self) -> list[ChannelGroup]:
        """The groups whose channels can be seen where they are read; the others are skipped."""
        unseen = self.run.unseen
        self.skipped.update({g.name: unseen[g.name] for g in self.groups if g.name in unseen})
        return [group for group in self.groups if group.name not in unseen]

    def batches(self) -> Iterator[tuple[list[np.ndarray], Any]]:
        """Yields the samples in batches, and their labels."""
        for start in range(0, len(self.samples[0]) if self.samples else 0, self.batch_size):
            cut = slice(start, start + self.batch_size)
            labels = self.labels
            if labels is not None:
                labels = keras.tree.map_structure(lambda part, cut=cut: part[cut], labels)
            yield [array[cut] for array in self.samples], labels

    def weight(self, one: ChannelSlice) -> np.ndarray:
        """Returns a weight with the axis of its channels first, float64 `(positions, others)`."""
        return values_of(self.model, one).astype(np.float64).reshape(len(one.units), -1)


class ChannelCriterion:
    """Gives each unit a score; those of the lowest go. A new one is a subclass, with a
    name in `channel_scores.CHANNEL_CRITERIA` or given itself.

    Attributes:
        needs_samples: Whether it looks at samples.
        needs_labels: Whether it looks at labels.
        scope: Over what units are compared if nobody says: `"global"` or `"layer"`.
    """

    needs_samples = False
    needs_labels = False
    scope = "layer"

    def scores(self, case: ChannelCase) -> dict[str, np.ndarray]:
        """Returns float64 `(units,)` for each group, by its name.

        A group that it cannot judge has none, and the reason stands in `case.skipped`.
        """
        raise NotImplementedError


class ChannelSelection:
    """Chooses the units of a group that are kept, from what the one layer that reads them does. A
    new one is a subclass, with a name in `channel_scores.CHANNEL_CRITERIA` or given itself.

    Attributes:
        reconstruct: How the reader's weights are changed if nobody says: `"least_squares"`,
            `"scale"`, or False.
    """

    needs_samples = True
    needs_labels = False
    scope = "layer"
    reconstruct: str | bool = False

    def chosen(self, reading: Reading, count: int, generator: np.random.Generator) -> np.ndarray:
        """Returns the units to keep, sorted, int `(count,)`.

        Args:
            reading: What the reader makes of them.
            count: How many to keep, at least 1.
            generator: Of what is random.
        """
        raise NotImplementedError
