"""Skipped multiply-accumulates: what a processor saves that leaves out activations of zero."""

import dataclasses
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.formats.tables import text_table
from edgeax.model import passes
from edgeax.model.case import take_labeled
from edgeax.model.copying import compressed_layers
from edgeax.model.rewrite import compress, paths_of_compressed
from edgeax.model.wrapper import Compressed
from edgeax.post_training.linear import as_matrix, columns, why_not_linear
from edgeax.transforms.mask import Mask

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class LayerSkips:
    """What a layer could leave out.

    Attributes:
        path: The layer's path.
        macs: Multiply-accumulates of one sample.
        skipped: Those among them whose activation is near zero, the mean over the samples.
    """

    path: str
    macs: int
    skipped: float

    @property
    def share(self) -> float:
        """Of `macs` that is skipped, 0 to 1."""
        return self.skipped / self.macs if self.macs else 0.0


@dataclasses.dataclass(frozen=True)
class SkippedMacs:
    """One row for each Dense layer and convolution. Prints as a table.

    Attributes:
        rows: The layers, in their order.
        left_out: Paths of other layers with kernels, which are not counted, and why.
    """

    rows: tuple[LayerSkips, ...]
    left_out: dict[str, str]

    @property
    def share(self) -> float:
        """Of all multiply-accumulates that is skipped, 0 to 1."""
        macs = sum(row.macs for row in self.rows)
        return sum(row.skipped for row in self.rows) / macs if macs else 0.0

    def __str__(self) -> str:
        rows: list[dict[str, Any]] = [
            {"layer": row.path, "MACs": row.macs, "skipped": row.skipped, "share": row.share}
            for row in self.rows
        ]
        macs = sum(row.macs for row in self.rows)
        skipped = sum(row.skipped for row in self.rows)
        rows.append({"layer": "total", "MACs": macs, "skipped": skipped, "share": self.share})
        lines = [f"not counted: {path}: {why}" for path, why in self.left_out.items()]
        return "\n".join([text_table(rows), *lines])


@implements(
    "HQY16",
    "HQY17",
    test="tests/pruning/test_skipped_macs.py::test_hqy16_hqy17_skips_are_those_counted_by_hand",
)
def skipped_macs(model: keras.Model, samples: Any, threshold: float = 0.0) -> SkippedMacs:
    """Returns how many multiply-accumulates of each layer have an activation of zero, or near it.

    An input x of a layer counts where `|x| < threshold` or `x == 0`, once for each weight that it
    meets, as the layer gets it: behind what rounds it, and behind `edgeax.NearZero`. Zeros of a
    padding count too, as they do in `edgeax.summary`. Weights are not looked at. Source: [HQY16],
    [HQY17].

    Args:
        model: A built model, plain or compressed; of a compressed one the layers that are.
        samples: Typical inputs, as for `edgeax.export`; of more than 512 the first.
        threshold: At least 0.

    Raises:
        ValueError: An argument is unusable, or there is no layer to be counted.

    Example: `print(edgeax.skipped_macs(model, images, threshold=0.01))`
    """
    if not threshold >= 0.0:
        raise ValueError(f"`threshold` must be at least 0. Received: threshold={threshold}.")
    if next(compressed_layers(model), None) is None:
        model = compress(model, [Mask()])
    arrays, _, pack = take_labeled(samples, None, model)
    wrappers = {path: w for path, w in paths_of_compressed(model).items() if _has_kernel(w)}
    reasons = {path: why_not_linear(wrapper.layer) for path, wrapper in wrappers.items()}
    counted = {id(w): path for path, w in wrappers.items() if not reasons[path]}
    macs, skips = dict.fromkeys(counted.values(), 0), dict.fromkeys(counted.values(), 0)

    def watch(owner: Any, tensor: Any) -> None:
        path = counted.get(id(owner))
        if path is not None:
            layer = wrappers[path].layer
            inputs = np.abs(np.asarray(columns(layer, tensor)))
            per_input = as_matrix(layer, np.asarray(layer.kernel)).shape[2]
            macs[path] += inputs.size * per_input
            skips[path] += np.count_nonzero((inputs < threshold) | (inputs == 0.0)) * per_input

    count = len(arrays[0])
    for start in range(0, count, _BATCH):
        with passes.watched(watch):
            model(pack([array[start : start + _BATCH] for array in arrays]), training=False)
    if not any(macs.values()):
        raise ValueError(
            "`model` must have a Dense layer or a convolution that it calls. Received: one with "
            f"{reasons or 'no layers with kernels'}."
        )
    rows = [LayerSkips(path, macs[path] // count, skips[path] / count) for path in macs]
    return SkippedMacs(tuple(rows), {path: why for path, why in reasons.items() if why})


def _has_kernel(layer: Compressed) -> bool:
    return hasattr(layer.layer, "kernel")
